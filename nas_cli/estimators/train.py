"""Scores from training each architecture from scratch."""

from __future__ import annotations

import dataclasses
import time

from nas_cli.architecture import Architecture
from nas_cli.data.base import Dataset, Source
from nas_cli.errors import CombinationError, require
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.hardware import Hardware
from nas_cli.seeding import derive
from nas_cli.spaces.base import NetworkSpace, Space
from nas_cli.training import Recipe, Training


class Train(Estimator):
    """Train on one part of the training set, score by the accuracy on the other; the test set is never read.

    Args:
        recipe: how. A budget, in epochs, replaces its `epochs`.
        split: share of the training images to train on.
    """

    score_name = "valid_accuracy"

    def __init__(
        self, space: Space, dataset: Dataset, hardware: Hardware, seed: int, recipe: Recipe, split: float = 0.5
    ) -> None:
        if not isinstance(space, NetworkSpace):
            raise CombinationError(
                f"space={space.name} with estimator=train: makes no networks; a function has estimator=function"
            )
        require(recipe.epochs >= 1, f"recipe.epochs must be at least 1, not {recipe.epochs}")
        require(0 < split < 1, f"split must be between 0 and 1, not {split}")
        recipe.check(space, "estimator.recipe.")
        self.space = space
        self.dataset = dataset
        self.hardware = hardware
        self.seed = seed
        self.recipe = recipe
        self.split = split
        self._parts: tuple[Source, Source] | None = None

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        if self._parts is None:
            self.recipe.augmentation(self.dataset)  # refuses what does not fit before any image is read
            self._parts = self.dataset.search_split(self.split)
        train, held_out = self._parts
        recipe = self.recipe if budget is None else dataclasses.replace(self.recipe, epochs=round(budget))
        # Seeded by the architecture, so that its score does not depend on what was measured before it.
        seed = derive(self.seed, str(architecture))
        began = time.monotonic()
        training = Training(recipe, architecture, self.space, self.dataset, train, self.hardware, seed)
        metrics: dict[str, float] = {}
        while not training.done:
            metrics = training.step() or metrics
        metrics = {"train_accuracy": metrics["train_accuracy"], **training.test(held_out).metrics("valid")}
        return Measurement(metrics["valid_accuracy"], metrics, time.monotonic() - began)
