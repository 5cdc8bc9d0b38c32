"""What a judged candidate is worth to the controller."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from nas_cli.errors import CombinationError, require
from nas_cli.estimators.base import Estimator
from nas_cli.journal import Trial

PERPLEXITY = "valid_perplexity"


class Reward(ABC):
    """A reward as an option: `strategy/reward=…`."""

    def check(self, estimator: Estimator) -> None:  # noqa: B027  (a hook, not a gap)
        """Raise `CombinationError` where nothing that an estimator measures can be rewarded."""

    @abstractmethod
    def of(self, score: float, trial: Trial) -> float:
        """The reward of a trial that was judged.

        Args:
            score: the trial's, finite.
        """


class Score(Reward):
    """The score itself. NASNet: the validation accuracy."""

    def of(self, score: float, trial: Trial) -> float:
        return score


class Power(Reward):
    """The score to a power, its sign kept.

    Args:
        exponent: Zoph & Le: 3, of the accuracy as a fraction.

    A power beyond the largest number is infinite; a controller refuses to learn from it.
    Reference: Zoph & Le, ICLR 2017, arXiv:1611.01578, sec. 4.1.
    """

    def __init__(self, exponent: float = 3.0) -> None:
        require(0 < exponent < math.inf, f"exponent must be above 0 and finite, not {exponent}")
        self.exponent = exponent

    def of(self, score: float, trial: Trial) -> float:
        try:
            power = math.pow(abs(score), self.exponent)
        except OverflowError:
            power = math.inf
        return math.copysign(power, score)


class Perplexity(Reward):
    """c / perplexity^exponent, from the trial's metric `valid_perplexity`.

    Args:
        c: Zoph & Le, and ENAS: 80.
        exponent: Zoph & Le: 2; ENAS: 1.

    Reference: Zoph & Le, ICLR 2017, arXiv:1611.01578, sec. 4.2.
    """

    def __init__(self, c: float = 80.0, exponent: float = 2.0) -> None:
        require(0 < c < math.inf, f"c must be above 0 and finite, not {c}")
        require(0 < exponent < math.inf, f"exponent must be above 0 and finite, not {exponent}")
        self.c = c
        self.exponent = exponent

    def check(self, estimator: Estimator) -> None:
        if not estimator.score_name.endswith(PERPLEXITY):
            raise CombinationError(
                f"strategy/reward=perplexity: candidates are judged by {estimator.score_name}, which is none; take auto"
            )

    def of(self, score: float, trial: Trial) -> float:
        # A power of 1 / perplexity can only become 0, where one of the perplexity, e^loss, goes beyond all numbers.
        return float(self.c * trial.metrics[PERPLEXITY] ** -self.exponent)


class Auto(Reward):
    """The score itself, or c / perplexity^2 where a trial has a perplexity.

    Args:
        c: a reward of a tenth for the frequencies of `pydoc`'s words alone, whose perplexity is 233. Zoph & Le, on
            PTB: 80.
    """

    def __init__(self, c: float = 5400.0) -> None:
        self.by_perplexity = Perplexity(c)
        self.by_score = Score()

    def of(self, score: float, trial: Trial) -> float:
        return (self.by_perplexity if PERPLEXITY in trial.metrics else self.by_score).of(score, trial)
