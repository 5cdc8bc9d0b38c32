"""Parzen estimators: the density of one decision's values among some trials.

Reference: Bergstra, Bardenet, Bengio, Kégl, Algorithms for hyper-parameter optimization, NIPS 2011, sec. 4.2 (the form
``paper``), and the form that their package hyperopt has (``hyperopt``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Protocol, cast

import numpy as np
from scipy.special import ndtr, ndtri

from nas_cli.architecture import Value
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Normal, Real

#: A kernel is at least this share of the prior's width, however many there are (hyperopt: 1 / min(100, 1 + kernels)).
NARROWEST = 1 / 100

Form = Literal["hyperopt", "paper"]


class Density(Protocol):
    """A distribution of the values of one decision."""

    def draw(self, generator: np.random.Generator, count: int) -> list[Any]:
        """So many values, independently."""

    def log(self, values: Sequence[Any]) -> np.ndarray:
        """Log density of each value; of a decision with countable values, log probability."""


def density(
    decision: Decision, values: Sequence[Value], form: Form, prior_weight: float, forgetting: int | None
) -> Density:
    """The Parzen estimator of a decision.

    Args:
        values: what it was in the trials where it was active, oldest first.
        form: how numbers' kernels are made.
        prior_weight: how many observations the prior counts for. hyperopt: 1.
        forgetting: so many of the newest observations count fully, the older less; None: all do. hyperopt: 25.
    """
    weights = forget(len(values), forgetting)
    if isinstance(decision, Categorical):
        return Choices(decision, values, weights, prior_weight)
    centres = np.array([decision.scaled(value) for value in cast(Sequence[float], values)])
    return (_hyperopt if form == "hyperopt" else _paper)(decision, centres, weights, prior_weight)


def forget(count: int, newest: int | None) -> np.ndarray:
    """Weights of observations, oldest first: 1 for the newest, rising linearly from 1 / count to it before them."""
    if newest is None or count <= newest:
        return np.ones(count)
    return np.concatenate([np.linspace(1 / count, 1, count - newest), np.ones(newest)])


def log(densities: np.ndarray) -> np.ndarray:
    """Logarithms that are finite also where a density is too small for a float, so that they can be subtracted."""
    found: np.ndarray = np.log(np.maximum(densities, np.finfo(float).tiny))
    return found


class Choices:
    """Weighted counts of the choices on top of N · prior_weight · p_k, for N choices of prior p_k."""

    def __init__(
        self, decision: Categorical, values: Sequence[Value], weights: np.ndarray, prior_weight: float
    ) -> None:
        self.choices = decision.choices
        self._number = {choice: k for k, choice in enumerate(self.choices)}
        counts = len(self.choices) * prior_weight * np.array(decision.prior)
        np.add.at(counts, [self._number[value] for value in values], weights)
        self.probabilities = counts / counts.sum()

    def draw(self, generator: np.random.Generator, count: int) -> list[Value]:
        drawn = generator.choice(len(self.choices), size=count, p=self.probabilities)
        return [self.choices[k] for k in drawn]

    def log(self, values: Sequence[Value]) -> np.ndarray:
        return log(self.probabilities[[self._number[value] for value in values]])


class Kernels:
    """Normal kernels on the scale of a number, cut off at its bounds, and a share of the prior itself.

    Args:
        centres, widths: of the kernels. Shape: (kernels,).
        heights: what each is multiplied with: its weight over its mass within the bounds, or over that of them all.
        prior: share of the number's own prior.
    """

    def __init__(
        self,
        number: Integer | Real | Normal,
        centres: np.ndarray,
        widths: np.ndarray,
        heights: np.ndarray,
        prior: float = 0.0,
    ) -> None:
        self.number = number
        self.centres, self.widths, self.heights, self.prior = centres, widths, heights, prior
        low, high = number.bounds
        self._low, self._high = ndtr((low - centres) / widths), ndtr((high - centres) / widths)

    def draw(self, generator: np.random.Generator, count: int) -> list[float]:
        shares = np.append(self.heights * (self._high - self._low), self.prior)
        which = generator.choice(len(shares), size=count, p=shares / shares.sum())
        return [self.draw_from(generator, int(k)) for k in which]

    def draw_from(self, generator: np.random.Generator, kernel: int) -> float:
        """A value from one kernel; from the prior for the number after the last."""
        if kernel == len(self.centres):
            return self.number.sample(generator)
        tail = generator.uniform(self._low[kernel], self._high[kernel])
        return self.number.from_scale(float(self.centres[kernel] + self.widths[kernel] * ndtri(tail)))

    def log(self, values: Sequence[float]) -> np.ndarray:
        return log(np.array([self.each(value).sum() + self.prior * prior(self.number, value) for value in values]))

    def each(self, value: float) -> np.ndarray:
        """What each kernel adds to the density of a value, or to its probability where the number has a step."""
        low, high = ((end - self.centres) / self.widths for end in self.number.cell(value))
        if self.number.step is not None:
            masses: np.ndarray = self.heights * (ndtr(high) - ndtr(low))
            return masses
        bells: np.ndarray = self.heights * np.exp(-(low**2) / 2) / (self.widths * math.sqrt(2 * math.pi))
        return bells


def prior(number: Integer | Real | Normal, value: float) -> float:
    """The prior's density of a value, or its probability where the number has a step."""
    low, high = number.cell(value)
    return number.pdf(low) if number.step is None else number.cdf(high) - number.cdf(low)


def spread(number: Integer | Real | Normal) -> tuple[float, float]:
    """Centre and width of a number's prior on its scale."""
    if isinstance(number, Normal):
        return number.mean, number.sd
    low, high = number.bounds
    return (low + high) / 2, high - low


def _hyperopt(
    number: Integer | Real | Normal, centres: np.ndarray, weights: np.ndarray, prior_weight: float
) -> Kernels:
    """As in hyperopt: the prior is a kernel among the others, and the bounds cut the mixture as a whole.

    A kernel is as wide as the larger of the gaps to its neighbours, one at an end as its only gap.
    """
    centre, width = spread(number)
    order = np.argsort(centres, kind="stable")
    place = int(np.searchsorted(centres[order], centre))
    centres = np.insert(centres[order], place, centre)
    weights = np.insert(weights[order], place, prior_weight)
    if len(centres) == 2:
        widths = np.full(2, width / 2)
    else:
        gaps = np.diff(centres)
        widths = np.maximum(np.append(0, gaps), np.append(gaps, 0))
    widths = np.clip(widths, _narrowest(width, len(centres)), width)
    widths[place] = width
    low, high = number.bounds
    mass = weights @ (ndtr((high - centres) / widths) - ndtr((low - centres) / widths))
    return Kernels(number, centres, widths, weights / mass)


def _paper(number: Integer | Real | Normal, centres: np.ndarray, weights: np.ndarray, prior_weight: float) -> Kernels:
    """As in the paper: the prior itself is a component, the bounds are neighbours and cut each kernel by itself.

    The bounds of a normal number are infinitely far: a kernel at an end is then as wide as the prior.
    """
    _, width = spread(number)
    low, high = number.bounds
    order = np.argsort(centres, kind="stable")
    centres, weights = centres[order], weights[order]
    gaps = np.diff(np.concatenate([[low], centres, [high]]))
    widths = np.clip(np.maximum(gaps[:-1], gaps[1:]), _narrowest(width, len(centres) + 1), width)
    total = weights.sum() + prior_weight
    mass = ndtr((high - centres) / widths) - ndtr((low - centres) / widths)
    return Kernels(number, centres, widths, weights / total / mass, prior_weight / total)


def _narrowest(width: float, kernels: int) -> float:
    return width * max(NARROWEST, 1 / (1 + kernels))
