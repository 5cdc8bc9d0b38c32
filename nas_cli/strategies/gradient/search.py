"""The supernet loop: weights and architecture parameters trained together, step by step."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, require
from nas_cli.estimators.shared_weights import SharedWeights, Tallied
from nas_cli.journal import Trial
from nas_cli.networks.choices import SKIP, CellChoices
from nas_cli.runner import Best, Search, Step
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient.architecture_gradient import ArchitectureGradient
from nas_cli.strategies.gradient.derivation import Derivation
from nas_cli.strategies.gradient.diagnostics import Diagnostic
from nas_cli.strategies.gradient.mixing import Mixing, Progress
from nas_cli.strategies.gradient.optimizers import ArchitectureOptimizer
from nas_cli.strategies.gradient.regularisers import Regulariser, changed
from nas_cli.strategies.gradient.relaxation import Relaxation
from nas_cli.strategies.gradient.stages import Stages
from nas_cli.strategies.gradient.stopping import Stop, Stopping, most_skips

log = logging.getLogger(__name__)

#: Many skip connections are the sign of a search that has collapsed (Liang et al., DARTS+, arXiv:1909.06035).
SKIPS_TO_WARN_OF = 3
_POSITION = ("epoch", "epochs", "frozen", "step", "stage", "learning_rate", "weight_decay")


class GradientSearch(Search):
    """Moves the architecture parameters and the supernet's weights together, batch by batch.

    After the last epoch, or when the stopping rule ends it, the derived architecture is the one candidate, scored by
    the supernet on the held-out part; what every epoch would have derived stands in `metrics.jsonl`.

    Args:
        estimator: the supernet and the training of its weights.
        mixing: from architecture parameters to edge weights.
        architecture_gradient: how a step moves both.
        optimizer: of the architecture parameters.
        derivation: from parameters to a discrete cell.
        stages: one search after another, each on what the one before left open.
        stopping: when a stage ends before its last epoch.
        regularisers: penalties and noise, by name.
        diagnostics: what else is measured, by name.
        epochs: passes over the weights' part of the data in each stage. Paper: 50.
        warm_up: the first so many of them, or a fraction of one, train weights alone.
        gradient_clip: bound of the norm of the parameters' gradient, or None.
        recalibrate: whether normalisation is measured anew on training batches before the supernet is judged: where
            edges are drawn or pruned, its running statistics are those of other networks.
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, algorithm 1.
    """

    def __init__(
        self,
        estimator: object,
        seed: int,
        mixing: Mixing,
        architecture_gradient: ArchitectureGradient,
        optimizer: ArchitectureOptimizer,
        derivation: Derivation,
        stages: Stages,
        stopping: Stopping,
        regularisers: Mapping[str, Regulariser] | None = None,
        diagnostics: Mapping[str, Diagnostic] | None = None,
        epochs: int = 5,
        warm_up: float = 0.0,
        gradient_clip: float | None = None,
        recalibrate: bool = False,
    ) -> None:
        if not isinstance(estimator, SharedWeights):
            raise CombinationError(
                "a gradient strategy trains the shared weights of a space with a supernet, e.g. space=darts with "
                f"estimator=shared_weights; estimator {type(estimator).__name__} has none"
            )
        require(epochs >= 1, f"epochs must be at least 1, not {epochs}")
        require(0 <= warm_up < epochs, f"warm_up must be at least 0 and below epochs={epochs}, not {warm_up}")
        require(gradient_clip is None or gradient_clip > 0, f"gradient_clip must be above 0, not {gradient_clip}")
        self.score_name = estimator.score_name
        self.shared = estimator
        self.seed = seed
        self.mixing = mixing
        self.architecture_gradient = architecture_gradient
        self.optimizer = optimizer
        self.derivation = derivation
        self.stages = stages
        self.stopping = stopping
        self.regularisers = list((regularisers or {}).values())
        self.diagnostics = list((diagnostics or {}).values())
        for regulariser in self.regularisers:
            regulariser.check(mixing, estimator)
        choices = estimator.space.choices
        stopping.check(list(diagnostics or {}), choices)
        # A derivation whose cells the space has not is refused now, not at the end of the first epoch.
        alike = {kind: torch.full(open_.shape, 1 / open_.shape[1]) for kind, open_ in choices.items()}
        estimator.space.from_cells(derivation.cells(choices, alike))
        for depth in map(stages.cells, range(stages.count)):
            if depth is not None:
                estimator.space.check_depth(depth)
        self.epochs = epochs
        self.warm_up = warm_up
        self.gradient_clip = gradient_clip
        self.recalibrate = recalibrate
        self._relaxation: Relaxation | None = None
        self._told: Progress | None = None  # what the parts of the relaxation know of the epoch
        self._stage = 0
        self._stage_steps = 0
        self._steps = 0  # over all stages, those of a state that was left again included
        self._tally: Tallied | None = None
        self._history: list[dict[str, Any]] = []  # of this stage
        self._kept: dict[int, dict[str, Any]] = {}  # states that the stopping rule may return to, by epoch
        self._result: dict[str, Any] | None = None
        self._trial: Trial | None = None
        self._spent = 0.0  # seconds, over all sittings

    def _begin(self, choices: CellChoices | None = None) -> Relaxation:
        """Make supernet and parameters of this stage, once; nothing before the first step needs them."""
        if self._relaxation is None:
            choices = self.shared.space.choices if choices is None else choices
            make = changed(self.mixing.fan_out, self.regularisers)
            self.shared.begin(make, self.epochs, self._stage, choices, self.stages.cells(self._stage))
            with seeded(self.seed, "architecture parameters", self._stage):
                self._told, self._relaxation = (
                    None,
                    Relaxation(
                        self.shared, self.mixing, choices, self.regularisers, self.optimizer, self.gradient_clip
                    ),
                )
        return self._relaxation

    @property
    def total(self) -> int:
        self._begin()
        return self.stages.count * self.epochs * self.shared.steps_per_epoch

    @property
    def position(self) -> int:
        return self._steps

    @property
    def done(self) -> bool:
        return self._trial is not None

    @property
    def evaluations(self) -> int:
        return int(self._trial is not None)

    @property
    def _progress(self) -> Progress:
        return Progress(self._stage_steps // self.shared.steps_per_epoch, self.epochs, self._stage, self.warm_up)

    def step(self) -> Step:
        began = time.time()
        metrics = self._train_step(self._begin()) if self._result is None else None
        finished = time.time()
        self._spent += finished - began
        if self._result is None:
            return Step(metrics=metrics, figures=self._figures())
        found = self._result
        trial = Trial(
            index=0,
            architecture=Architecture.from_json(found["architecture"]),
            score=self.shared.score(found),
            metrics=_numbers(found) | {"epochs": found["epoch"] + 1},
            cost_seconds=self._spent,
            budget=self._steps / self.shared.steps_per_epoch,
            started=finished - self._spent,  # as if it had been done in one sitting
            finished=finished,
        )
        return Step(trials=(trial,), metrics=metrics, figures=self._figures())

    def _train_step(self, relaxation: Relaxation) -> dict[str, Any] | None:
        progress, per_epoch = self._progress, self.shared.steps_per_epoch
        rate = self.shared.set_epoch(progress.epoch)
        if progress != self._told:  # once an epoch: parts walk through the whole supernet for it
            relaxation.set_progress(progress)
            self._told = progress
        with seeded(self.seed, "step", self._steps):
            if self._stage_steps < self.warm_up * per_epoch:
                tally = self.shared.weight_step(self.shared.train_batch(), relaxation.weights())
            else:
                tally = self.architecture_gradient.step(relaxation)
        if self._tally is None:
            self._tally = tally
        else:
            self._tally += tally
        self._steps += 1
        self._stage_steps += 1
        return self._end_epoch(relaxation, progress, rate) if self._stage_steps % per_epoch == 0 else None

    def _end_epoch(self, relaxation: Relaxation, progress: Progress, rate: float) -> dict[str, Any]:
        assert self._tally is not None  # an epoch has at least one step
        space = self.shared.space
        metrics: dict[str, Any] = {"epoch": progress.epoch, "step": self._steps}
        if self.stages.count > 1:
            metrics["stage"] = progress.stage
        metrics |= {"learning_rate": rate, "weight_decay": self.shared.optimizer.param_groups[0]["weight_decay"]}
        metrics |= self._tally.metrics("train")
        with seeded(self.seed, "end of epoch", self._steps):
            for regulariser in self.regularisers:
                metrics |= regulariser.end_epoch(relaxation, progress)
            probabilities, strengths = relaxation.probabilities(), relaxation.strengths()
            cells = self.derivation.cells(relaxation.choices, strengths)
            judged = self.mixing.validation_weights(relaxation.values)
            metrics |= self.shared.validate(judged, self.recalibrate).metrics("valid")
            for diagnostic in self.diagnostics:
                if diagnostic.due(progress):
                    metrics |= diagnostic.measure(relaxation, cells)
        for kind, rows in probabilities.items():
            metrics[f"entropy_{kind}"] = entropy(rows)
            metrics[f"skips_{kind}"] = sum(name == SKIP for node in cells[kind] for name, _ in node)
        architecture = space.from_cells(cells)
        metrics |= space.known(architecture)
        metrics["architecture"] = architecture.to_json()
        metrics["probabilities"] = {kind: _rounded(rows) for kind, rows in probabilities.items()}
        if not self._history:
            metrics["epochs"] = self.epochs
            metrics["frozen"] = int(self.warm_up)
            metrics["operations"] = {
                kind: [list(row) for row in choices.operations] for kind, choices in relaxation.choices.items()
            }
        self._tally = None
        self._history.append(metrics)
        self._decide(relaxation, self.stopping(self._history), strengths)
        return metrics

    def _decide(self, relaxation: Relaxation, stop: Stop | None, strengths: Mapping[str, Tensor]) -> None:
        """End the search or the stage, go back, or go on."""
        if stop is not None and stop.weight_decay is not None:
            log.info("back to the end of epoch %d with weight decay %g", stop.epoch + 1, stop.weight_decay)
            self._load_stage(relaxation, copy.deepcopy(self._kept[stop.epoch]))  # optimisers move what they load
            for group in self.shared.optimizer.param_groups:
                group["weight_decay"] = stop.weight_decay
            self._kept = {epoch: state for epoch, state in self._kept.items() if epoch <= stop.epoch}
            return
        if stop is None and len(self._history) < self.epochs:
            wanted = self.stopping.may_return_to(self._history)
            self._kept = {epoch: state for epoch, state in self._kept.items() if epoch in wanted}
            if len(self._history) - 1 in wanted:
                self._kept[len(self._history) - 1] = copy.deepcopy(self._stage_state(relaxation))
            return
        if stop is not None:
            log.info("stopped after %d epochs, with the cell after %d", len(self._history), stop.epoch + 1)
        if self._stage + 1 == self.stages.count:
            self._result = self._history[-1 if stop is None else stop.epoch]
            skips = most_skips(self._result)
            if skips >= SKIPS_TO_WARN_OF:
                log.warning("a normal cell has %d skip connections: the search may have collapsed", skips)
            return
        self._stage += 1
        choices = self.stages.narrowed(self._stage, relaxation.choices, strengths)
        self._stage_steps, self._history, self._kept, self._relaxation = 0, [], {}, None
        self._begin(choices)

    def _figures(self) -> dict[str, float]:
        """What a person wants to see now: the epoch under way, and what the last whole one gave."""
        figures: dict[str, float] = {"epoch": min(self._progress.epoch + 1, self.epochs)}
        if self.stages.count > 1:
            figures["stage"] = self._stage + 1
        if self._tally is not None:
            figures |= {name: value for name, value in self._tally.metrics("train").items() if name != "train_loss"}
        if self._history:
            last = self._history[-1]
            entropies = [value for name, value in last.items() if name.startswith("entropy_")]
            figures |= {name: last[name] for name in last if name in (self.score_name, "valid_perplexity")}
            figures["entropy"] = sum(entropies) / len(entropies)
        return figures

    def tell(self, trial: Trial) -> None:
        self._trial = trial

    def best(self) -> Best:
        if self._trial is None or self._trial.score is None:
            raise RuntimeError("best() before the search is done")
        return Best(self._trial.architecture, self._trial.score, self._trial.metrics)

    def _stage_state(self, relaxation: Relaxation) -> dict[str, Any]:
        """What a stage has reached."""
        return {
            "relaxation": relaxation.state_dict(),
            "steps": self._stage_steps,
            "history": self._history,
        }

    def _load_stage(self, relaxation: Relaxation, state: Mapping[str, Any]) -> None:
        relaxation.load_state_dict(state["relaxation"])
        self._stage_steps = state["steps"]
        self._history = list(state["history"])

    def state_dict(self) -> dict[str, Any]:
        relaxation = self._begin()
        return {
            "stage": self._stage,
            "operations": {kind: choices.operations for kind, choices in relaxation.choices.items()},
            "reached": self._stage_state(relaxation),
            "kept": self._kept,
            "steps": self._steps,
            "tally": None if self._tally is None else vars(self._tally).copy(),
            "result": self._result,
            "trial": self._trial and self._trial.to_json(),
            "spent": self._spent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._stage, self._relaxation = state["stage"], None
        open_ = {
            kind: replace(choices, operations=tuple(tuple(row) for row in state["operations"][kind]))
            for kind, choices in self.shared.space.choices.items()
        }
        self._load_stage(self._begin(open_), state["reached"])
        self._kept = state["kept"]
        self._steps = state["steps"]
        self._tally = None if state["tally"] is None else self.shared.restored_tally(state["tally"])
        self._result = state["result"]
        self._trial = state["trial"] and Trial.from_json(state["trial"])
        self._spent = state["spent"]


def entropy(probabilities: Tensor) -> float:
    """Mean over the rows of -Σ p log p, in nats: log(operations) where nothing is decided, 0 where all is."""
    return -torch.xlogy(probabilities, probabilities).sum(dim=-1).mean().item()


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """What a result says of an epoch: its numbers but for where it stood."""
    return {name: value for name, value in metrics.items() if isinstance(value, int | float) and name not in _POSITION}


def _rounded(rows: Tensor) -> list[list[float]]:
    return [[round(value, 6) for value in row] for row in rows.tolist()]
