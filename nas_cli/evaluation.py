"""The evaluation phase: train one architecture from scratch on all training images, then test it once."""

from __future__ import annotations

import logging
import math
import time
from functools import cached_property
from typing import Any

import torch

from nas_cli.architecture import Architecture
from nas_cli.cost import count
from nas_cli.data.base import Dataset
from nas_cli.errors import CombinationError, InputError, NasError
from nas_cli.hardware import Hardware
from nas_cli.journal import Trial
from nas_cli.runner import Best, Search, Step
from nas_cli.spaces.base import NetworkSpace, Space
from nas_cli.training import Recipe, Training

log = logging.getLogger(__name__)


class Evaluation(Search):
    """A search with one candidate: trained step by step, tested after the last one.

    The test images are read once, at the end, so that no choice can lean on them. With no epochs nothing is read at
    all, and only parameters and multiply-adds are counted.

    Raises `InputError` where the space makes no networks, or none with what the recipe asks for, or the architecture
    is none of its own.
    """

    score_name = "test_accuracy"

    def __init__(
        self, recipe: Recipe, architecture: Architecture, space: Space, dataset: Dataset, hardware: Hardware, seed: int
    ) -> None:
        if not isinstance(space, NetworkSpace):
            raise CombinationError(f"space={space.name}: makes no networks to evaluate")
        if architecture.space != space.name:
            raise InputError(f"the architecture is of space {architecture.space}, not of {space.name}: set space=")
        recipe.check(space, "evaluation.")
        self.recipe = recipe
        self.architecture = architecture
        self.space: NetworkSpace = space
        self.dataset = dataset
        self.hardware = hardware
        self.seed = seed
        self._trial: Trial | None = None
        self._spent = 0.0

    def _new_training(self) -> Training:
        # What does not fit comes to light before any image is read: without memory for its weights a network is cheap.
        self.recipe.augmentation(self.dataset)
        with torch.device("meta"):
            self.recipe.check_paths(self.recipe.build(self.architecture, self.space, self.dataset), self.space)
        source = self.dataset.train()
        self.dataset.test()  # a missing test set must not come to light after hours of training
        return Training(self.recipe, self.architecture, self.space, self.dataset, source, self.hardware, self.seed)

    @cached_property
    def _training(self) -> Training:
        return self._new_training()

    @property
    def total(self) -> int:
        return self._training.total_steps if self.recipe.epochs else 0

    @property
    def position(self) -> int:
        return self._training.step_count if self.recipe.epochs else 0

    @property
    def done(self) -> bool:
        return self._trial is not None or self.recipe.epochs == 0

    @property
    def evaluations(self) -> int:
        return int(self._trial is not None)

    def step(self) -> Step:
        began = time.time()
        metrics = None
        if not self._training.done:
            metrics = self._training.step()
        if not self._training.done:
            self._spent += time.time() - began
            return Step(metrics=metrics, figures=self._training.figures)
        tested = self._training.test(self.dataset.test()).metrics("test")
        finished = time.time()
        self._spent += finished - began
        trial = Trial(
            index=0,
            architecture=self.architecture,
            score=tested["test_accuracy"],
            metrics={**(metrics or {}), **tested},
            cost_seconds=self._spent,
            budget=self.recipe.epochs,
            started=finished - self._spent,  # as if it had been done in one sitting
            finished=finished,
        )
        return Step(trials=(trial,), metrics=metrics, figures={"test_accuracy": tested["test_accuracy"]})

    def tell(self, trial: Trial) -> None:
        self._trial = trial

    def best(self) -> Best:
        shape, classes = self.dataset.input_shape, self.dataset.classes
        cost = count(lambda: self.recipe.build(self.architecture, self.space, self.dataset), shape)
        counts: dict[str, float] = {"params": cost.params, "macs": cost.macs}
        if cost.params_with_auxiliary != cost.params:
            counts["params_with_auxiliary"] = cost.params_with_auxiliary
        counts["classes"] = classes
        if self._trial is None or self._trial.score is None:
            return Best(self.architecture, math.nan, counts)
        tested = {name: value for name, value in self._trial.metrics.items() if name.startswith("test_")}
        tested["test_error"] = 1 - self._trial.score
        return Best(self.architecture, self._trial.score, {**tested, **counts})

    def confirm(self, state: dict[str, Any]) -> None:
        """Test a network made anew from the saved state. Raises `NasError` unless it does exactly as well."""
        if self._trial is None:
            return
        again = self._new_training()
        again.load_state_dict(state["training"])
        accuracy = again.test(self.dataset.test()).metrics("test")["test_accuracy"]
        if accuracy != self._trial.score:
            raise NasError(
                f"the saved network tests at {accuracy}, the trained one at {self._trial.score}: not the same"
            )
        log.info("checkpoint reloaded and tested again: the same test accuracy, %.2f %%", 100 * accuracy)

    def state_dict(self) -> dict[str, Any]:
        training = self._training.state_dict() if self.recipe.epochs else None
        return {"training": training, "trial": self._trial and self._trial.to_json(), "spent": self._spent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["training"] is not None:
            self._training.load_state_dict(state["training"])
        self._trial = state["trial"] and Trial.from_json(state["trial"])
        self._spent = state["spent"]
