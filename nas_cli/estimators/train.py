"""Scores from training each candidate from scratch."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch

from nas_cli.architecture import Architecture
from nas_cli.data.base import Dataset, Source
from nas_cli.data.text import TextDataset
from nas_cli.errors import CombinationError, InputError, require
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.hardware import Hardware
from nas_cli.seeding import derive, numpy_generator, seeded
from nas_cli.spaces.base import NetworkSpace, Space
from nas_cli.spaces.language import LanguageSpace
from nas_cli.spaces.learning import Learner
from nas_cli.training import Recipe, Training

log = logging.getLogger(__name__)


class Train(Estimator):
    """Train on one part of the training set, score by the accuracy on the other; never by the test set.

    Args:
        recipe: how image networks are trained. A budget, in epochs, replaces its `epochs`. A space of
            hyper-parameters (`mlp`, `dbn` …) says itself how what it tunes is trained; this is not for it.
        split: share of the training images to train on.
        best_of_last: the score is the best accuracy of so many epochs at the end, each judged for it. Zoph and Le: 5.
            Not for a space of hyper-parameters either.
    """

    candidates = 40

    def __init__(
        self,
        space: Space,
        dataset: Dataset | TextDataset,
        hardware: Hardware,
        seed: int,
        recipe: Recipe,
        split: float = 0.5,
        best_of_last: int = 1,
    ) -> None:
        require(0 < split < 1, f"split must be between 0 and 1, not {split}")
        require(best_of_last >= 1, f"best_of_last must be at least 1, not {best_of_last}")
        self.learner = _learner(space, recipe, best_of_last)
        self.learner.check(dataset)
        self.score_name = self.learner.score_name
        self.dataset = dataset
        self.hardware = hardware
        self.seed = seed
        self.split = split

    def prepare(self) -> None:
        self.hardware.prepare()
        _ = self._data

    @cached_property
    def _data(self) -> Any:
        return self.learner.read(self.dataset, self.split, self.hardware)

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        # Seeded by the architecture, so that its score does not depend on what was measured before it.
        seed = derive(self.seed, str(architecture))
        began = time.monotonic()
        metrics = self.learner.learn(architecture, self._data, seed, budget)
        return Measurement(metrics[self.score_name], metrics, time.monotonic() - began)


def _learner(space: Space, recipe: Recipe, best_of_last: int) -> Learner:
    """Who trains the architectures of a space: the space itself, or the recipe."""
    if isinstance(space, Learner):
        return space
    if isinstance(space, NetworkSpace):
        return _Networks(space, recipe, best_of_last)
    if isinstance(space, LanguageSpace):
        raise CombinationError(
            f"space={space.name} with estimator=train: makes language models; take estimator=train_language"
        )
    raise CombinationError(
        f"space={space.name} with estimator=train: makes no networks; a function has estimator=function"
    )


class _Networks(Learner):
    """Trains the image networks of a space by a recipe; the test images are never read."""

    def __init__(self, space: NetworkSpace, recipe: Recipe, best_of_last: int) -> None:
        require(recipe.epochs >= 1, f"recipe.epochs must be at least 1, not {recipe.epochs}")
        recipe.check(space, "estimator.recipe.")
        self.space = space
        self.recipe = recipe
        self.best_of_last = best_of_last

    def check(self, dataset: Dataset | TextDataset) -> None:
        if not isinstance(dataset, Dataset):
            raise CombinationError(f"dataset={dataset.name} with space={self.space.name}: it learns from images")

    def read(self, dataset: Any, split: float, hardware: Hardware) -> tuple[Dataset, Source, Source, Hardware]:
        # What does not fit is refused before any image is read.
        self.recipe.augmentation(dataset)
        self._try_size(dataset)
        return dataset, *dataset.search_split(split), hardware

    def _try_size(self, dataset: Dataset) -> None:
        """Raise `InputError` where a network, any one, cannot be made for the images; any other fault is its own."""
        try:
            with seeded(0, "size"), torch.device("meta"):  # without memory for its weights a network is cheap
                self.recipe.build(self.space.sample(numpy_generator(0, "size")), self.space, dataset)
        except InputError:
            raise
        except Exception as error:  # a user's network can fail in any way; its trial will tell
            log.debug("a network that was only to be tried: %s", error)

    def learn(
        self,
        architecture: Architecture,
        data: tuple[Dataset, Source, Source, Hardware],
        seed: int,
        budget: float | None,
    ) -> Mapping[str, float]:
        dataset, train, held_out, hardware = data
        recipe = self.recipe if budget is None else dataclasses.replace(self.recipe, epochs=round(budget))
        training = Training(recipe, architecture, self.space, dataset, train, hardware, seed)
        best: dict[str, float] = {}
        while not training.done:
            metrics = training.step()
            if metrics is not None and metrics["epoch"] >= recipe.epochs - self.best_of_last:
                judged = training.test(held_out).metrics("valid")
                if not best or judged["valid_accuracy"] > best["valid_accuracy"]:
                    best = {"train_accuracy": metrics["train_accuracy"], **judged}
        return best
