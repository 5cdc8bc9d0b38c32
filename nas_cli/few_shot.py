"""The few-shot evaluation: an architecture's initial weights learnt from scratch over tasks, then tested on new ones.

Reference: Finn, Abbeel, Levine, MAML, ICML 2017, arXiv:1703.03400; Antoniou, Edwards, Storkey, How to Train Your MAML,
ICLR 2019, arXiv:1810.09502; Lian et al., T-NAS, ICLR 2020, sec. 4.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from nas_cli.architecture import Architecture
from nas_cli.cost import count
from nas_cli.data.base import Dataset
from nas_cli.data.episodes import Episodes, Sampler
from nas_cli.descent import check_finite
from nas_cli.errors import CombinationError, require
from nas_cli.hardware import Hardware
from nas_cli.learner import Learner, step_weights
from nas_cli.recipe import EvaluationRecipe, ResumableTraining
from nas_cli.schedules import Exponential, Schedule
from nas_cli.seeding import derive, seeded
from nas_cli.spaces.base import NetworkSpace, Space
from nas_cli.tally import Tally
from nas_cli.task import Task, interval

EPISODES = Episodes()
CONSTANT = Exponential(decay=1.0)


@dataclass(frozen=True)
class FewShotRecipe(EvaluationRecipe):
    """How the initial weights of a network are learnt over meta-train tasks, by MAML or with the additions of MAML++.

    All images are normalised by the statistics of their own batch (transductive), in training and in test.

    Args:
        episodes: how tasks are made from the data set.
        epochs: between two lines of metrics there is one; 0 only builds and counts. T-NAS: 20.
        tasks: of meta-train in an epoch, a multiple of `meta_batch`. T-NAS: 15,000.
        meta_batch: tasks of one outer step. T-NAS: 4.
        test_tasks: of meta-test. T-NAS: 600.
        steps, test_steps: inner steps in training and in test. T-NAS: 5 and 10.
        inner_rate: of the inner steps. T-NAS: 0.1 (its code: 0.01).
        learning_rate: of Adam on what is learnt over tasks. T-NAS: 1e-3.
        schedule: how that rate goes on; MAML++: on a cosine.
        weight_decay: of Adam. T-NAS: 3e-4.
        annealing: MAML++: the query losses after all inner steps count, over so many epochs ever more the last alone.
            MAML++: 10 to 15; 0: the last alone.
        learn_rates: MAML++: every parameter learns a rate for each inner step.
        step_norms: MAML++: normalisations have a scale and a shift for each inner step.
        second_order_from: the epoch, from 0, from which gradients go through the inner steps; None: never, as T-NAS.
            MAML++: 50 of 100.
        channels, cells: size of the network; None: the space's own.
    Raises:
        InputError: an option out of range.
    """

    score_name: ClassVar[str] = "test_query_accuracy"

    episodes: Episodes = EPISODES
    epochs: int = 4
    tasks: int = 100
    meta_batch: int = 4
    test_tasks: int = 60
    steps: int = 3
    test_steps: int = 6
    inner_rate: float = 0.1
    learning_rate: float = 1e-3
    schedule: Schedule = CONSTANT
    weight_decay: float = 0.0
    annealing: int = 0
    learn_rates: bool = False
    step_norms: bool = False
    second_order_from: int | None = None
    channels: int | None = None
    cells: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "weight_decay", "annealing"):
            require(getattr(self, name) >= 0, f"{name} must be at least 0, not {getattr(self, name)}")
        for name in ("meta_batch", "test_tasks", "steps", "test_steps"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("inner_rate", "learning_rate"):
            require(getattr(self, name) > 0, f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("channels", "cells"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} must be at least 1 or null, not {value}")
        require(
            self.tasks >= 1 and self.tasks % self.meta_batch == 0,
            f"tasks must be a positive multiple of meta_batch={self.meta_batch}, not {self.tasks}",
        )
        start = self.second_order_from
        require(start is None or start >= 0, f"second_order_from must be at least 0 or null, not {start}")

    @property
    def _network_options(self) -> dict[str, int]:
        wanted = {"channels": self.channels, "cells": self.cells}
        return {name: value for name, value in wanted.items() if value is not None}

    def check_parts(self, space: Space, dataset: object) -> None:
        if not isinstance(space, NetworkSpace):
            raise CombinationError(f"space={space.name}: makes no image networks, which this evaluation trains")
        if not isinstance(dataset, Dataset):
            raise CombinationError(f"dataset={getattr(dataset, 'name', dataset)}: has no images to make tasks of")
        known = inspect.signature(space.build).parameters
        for name, value in self._network_options.items():
            if name not in known:
                raise CombinationError(
                    f"evaluation.{name}={value}: networks of space {space.name} have no {name} to set; set it to null"
                )

    def build(self, architecture: Architecture, space: NetworkSpace, dataset: Dataset) -> nn.Module:
        """The network of an architecture for tasks, initialised from torch's current generator."""
        shape = self.episodes.input_shape(dataset)
        return space.build(architecture, shape, self.episodes.ways, **self._network_options)

    def training(
        self, architecture: Architecture, space: NetworkSpace, dataset: Dataset, hardware: Hardware, seed: int
    ) -> FewShotTraining:
        # What does not fit comes to light before any image is read: without memory for its weights a network is cheap.
        with torch.device("meta"):
            self.build(architecture, space, dataset)
        train = self.episodes.train(dataset, derive(seed, "meta-train"), hardware.device)
        test = self.episodes.test(dataset, derive(seed, "meta-test"), hardware.device)
        with seeded(seed, "network"):
            network = self.build(architecture, space, dataset)
        return FewShotTraining(self, hardware.place(network), train, test, hardware, seed)

    def counts(self, architecture: Architecture, space: NetworkSpace, dataset: Dataset) -> dict[str, float]:
        cost = count(lambda: self.build(architecture, space, dataset), self.episodes.input_shape(dataset))
        return {"params": cost.params, "macs": cost.macs, "classes": self.episodes.ways}

    def score(self, metrics: Mapping[str, float]) -> float:
        return metrics[self.score_name]


class FewShotTraining(ResumableTraining):
    """Learns over tasks, a meta-batch a step.

    Args:
        recipe: how.
        network: what, on its device.
        train, test: tasks of meta-train and of meta-test.
        seed: of dropout in the network.
    """

    def __init__(
        self, recipe: FewShotRecipe, network: nn.Module, train: Sampler, test: Sampler, hardware: Hardware, seed: int
    ) -> None:
        self.recipe = recipe
        self.network = network
        self.hardware = hardware
        self.seed = seed
        self.learner = Learner(network, recipe.steps, recipe.inner_rate, recipe.learn_rates, recipe.step_norms)
        self.optimizer = torch.optim.Adam(self.learner.meta, recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.step_count = 0
        self._train, self._test = train, test
        self._steps_per_epoch = recipe.tasks // recipe.meta_batch
        self._tally = Tally()

    @property
    def total_steps(self) -> int:
        return self.recipe.epochs * self._steps_per_epoch

    def step(self) -> dict[str, Any] | None:
        """One step of Adam along the mean gradient of a meta-batch; the epoch's metrics where it was the last of one.

        Raises `DivergedError` on a loss that is not finite, before anything learnt is changed.
        """
        recipe, epoch = self.recipe, self.step_count // self._steps_per_epoch
        rate = recipe.schedule.rate(recipe.learning_rate, epoch, recipe.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        counted = step_weights(recipe.steps, epoch, recipe.annealing)
        second = recipe.second_order_from is not None and epoch >= recipe.second_order_from
        self.optimizer.zero_grad(set_to_none=True)
        for place in range(recipe.meta_batch):
            task = self._task(self._train, self.step_count * recipe.meta_batch + place)
            with seeded(self.seed, "task", self.step_count, place):
                weighted = []
                for share, weights in zip(counted, self.learner.adapted(task, recipe.steps, second), strict=True):
                    if share:
                        task.tally = Tally()  # of the queries after the last step, whatever counts before
                        weighted.append(share * task.query(weights, {}))
                loss = torch.stack(weighted).sum()
                check_finite(loss, f"the query loss in epoch {epoch}")
                (loss / recipe.meta_batch).backward()  # type: ignore[no-untyped-call]
            self._tally += task.tally
        self.optimizer.step()
        self.step_count += 1
        if self.step_count % self._steps_per_epoch:
            return None
        metrics = {"epoch": epoch, "step": self.step_count, "learning_rate": rate, **self._tally.metrics("train")}
        self._tally = Tally()
        return metrics

    def _task(self, sampler: Sampler, number: int) -> Task:
        return Task(self.network, sampler.episode(number), self.hardware, "transductive")

    @property
    def figures(self) -> dict[str, float]:
        """What a person wants to see now: the epoch under way and the query accuracy in it so far."""
        epoch = min(self.step_count // self._steps_per_epoch + 1, self.recipe.epochs)
        return {"epoch": epoch, **(self._tally.metrics("train") if self._tally.images else {})}

    def tested(self) -> dict[str, float]:
        """Mean query accuracy over the tasks of meta-test after `test_steps` steps on each, with its interval."""
        accuracies, total = [], Tally()
        for number in range(self.recipe.test_tasks):
            task = self._task(self._test, number)
            with seeded(self.seed, "test task", number):
                *_, weights = self.learner.adapted(task, self.recipe.test_steps, False)
                with torch.no_grad():
                    check_finite(task.query(weights, {}), "the query loss of a test task")
            accuracies.append(task.tally.metrics("query")["query_accuracy"])
            total += task.tally
        mean, half = interval(accuracies)
        return {
            "test_query_accuracy": mean,
            "test_query_accuracy_ci95": half,
            "test_query_loss": total.metrics("test")["test_loss"],
            "test_tasks": len(accuracies),
        }

    def state_dict(self) -> dict[str, Any]:
        """What was learnt, the optimiser, the position and the sums of the epoch under way."""
        return {
            "learner": self.learner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step_count,
            "tally": vars(self._tally).copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.learner.load_state_dict(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step_count = state["step"]
        self._tally = Tally(**state["tally"])
