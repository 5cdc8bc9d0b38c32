"""A Parzen estimator of whole configurations: one kernel per trial, over all of its decisions at once.

References: Falkner, Klein, Hutter, BOHB, ICML 2018, arXiv:1807.01774, sec. 3.2; the rule for widths is that of the
package optuna, with kernels about a third as wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
from scipy.special import ndtr

from nas_cli.architecture import Value
from nas_cli.spaces.combinations import is_active
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Normal, Real
from nas_cli.strategies.black_box.parzen import NARROWEST, Kernels, forget, log, prior, spread

#: Width of the kernels of n trials with d decisions, as a share of the prior's: this times n^(-1 / (d + 4)). On Branin
#: and Hartmann6, 60 evaluations, it did better than optuna's 0.2 and than 0.1.
WIDTH = 0.07


class Multivariate:
    """A mixture of the prior and of one product of kernels per trial.

    In a decision that was inactive in a trial, its kernel is the prior.

    Args:
        trials: values of all decisions, oldest first.
        prior_weight: how many trials the prior counts for.
        forgetting: so many of the newest trials count fully, the older less; None: all do.
    """

    def __init__(
        self,
        decisions: Sequence[Decision],
        trials: Sequence[Sequence[Value]],
        prior_weight: float,
        forgetting: int | None,
    ) -> None:
        weights = np.append(forget(len(trials), forgetting), prior_weight)
        self.shares = weights / weights.sum()
        self.decisions = decisions
        width = WIDTH * max(len(trials), 1) ** (-1 / (len(decisions) + 4))
        self._columns = [
            _column(decision, [values[node] for values in trials], width, prior_weight / len(weights))
            for node, decision in enumerate(decisions)
        ]

    def draw(self, generator: np.random.Generator) -> tuple[Value, ...]:
        """A configuration, from the root to the leaves."""
        kernel = int(generator.choice(len(self.shares), p=self.shares))
        values: list[Value] = []
        chosen: dict[str, Value] = {}
        for decision, column in zip(self.decisions, self._columns, strict=True):
            values.append(None)
            if is_active(decision, chosen):
                values[-1] = chosen[decision.name] = column.draw(generator, kernel)
        return tuple(values)

    def log(self, values: Sequence[Value]) -> float:
        """Log density of a configuration."""
        logs = log(self.shares)
        for column, value in zip(self._columns, values, strict=True):
            if value is not None:
                logs = logs + log(column.each(value))
        return float(np.logaddexp.reduce(logs))


class _Column(Protocol):
    """The kernels of one decision, the prior as the last."""

    def draw(self, generator: np.random.Generator, kernel: int) -> Value:
        """A value from one of them."""

    def each(self, value: Value) -> np.ndarray:
        """The density of a value under each of them."""


def _column(decision: Decision, values: Sequence[Value], width: float, prior_weight: float) -> _Column:
    if isinstance(decision, Categorical):
        return _Choices(decision, values, prior_weight)
    return _Numbers(decision, cast(Sequence[float | None], values), width)


class _Choices:
    """1 + s p_k for what a trial chose and s p_k for every other choice, with s = N · prior_weight / (trials + 1)."""

    def __init__(self, decision: Categorical, values: Sequence[Value], prior_weight: float) -> None:
        self.choices = decision.choices
        self._number = {choice: k for k, choice in enumerate(self.choices)}
        own = np.tile(len(self.choices) * prior_weight * np.array(decision.prior), (len(values) + 1, 1))
        for row, value in enumerate(values):
            if value is not None:
                own[row, self._number[value]] += 1
        self._rows = own / own.sum(axis=1, keepdims=True)

    def draw(self, generator: np.random.Generator, kernel: int) -> Value:
        return self.choices[int(generator.choice(len(self.choices), p=self._rows[kernel]))]

    def each(self, value: Value) -> np.ndarray:
        found: np.ndarray = self._rows[:, self._number[value]]
        return found


class _Numbers:
    """A normal kernel at what a trial had, cut off at the number's bounds."""

    def __init__(self, number: Integer | Real | Normal, values: Sequence[float | None], width: float) -> None:
        self.number = number
        self._rows = np.array([row for row, value in enumerate(values) if value is not None], dtype=int)
        self._kernel = {int(row): kernel for kernel, row in enumerate(self._rows)}
        self._count = len(values) + 1
        present = [value for value in values if value is not None]
        centres = np.array([number.scaled(value) for value in present])
        widths = np.full(len(centres), max(width, NARROWEST) * spread(number)[1])
        if number.step is not None:  # so that a neighbour has a chance
            widths = np.maximum(widths, [_reach(number, value) for value in present])
        low, high = number.bounds
        mass = ndtr((high - centres) / widths) - ndtr((low - centres) / widths)
        self._kernels = Kernels(number, centres, widths, 1 / mass)

    def draw(self, generator: np.random.Generator, kernel: int) -> float:
        return self._kernels.draw_from(generator, self._kernel.get(kernel, len(self._kernel)))

    def each(self, value: Value) -> np.ndarray:
        found = np.full(self._count, prior(self.number, cast(float, value)))
        found[self._rows] = self._kernels.each(cast(float, value))
        return found


def _reach(number: Integer | Real | Normal, value: float) -> float:
    """Half the width of a value's cell, at its upper end where the lower is infinitely far."""
    low, high = number.cell(value)
    return min((high - low) / 2, high - number.scaled(value))
