"""A decision that is not left to the controller, but grows with the number of samples."""

from __future__ import annotations

from abc import ABC, abstractmethod

from nas_cli.errors import require


class Growth(ABC):
    """A growth as an option: `strategy/growth=…`."""

    #: Name of the decision that is given; None: none is.
    decision: str | None

    @abstractmethod
    def value(self, sample: int) -> int | None:
        """Its value in a sample, counted from 0."""


class NoGrowth(Growth):
    """The controller makes every decision."""

    decision = None

    def value(self, sample: int) -> None:
        """There is none."""


class Steps(Growth):
    """A decision starts at a value and is raised again and again: start + add · ⌊sample / every⌋.

    Args:
        decision: its name. Zoph & Le: the number of layers.
        start: Zoph & Le: 6.
        add: Zoph & Le: 2.
        every: so many samples. Zoph & Le: 1600.

    Reference: Zoph & Le, ICLR 2017, arXiv:1611.01578, sec. 4.1.
    """

    def __init__(self, decision: str = "layers", start: int = 6, add: int = 2, every: int = 1600) -> None:
        require(every >= 1, f"every must be at least 1, not {every}")
        self.decision = decision
        self.start = start
        self.add = add
        self.every = every

    def value(self, sample: int) -> int:
        return self.start + self.add * (sample // self.every)
