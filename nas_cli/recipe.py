"""What a recipe of the evaluation phase is: it makes the training of one architecture, and knows what is reported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from nas_cli.architecture import Architecture
from nas_cli.hardware import Hardware
from nas_cli.spaces.base import Space


class ResumableTraining(ABC):
    """One training from scratch, a batch a step; its state can be saved after any step.

    Attributes:
        step_count: steps done.
    """

    step_count: int

    @property
    @abstractmethod
    def total_steps(self) -> int:
        """How many steps there will be."""

    @property
    def done(self) -> bool:
        """Whether there is nothing left to train."""
        return self.step_count >= self.total_steps

    @abstractmethod
    def step(self) -> dict[str, Any] | None:
        """Train on one batch; the epoch's metrics where it was the last of one.

        Raises `DivergedError` on a loss or gradient that is not finite.
        """

    @property
    @abstractmethod
    def figures(self) -> dict[str, float]:
        """What a person wants to see now."""

    @abstractmethod
    def tested(self) -> dict[str, float]:
        """What the test data say of the trained network, and the choices behind it.

        The prefixes of the names are ``test_``, ``valid_`` and ``best_``.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that a resumed training needs."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""


class EvaluationRecipe(ABC):
    """How an architecture is trained from scratch and tested; a part of its own for each kind of network.

    Attributes:
        epochs: of the training; 0 only builds and counts.
        score_name: what is maximised, as `result.json` calls it.
    """

    epochs: int
    score_name: ClassVar[str]

    @abstractmethod
    def check_parts(self, space: Space, dataset: object) -> None:
        """Raise `CombinationError` where networks of the space are not trained this way, or not on such data."""

    @abstractmethod
    def training(
        self, architecture: Architecture, space: Any, dataset: Any, hardware: Hardware, seed: int
    ) -> ResumableTraining:
        """The training of an architecture, not begun; all data are found to be there.

        Args:
            space, dataset: `check_parts` has passed them.
        Raises `InputError` for what does not fit, before any data are read, and for data that are not there.
        """

    @abstractmethod
    def counts(self, architecture: Architecture, space: Any, dataset: Any) -> dict[str, float]:
        """``params``, ``macs`` and what else is known of the network without data."""

    @abstractmethod
    def score(self, metrics: Mapping[str, float]) -> float:
        """What is maximised, from what `ResumableTraining.tested` gave."""
