"""Search over tasks: weights and an architecture from which few gradient steps lead to those that fit a task."""

from __future__ import annotations

import time
from typing import Any, Literal

import torch
from torch import nn

from nas_cli.architecture import Architecture
from nas_cli.data.base import Dataset
from nas_cli.data.episodes import Episodes, Sampler
from nas_cli.errors import CombinationError, require
from nas_cli.hardware import Hardware
from nas_cli.journal import Trial
from nas_cli.maml import Adaptation, Values, leaves
from nas_cli.runner import Best, Search, Step
from nas_cli.seeding import derive, seeded
from nas_cli.spaces.base import Space, SupernetSpace
from nas_cli.strategies.gradient.derivation import Derivation
from nas_cli.strategies.gradient.mixing import Mixing, Progress
from nas_cli.strategies.gradient.optimizers import ArchitectureOptimizer
from nas_cli.strategies.gradient.search import entropy
from nas_cli.tally import Tally
from nas_cli.task import Normalisation, Task, interval, mean_buffers


class MetaSearch(Search):
    """Learns a supernet's weights w̃ and architecture parameters θ̃ that adapt to a task in few gradient steps.

    One step is one meta-batch of tasks, or in the end one task of meta-test: from (w̃, θ̃) a few gradient steps on its
    support set, and the adapted parameters' own cell, scored by the adapted supernet on the queries. These cells are
    the trials; the result is the cell of θ̃ itself, with the mean accuracy over all test tasks.

    Args:
        mixing: from architecture parameters to edge weights.
        derivation: from parameters to a discrete cell.
        optimizer: of θ̃. Paper: Adam with learning rate 1e-3.
        adaptation: the inner steps.
        episodes: how tasks are made from the data set.
        epochs: between two lines of metrics there is one. Paper: 10.
        tasks: of meta-train in an epoch, a multiple of `meta_batch`. Paper: 5,000.
        meta_batch: tasks of one outer step. Paper: 4.
        test_tasks: of meta-test, in the end. Paper: 600.
        learning_rate: of Adam on w̃. Paper: 1e-3.
        architecture: ``joint``: θ̃ learns from the same tasks as w̃ (T-NAS); ``split``: w̃ from one half of the classes,
            θ̃ from the other (Auto-MAML, with an inner `architecture_rate` of 0); ``fixed``: it does not learn (MAML).
        normalisation: of queries: ``transductive``, by their own statistics, as published; or ``running``, by the
            running ones of the adaptation, each task going on from the mean over the tasks before.
    Reference: Lian et al., Towards Fast Adaptation of Neural Architectures with Meta Learning, ICLR 2020, algorithm 1,
        eqs. 3 to 6.
    """

    score_name = "query_accuracy"

    def __init__(
        self,
        space: Space,
        dataset: Dataset,
        hardware: Hardware,
        seed: int,
        mixing: Mixing,
        derivation: Derivation,
        optimizer: ArchitectureOptimizer,
        adaptation: Adaptation,
        episodes: Episodes,
        epochs: int = 4,
        tasks: int = 100,
        meta_batch: int = 4,
        test_tasks: int = 60,
        learning_rate: float = 1e-3,
        architecture: Literal["joint", "split", "fixed"] = "joint",
        normalisation: Normalisation = "transductive",
    ) -> None:
        if not isinstance(space, SupernetSpace):
            raise CombinationError(
                f"space={space.name} has no supernet, which strategy=tnas trains; space=darts has one"
            )
        for name, value in {"epochs": epochs, "meta_batch": meta_batch, "test_tasks": test_tasks}.items():
            require(value >= 1, f"{name} must be at least 1, not {value}")
        require(
            tasks >= 1 and tasks % meta_batch == 0,
            f"tasks must be a positive multiple of meta_batch={meta_batch}, not {tasks}",
        )
        require(learning_rate > 0, f"learning_rate must be above 0, not {learning_rate}")
        self.space = space
        self.dataset = dataset
        self.hardware = hardware
        self.seed = seed
        self.mixing = mixing
        self.derivation = derivation
        self.optimizer = optimizer
        self.adaptation = adaptation
        self.episodes = episodes
        self.epochs = epochs
        self.steps_per_epoch = tasks // meta_batch
        self.meta_batch = meta_batch
        self.test_tasks = test_tasks
        self.learning_rate = learning_rate
        self.architecture = architecture
        self.normalisation = normalisation
        self._network: nn.Module | None = None
        self._steps = 0
        self._tally = Tally()
        self._last: dict[str, Any] = {}
        self._trials: list[Trial] = []

    def _begin(self) -> nn.Module:
        """Read the data and make supernet, parameters and optimisers, once; nothing before the first step needs them.

        Sizes that do not fit the images are refused before any image is read.
        """
        if self._network is None:
            shape, device = self.episodes.input_shape(self.dataset), self.hardware.device
            with seeded(self.seed, "supernet"):
                network = self.space.supernet(shape, self.episodes.ways, self.mixing.fan_out)
            self._train = self.episodes.train(self.dataset, derive(self.seed, "meta-train"), device)
            self._test = self.episodes.test(self.dataset, derive(self.seed, "meta-test"), device)
            network = self.hardware.place(network)
            with seeded(self.seed, "architecture parameters"):
                initial = self.mixing.initial(self.space.choices)
            self._parameters = {name: value.to(device).requires_grad_() for name, value in initial.items()}
            fixed = self.mixing.fixed(self.space.choices)
            self._fixed = {name: value.to(device) for name, value in fixed.items()}
            self._weight_optimizer = torch.optim.Adam(network.parameters(), self.learning_rate)
            self._architecture_optimizer = self.optimizer(self._parameters.values())
            self._rounds = self._make_rounds()
            self._network = network
        return self._network

    def _make_rounds(self) -> list[tuple[Sampler, list[torch.optim.Optimizer]]]:
        """What an outer step does, in order: tasks from where, and what moves along their gradient."""
        weights, architecture = self._weight_optimizer, self._architecture_optimizer
        if self.architecture == "split":
            first, second = self._train.halves()
            return [(first, [weights]), (second, [architecture])]
        return [(self._train, [weights, architecture] if self.architecture == "joint" else [weights])]

    @property
    def _outer_steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    @property
    def total(self) -> int:
        self._begin()
        return self._outer_steps + self.test_tasks

    @property
    def position(self) -> int:
        return self._steps + len(self._trials)

    @property
    def done(self) -> bool:
        return len(self._trials) == self.test_tasks

    @property
    def evaluations(self) -> int:
        return len(self._trials)

    def step(self) -> Step:
        network = self._begin()
        if self._steps < self._outer_steps:
            metrics = self._outer_step(network)
            return Step(metrics=metrics, figures=self._figures())
        trial = self._test_task(network, len(self._trials))
        metrics = None
        if trial.index + 1 == self.test_tasks:
            position = {"epoch": self.epochs, "step": self._outer_steps}
            metrics = {**position, **self._summary([*self._trials, trial])}
        return Step(trials=(trial,), metrics=metrics, figures={"query_accuracy": interval(self._accuracies(trial))[0]})

    def _outer_step(self, network: nn.Module) -> dict[str, Any] | None:
        """Equation 6: both move along the mean, over a meta-batch, of gradients of the query loss."""
        self._set_progress()
        for number, (sampler, optimizers) in enumerate(self._rounds):
            tensors = [*network.parameters(), *self._parameters.values()]
            total = [torch.zeros_like(tensor) for tensor in tensors]
            buffers = []
            for place in range(self.meta_batch):
                task = self._task(network, sampler, self._steps * self.meta_batch + place)
                with seeded(self.seed, "task", number, self._steps, place):
                    found = self.adaptation.meta_gradient(task.support, task.query, *self._start(network))
                torch._foreach_add_(total, found)
                self._tally += task.tally
                buffers.append(task.buffers)
            # The adapted values are others than the network's, so there is nothing to restore before this.
            for tensor, slope in zip(tensors, total, strict=True):
                tensor.grad = slope / self.meta_batch
            for optimizer in optimizers:
                optimizer.step()
            if self.normalisation == "running":
                network.load_state_dict(mean_buffers(buffers), strict=False)
        self._steps += 1
        return self._end_epoch() if self._steps % self.steps_per_epoch == 0 else None

    def _set_progress(self) -> None:
        """Tell the mixing the epoch; tasks of meta-test are in the last."""
        self.mixing.set_progress(Progress(min(self._steps // self.steps_per_epoch, self.epochs - 1), self.epochs))

    def _start(self, network: nn.Module) -> tuple[Values, Values]:
        """(w̃, θ̃), as leaves of a new graph."""
        return leaves(dict(network.named_parameters())), leaves(self._parameters)

    def _task(self, network: nn.Module, sampler: Sampler, number: int) -> Task:
        return Task(network, sampler.episode(number), self.hardware, self.normalisation, self._edge_weights)

    def _edge_weights(self, parameters: Values) -> Values:
        return self.mixing.weights({**parameters, **self._fixed})

    def _end_epoch(self) -> dict[str, Any]:
        epoch = self._steps // self.steps_per_epoch - 1
        metrics: dict[str, Any] = {"epoch": epoch, "step": self._steps, **self._tally.metrics("train")}
        for kind, rows in self.mixing.probabilities({**self._parameters, **self._fixed}).items():
            metrics[f"entropy_{kind}"] = entropy(rows)
        metrics["architecture"] = self._decode(self._parameters).to_json()
        self._tally = Tally()
        self._last = metrics
        return metrics

    def _test_task(self, network: nn.Module, number: int) -> Trial:
        """Adapt to a task of meta-test, decode its own cell, and judge the adapted supernet on its queries."""
        started = time.time()
        self._set_progress()
        task = self._task(network, self._test, number)
        with seeded(self.seed, "test task", number):
            adapted = self.adaptation.adapt(task.support, *self._start(network), self.adaptation.test_steps)
            weights, parameters = (leaves(values) for values in adapted)
            with torch.no_grad():
                task.query(weights, parameters)
        moves = [(value - self._parameters[name]).detach().flatten() for name, value in parameters.items()]
        metrics = {**task.tally.metrics("query"), "distance": float(torch.cat(moves).norm())}
        return Trial(
            index=number,
            architecture=self._decode(parameters),
            score=metrics["query_accuracy"],
            metrics=metrics,
            cost_seconds=time.time() - started,
            budget=self.adaptation.test_steps,
            started=started,
            finished=time.time(),
        )

    def _decode(self, parameters: Values) -> Architecture:
        strengths = self.mixing.strengths({**parameters, **self._fixed})
        return self.space.from_cells(self.derivation.cells(self.space.choices, strengths))

    def _accuracies(self, *more: Trial) -> list[float]:
        return [trial.metrics["query_accuracy"] for trial in (*self._trials, *more)]

    def _summary(self, trials: list[Trial]) -> dict[str, float]:
        mean, half = interval([trial.metrics["query_accuracy"] for trial in trials])
        return {
            "query_accuracy": mean,
            "query_accuracy_ci95": half,
            "query_loss": sum(trial.metrics["query_loss"] for trial in trials) / len(trials),
            "distinct_cells": len({trial.architecture for trial in trials}),
            "distance": sum(trial.metrics["distance"] for trial in trials) / len(trials),
        }

    def _figures(self) -> dict[str, float]:
        """What a person wants to see now: the epoch under way and the query accuracy in it."""
        figures: dict[str, float] = {"epoch": min(self._steps // self.steps_per_epoch + 1, self.epochs)}
        source = self._tally.metrics("train") if self._tally.images else self._last
        return {**figures, "train_accuracy": source["train_accuracy"]}

    def tell(self, trial: Trial) -> None:
        self._trials.append(trial)

    def best(self) -> Best:
        if not self.done:
            raise RuntimeError("best() before the search is done")
        summary = self._summary(self._trials)
        learnt = {name: value for name, value in self._last.items() if name.startswith(("train_", "entropy_"))}
        return Best(self._decode(self._parameters), summary["query_accuracy"], {**summary, **learnt})

    def state_dict(self) -> dict[str, Any]:
        network = self._begin()
        return {
            "network": network.state_dict(),
            "parameters": {name: value.detach() for name, value in self._parameters.items()},
            "fixed": self._fixed,
            "weight_optimizer": self._weight_optimizer.state_dict(),
            "architecture_optimizer": self._architecture_optimizer.state_dict(),
            "steps": self._steps,
            "tally": vars(self._tally).copy(),
            "last": self._last,
            "trials": [trial.to_json() for trial in self._trials],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._begin().load_state_dict(state["network"])
        with torch.no_grad():
            for name, value in [*self._parameters.items(), *self._fixed.items()]:
                value.copy_({**state["parameters"], **state["fixed"]}[name])
        self._weight_optimizer.load_state_dict(state["weight_optimizer"])
        self._architecture_optimizer.load_state_dict(state["architecture_optimizer"])
        self._steps = state["steps"]
        self._tally = Tally(**state["tally"])
        self._last = state["last"]
        self._trials = [Trial.from_json(trial) for trial in state["trials"]]
