"""The interface of a performance estimator: how good is an architecture?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from nas_cli.architecture import Architecture


@dataclass(frozen=True)
class Measurement:
    """What measuring one architecture gave.

    Args:
        score: what the search maximises; NaN or infinite counts as failed.
        metrics: everything else; accuracies and errors are fractions.
        cost_seconds: what it cost (simulated seconds where a table answers).
    """

    score: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    cost_seconds: float = 0.0


class Estimator(ABC):
    """Judges one architecture at a time; the same architecture and budget always get the same score."""

    #: What the score is called in `result.json`, e.g. ``valid_accuracy``.
    score_name: str = "score"
    #: How many candidates it judges in minutes, for strategies that can use any number.
    candidates: int = 500
    #: Whether scores have no noise at all, as those of a formula and unlike those of trainings.
    is_exact: bool = False

    def prepare(self) -> None:  # noqa: B027  (a hook, not a gap)
        """Set a process up that measures and read the data; called once in each, before it measures anything.

        Raises `InputError` where no architecture can be judged.
        """

    @abstractmethod
    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        """Judge an architecture.

        Args:
            architecture: from the space that this estimator was built with.
            budget: what it may cost, in this estimator's own unit; None: its default.

        Raises `InputError` where no architecture can be judged (missing data); any other exception counts as a
        failure of this architecture alone.
        """
