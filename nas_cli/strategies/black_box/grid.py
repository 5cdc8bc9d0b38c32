"""Grid search."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from nas_cli.errors import require
from nas_cli.journal import Trial
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.base import Candidate, Strategy


class Grid(Strategy):
    """Every combination of every decision's values, the last decision changing fastest.

    Args:
        evaluations: stop after so many; None: the whole grid.
        levels: values along a number's range (ours: 5); a categorical decision always takes all of its own.

    Reference: the baseline of Bergstra & Bengio, JMLR 13, 2012.
    """

    def __init__(self, space: Space, evaluations: int | None = None, levels: int = 5) -> None:
        require(levels >= 2, f"levels must be at least 2, not {levels}")
        self.axes = [decision.grid(levels) for decision in space.decisions]
        size = math.prod(len(axis) for axis in self.axes)
        super().__init__(size if evaluations is None else min(evaluations, size))
        self.space = space
        self.asked = 0

    def ask(self, count: int, pending: Sequence[Candidate]) -> Sequence[Candidate]:
        points = list(itertools.islice(self._from(self.asked), count))
        self.asked += len(points)
        return [Candidate(self.space.decode(point)) for point in points]

    def _from(self, start: int) -> Any:
        """Grid points from number `start` on, by reading the number in the mixed base of the axes."""
        size = 1
        for axis in self.axes:
            size *= len(axis)
        for number in range(start, size):
            point = []
            for axis in reversed(self.axes):
                number, digit = divmod(number, len(axis))
                point.append(axis[digit])
            yield point[::-1]

    def tell(self, trial: Trial) -> None:
        """Nothing is learnt."""

    def state_dict(self) -> dict[str, Any]:
        return {"asked": self.asked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.asked = state["asked"]
