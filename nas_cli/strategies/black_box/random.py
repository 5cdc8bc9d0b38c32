"""Random search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas_cli.journal import Trial
from nas_cli.seeding import numpy_generator
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.base import Candidate, Strategy


class Random(Strategy):
    """Draw every candidate independently from the space's prior, conditions included.

    Args:
        evaluations: how many candidates to judge.

    Reference: Bergstra & Bengio, Random search for hyper-parameter optimization, JMLR 13, 2012.
    """

    def __init__(self, space: Space, seed: int, evaluations: int = 100) -> None:
        super().__init__(evaluations)
        self.space = space
        self.seed = seed
        self.asked = 0

    def ask(self, count: int, pending: Sequence[Candidate]) -> Sequence[Candidate]:
        first, self.asked = self.asked, self.asked + count
        # The k-th draw has a generator of its own: the state is a count, and workers cannot change the sequence.
        return [Candidate(self.space.sample(numpy_generator(self.seed, "random", k))) for k in range(first, self.asked)]

    def tell(self, trial: Trial) -> None:
        """Nothing is learnt."""

    def state_dict(self) -> dict[str, Any]:
        return {"asked": self.asked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.asked = state["asked"]
