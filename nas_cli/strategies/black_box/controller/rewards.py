"""What a judged candidate is worth to the controller."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from nas_cli.errors import InputError, require
from nas_cli.journal import Trial

PERPLEXITY = "valid_perplexity"


class Reward(ABC):
    """A reward as an option: `strategy/reward=…`."""

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

    Reference: Zoph & Le, ICLR 2017, arXiv:1611.01578, sec. 4.1.
    """

    def __init__(self, exponent: float = 3.0) -> None:
        require(exponent > 0, f"exponent must be above 0, not {exponent}")
        self.exponent = exponent

    def of(self, score: float, trial: Trial) -> float:
        return math.copysign(math.pow(abs(score), self.exponent), score)


class Perplexity(Reward):
    """c / perplexity^exponent, from the trial's metric `valid_perplexity`.

    Args:
        c: Zoph & Le, and ENAS: 80.
        exponent: Zoph & Le: 2; ENAS: 1.

    Reference: Zoph & Le, ICLR 2017, arXiv:1611.01578, sec. 4.2.
    """

    def __init__(self, c: float = 80.0, exponent: float = 2.0) -> None:
        require(c > 0, f"c must be above 0, not {c}")
        require(exponent > 0, f"exponent must be above 0, not {exponent}")
        self.c = c
        self.exponent = exponent

    def of(self, score: float, trial: Trial) -> float:
        """Raises `InputError` where the estimator measures no perplexity."""
        perplexity = trial.metrics.get(PERPLEXITY)
        if perplexity is None:
            have = ", ".join(trial.metrics) or "none at all"
            raise InputError(f"strategy/reward=perplexity: trials have no {PERPLEXITY}, only {have}")
        return float(self.c / perplexity**self.exponent)


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
