"""Spaces of hyper-parameters: an architecture says how something learns, and the space lets it learn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from nas_cli.architecture import Architecture
from nas_cli.data.base import Dataset
from nas_cli.data.text import TextDataset
from nas_cli.errors import CombinationError
from nas_cli.hardware import Hardware
from nas_cli.spaces.base import Space


class Learner(ABC):
    """What the estimator `train` works with: reads its data once, then learns from them once for every candidate."""

    #: The metric that is the score, to be maximised.
    score_name: str = "valid_accuracy"

    @abstractmethod
    def check(self, dataset: Dataset | TextDataset) -> None:
        """Raise `CombinationError` where it cannot learn from a data set; nothing is read."""

    @abstractmethod
    def read(self, dataset: Any, split: float, hardware: Hardware) -> Any:
        """What `learn` learns from.

        Args:
            dataset: one that `check` let pass.
            split: share of the training images to train on; the others give the score.
            hardware: where it learns.

        Raises `InputError` for missing or damaged files.
        """

    @abstractmethod
    def learn(self, architecture: Architecture, data: Any, seed: int, budget: float | None) -> Mapping[str, float]:
        """Learn from scratch, and say how well it went.

        Args:
            architecture: a candidate.
            data: from `read`.
            seed: of everything random in it.
            budget: in epochs; None: what the candidate itself says.
        Returns: metrics, among them that of `score_name`, which must not depend on any test data.

        Raises `DivergedError` where a loss is not finite.
        """


class LearningProblem(Space, Learner):
    """A space of hyper-parameters of something that learns, which `estimator=train` judges."""

    #: What it learns from, and what that is called.
    learns_from: ClassVar[type[Dataset | TextDataset]] = Dataset
    wanted: ClassVar[str] = "images"

    def check(self, dataset: Dataset | TextDataset) -> None:
        if not isinstance(dataset, self.learns_from):
            raise CombinationError(f"dataset={dataset.name} with space={self.name}: it learns from {self.wanted}")

    def values(self, architecture: Architecture) -> dict[str, Any]:
        """The value of every decision, by its name."""
        names = [decision.name for decision in self.decisions]
        return dict(zip(names, self.encode(architecture), strict=True))


def epochs_within(budget: float | None, epochs: int) -> int:
    """So many epochs, or what the budget leaves of them, at least one."""
    return epochs if budget is None else max(1, min(epochs, round(budget)))
