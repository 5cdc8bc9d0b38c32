"""The interface of a black-box strategy: it is asked for candidates and told what became of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas_cli.architecture import Architecture
from nas_cli.errors import require
from nas_cli.journal import Trial


@dataclass(frozen=True)
class Candidate:
    """An architecture to judge, and how much its judgement may cost (None: the estimator's own budget)."""

    architecture: Architecture
    budget: float | None = None


class Strategy(ABC):
    """Asks and is told; it never measures, logs or writes.

    The same seed and the same trials told in the same order must give the same asks: that is what makes a run
    resumable. Randomness comes from generators seeded by `nas_cli.seeding`.

    Args:
        evaluations: how many candidates to judge in all; None: until the strategy has nothing more to ask.
    """

    def __init__(self, evaluations: int | None) -> None:
        require(evaluations is None or evaluations >= 1, f"evaluations must be at least 1, not {evaluations}")
        self.evaluations = evaluations

    @abstractmethod
    def ask(self, count: int, pending: Sequence[Candidate]) -> Sequence[Candidate]:
        """At most `count` candidates to judge next; none: nothing to ask for before more is told, or at all.

        Args:
            count: how many could be judged at once now.
            pending: candidates asked for earlier and not yet told.
        """

    @abstractmethod
    def tell(self, trial: Trial) -> None:
        """Take note of a judged candidate; `trial.status` is ``failed`` where it could not be judged."""

    def news(self) -> Sequence[dict[str, Any]]:
        """What it has learnt since the last call, as lines for `metrics.jsonl`, each given once; most say nothing."""
        return ()

    def caution(self) -> str | None:
        """What a person should know before the search begins, in one line; most have nothing to say."""
        return None

    def preferred(self) -> Architecture | None:
        """Which of the judged candidates is the best, where scores are noisy; None: the one of the highest score."""
        return None

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that `ask` depends on, as tensors and plain data."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
