"""Grid search."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from nas_cli.architecture import Value
from nas_cli.errors import require
from nas_cli.journal import Trial
from nas_cli.spaces.base import Space
from nas_cli.spaces.combinations import count, walk
from nas_cli.strategies.black_box.base import Candidate, Strategy

MOST_LEVELS = 1_000_000  # they are made before the first point is taken


class Grid(Strategy):
    """Every combination of every decision's values, the last decision changing fastest.

    A decision that another leaves inactive makes no combinations of its own.

    Args:
        evaluations: stop after so many; None: the whole grid.
        levels: values along a number's range, logarithmically spaced where the number is (ours: 5); a categorical
            decision always takes all of its own.

    Reference: the baseline of Bergstra & Bengio, JMLR 13, 2012.
    """

    def __init__(self, space: Space, evaluations: int | None = None, levels: int = 5) -> None:
        require(2 <= levels <= MOST_LEVELS, f"levels must be between 2 and {MOST_LEVELS}, not {levels}")
        self.axes = [decision.grid(levels) for decision in space.decisions]
        size = count(space.decisions, self.axes)
        super().__init__(size if evaluations is None else min(evaluations, size))
        self.space = space
        self.asked = 0
        self._points = self._from(0)

    def _from(self, start: int) -> Iterator[tuple[Value, ...]]:
        """Grid points from number `start` on."""
        return itertools.islice(walk(self.space.decisions, self.axes), start, None)

    def ask(self, count: int, pending: Sequence[Candidate]) -> Sequence[Candidate]:
        points = list(itertools.islice(self._points, count))
        self.asked += len(points)
        return [Candidate(self.space.decode(point)) for point in points]

    def tell(self, trial: Trial) -> None:
        """Nothing is learnt."""

    def state_dict(self) -> dict[str, Any]:
        return {"asked": self.asked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.asked = state["asked"]
        self._points = self._from(self.asked)
