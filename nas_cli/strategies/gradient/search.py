"""The supernet loop: weights and architecture parameters trained together, step by step."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, require
from nas_cli.estimators.shared_weights import SharedWeights
from nas_cli.journal import Trial
from nas_cli.runner import Best, Search, Step
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient.architecture_gradient import ArchitectureGradient
from nas_cli.strategies.gradient.derivation import Derivation
from nas_cli.strategies.gradient.mixing import Mixing
from nas_cli.training import Tally


class GradientSearch(Search):
    """Alternates a step of the architecture parameters on held-out data with a step of the weights on training data.

    One step is one batch of each. After the last epoch the derived architecture is the one candidate, scored by the
    supernet's accuracy on the held-out part; its cells after every epoch stand in `metrics.jsonl`.

    Args:
        estimator: the supernet and the training of its weights.
        mixing: from architecture parameters to edge weights.
        architecture_gradient: how the parameters' gradient is computed.
        derivation: from parameters to a discrete cell.
        epochs: passes over the weights' part of the data. Paper: 50.
        learning_rate, betas, weight_decay: of Adam on the parameters. Paper: 3e-4, (0.5, 0.999), 1e-3.
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, algorithm 1.
    """

    score_name = SharedWeights.score_name

    def __init__(
        self,
        estimator: object,
        seed: int,
        mixing: Mixing,
        architecture_gradient: ArchitectureGradient,
        derivation: Derivation,
        epochs: int = 5,
        learning_rate: float = 0.03,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-3,
    ) -> None:
        if not isinstance(estimator, SharedWeights):
            raise CombinationError(
                "a gradient strategy trains shared weights, which only estimator=shared_weights has, not "
                f"{type(estimator).__name__}"
            )
        require(epochs >= 1, f"epochs must be at least 1, not {epochs}")
        require(learning_rate > 0, f"learning_rate must be above 0, not {learning_rate}")
        require(weight_decay >= 0, f"weight_decay must be at least 0, not {weight_decay}")
        require(all(0 <= beta < 1 for beta in betas), f"betas must be in [0, 1), not {list(betas)}")
        self.shared = estimator
        self.seed = seed
        self.mixing = mixing
        self.architecture_gradient = architecture_gradient
        self.derivation = derivation
        self.epochs = epochs
        self._adam = {"lr": learning_rate, "betas": tuple(betas), "weight_decay": weight_decay}
        self._parameters: dict[str, Tensor] = {}
        self._optimizer: torch.optim.Adam | None = None
        self._steps = 0
        self._tally = Tally()
        self._last: dict[str, Any] = {}
        self._trial: Trial | None = None
        self._spent = 0.0  # seconds, over all sittings

    def _begin(self) -> torch.optim.Adam:
        """Read the data and make supernet and parameters, once; nothing before the first step needs them."""
        if self._optimizer is None:
            self.shared.begin(self.mixing.fan_out, self.epochs)
            with seeded(self.seed, "architecture parameters"):
                initial = self.mixing.initial(self.shared.space.choices)
            device = self.shared.hardware.device
            self._parameters = {name: value.to(device).requires_grad_() for name, value in initial.items()}
            self._optimizer = torch.optim.Adam(self._parameters.values(), **self._adam)  # type: ignore[arg-type]
        return self._optimizer

    @property
    def total(self) -> int:
        self._begin()
        return self.epochs * self.shared.steps_per_epoch

    @property
    def position(self) -> int:
        return self._steps

    @property
    def done(self) -> bool:
        return self._trial is not None

    @property
    def evaluations(self) -> int:
        return int(self._trial is not None)

    def step(self) -> Step:
        optimizer = self._begin()
        began = time.time()
        metrics = None
        if self._steps < self.total:
            metrics = self._train_step(optimizer)
        finished = time.time()
        self._spent += finished - began
        if self._steps < self.total:
            return Step(metrics=metrics, figures=self._figures())
        trial = Trial(
            index=0,
            architecture=Architecture.from_json(self._last["architecture"]),
            score=self._last["valid_accuracy"],
            metrics={name: value for name, value in self._last.items() if name != "architecture"},
            cost_seconds=self._spent,
            budget=self.epochs,
            started=finished - self._spent,  # as if it had been done in one sitting
            finished=finished,
        )
        return Step(trials=(trial,), metrics=metrics, figures=self._figures())

    def _train_step(self, optimizer: torch.optim.Adam) -> dict[str, Any] | None:
        epoch, batch = divmod(self._steps, self.shared.steps_per_epoch)
        rate = self.shared.set_epoch(epoch)
        train, held_out = self.shared.train_batch(), self.shared.held_out_batch()
        with seeded(self.seed, "step", self._steps):
            gradient = self.architecture_gradient(self.shared, self.mixing, self._parameters, train, held_out)
            for parameter, slope in zip(self._parameters.values(), gradient, strict=True):
                parameter.grad = slope
            optimizer.step()
            self._tally += self.shared.weight_step(train, self.mixing.weights(self._parameters))
        self._steps += 1
        if batch + 1 < self.shared.steps_per_epoch:
            return None
        return self._end_epoch(epoch, rate)

    def _end_epoch(self, epoch: int, rate: float) -> dict[str, Any]:
        probabilities = self.mixing.probabilities(self._parameters)
        cells = {
            kind: self.derivation(choices, probabilities[kind]) for kind, choices in self.shared.space.choices.items()
        }
        metrics: dict[str, Any] = {
            "epoch": epoch,
            "step": self._steps,
            "learning_rate": rate,
            **self._tally.metrics("train"),
            **self.shared.validate(probabilities).metrics("valid"),
        }
        for kind, rows in probabilities.items():
            metrics[f"entropy_{kind}"] = entropy(rows)
            metrics[f"skips_{kind}"] = sum(name == "skip_connect" for node in cells[kind] for name, _ in node)
        metrics["architecture"] = self.shared.space.from_cells(cells).to_json()
        self._tally = Tally()
        self._last = metrics
        return metrics

    def _figures(self) -> dict[str, float]:
        """What a person wants to see now: the epoch under way, and what the last whole one gave."""
        per_epoch = self.shared.steps_per_epoch
        figures: dict[str, float] = {"epoch": min(self._steps // per_epoch + 1, self.epochs)}
        if self._tally.images:
            figures |= {"train_accuracy": self._tally.metrics("train")["train_accuracy"]}
        entropies = [value for name, value in self._last.items() if name.startswith("entropy_")]
        if entropies:
            figures |= {"train_accuracy": self._last["train_accuracy"], **figures}
            figures |= {"valid_accuracy": self._last["valid_accuracy"], "entropy": sum(entropies) / len(entropies)}
        return figures

    def tell(self, trial: Trial) -> None:
        self._trial = trial

    def best(self) -> Best:
        if self._trial is None or self._trial.score is None:
            raise RuntimeError("best() before the search is done")
        about = ("train_", "valid_", "entropy_", "skips_")
        wanted = {name: value for name, value in self._trial.metrics.items() if name.startswith(about)}
        return Best(self._trial.architecture, self._trial.score, wanted)

    def state_dict(self) -> dict[str, Any]:
        optimizer = self._begin()
        return {
            "shared": self.shared.state_dict(),
            "parameters": {name: value.detach() for name, value in self._parameters.items()},
            "optimizer": optimizer.state_dict(),
            "steps": self._steps,
            "tally": vars(self._tally).copy(),
            "last": self._last,
            "trial": self._trial and self._trial.to_json(),
            "spent": self._spent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        optimizer = self._begin()
        self.shared.load_state_dict(state["shared"])
        with torch.no_grad():
            for name, value in self._parameters.items():
                value.copy_(state["parameters"][name])
        optimizer.load_state_dict(state["optimizer"])
        self._steps = state["steps"]
        self._tally = Tally(**state["tally"])
        self._last = state["last"]
        self._trial = state["trial"] and Trial.from_json(state["trial"])
        self._spent = state["spent"]


def entropy(probabilities: Tensor) -> float:
    """Mean over the rows of -Σ p log p, in nats: log(operations) where nothing is decided, 0 where all is."""
    return float(-torch.xlogy(probabilities, probabilities).sum(dim=-1).mean())
