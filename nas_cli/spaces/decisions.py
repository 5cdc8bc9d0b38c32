"""Decisions: what each can be, how it is drawn, and when it has to be made at all.

A decision with a condition (`when`) has to be made only where an earlier decision is made and has one of the named
values; elsewhere it is inactive and its value is None. The decisions of a space thus form a forest.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from nas_cli.architecture import Value
from nas_cli.errors import require

#: A unit value this near to an end is as far out as a normal quantile goes: 8.2 standard deviations.
SMALLEST_TAIL = 2.0**-53


@dataclass(frozen=True)
class When:
    """A condition: the earlier decision of this name is active and has one of these values."""

    decision: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Categorical:
    """A choice among unordered values.

    Args:
        probabilities: of the choices; None: all alike.
    """

    name: str
    choices: tuple[Value, ...]
    probabilities: tuple[float, ...] | None = None
    when: When | None = None

    def __post_init__(self) -> None:
        if self.probabilities is not None:
            fits = len(self.probabilities) == len(self.choices) and min(self.probabilities) >= 0
            fits = fits and math.isclose(sum(self.probabilities), 1)
            require(fits, f"{self.name}: probabilities {self.probabilities} must be one a choice and sum to 1")

    @property
    def prior(self) -> tuple[float, ...]:
        """The probability of each choice."""
        return self.probabilities or (1 / len(self.choices),) * len(self.choices)

    def sample(self, generator: np.random.Generator) -> Value:
        if self.probabilities is None:
            return self.choices[int(generator.integers(len(self.choices)))]
        return self.choices[int(generator.choice(len(self.choices), p=self.probabilities))]

    def values(self) -> Sequence[Value]:
        """All choices."""
        return self.choices

    def grid(self, levels: int) -> Sequence[Value]:
        """All choices; `levels` is for numbers only."""
        return self.choices

    def __contains__(self, value: object) -> bool:
        return value in self.choices


class Number(ABC):
    """A decision on a scale, which is the number's logarithm where `log`: all its densities live there.

    A number with a `step` takes equally spaced values. Each of them owns the numbers nearest to it, half a step to
    either side, also at the ends of a range; so a draw is a draw of the continuous number, rounded.
    """

    name: str
    log: bool
    when: When | None

    @abstractmethod
    def rounded(self, number: float) -> int | float:
        """The nearest value that the decision can have."""

    @abstractmethod
    def quantile(self, u: float) -> float:
        """Where on the scale the share `u` of the prior lies below; u in [0, 1]."""

    @abstractmethod
    def cdf(self, scaled: float) -> float:
        """The share of the prior below a point of the scale, in [0, 1]."""

    @abstractmethod
    def pdf(self, scaled: float) -> float:
        """The prior's density at a point of the scale that is within its bounds."""

    @abstractmethod
    def cell(self, value: float) -> tuple[float, float]:
        """The part of the scale that is rounded to `value`; of no width where there is no step."""

    @abstractmethod
    def values(self) -> Sequence[int | float] | None:
        """All values in order, or None where there is no end of them."""

    def scaled(self, value: float) -> float:
        """A value on the scale."""
        return math.log(value) if self.log else float(value)

    def from_scale(self, scaled: float) -> int | float:
        """The value nearest to a point of the scale."""
        return self.rounded(math.exp(scaled) if self.log else scaled)

    def to_unit(self, value: float) -> float:
        """A value in [0, 1], where the prior is uniform; of a number with a step, a point inside its cell."""
        return min(max(self.cdf(self.scaled(value)), 0.0), 1.0)

    def from_unit(self, u: float) -> int | float:
        """The value at a point of [0, 1]: the inverse of `to_unit`.

        A whole number is floor(u (high - low + 1)) + low, as in Spearmint.
        """
        return self.from_scale(self.quantile(u))

    def sample(self, generator: np.random.Generator) -> int | float:
        return self.from_unit(float(generator.random()))

    def grid(self, levels: int) -> Sequence[int | float]:
        """At most `levels` distinct values, evenly over the scale of the prior."""
        every = self.values()
        return every if every is not None and len(every) <= levels else sorted(set(self._spread(levels)))

    def _spread(self, levels: int) -> list[int | float]:
        return [self.from_unit((k + 0.5) / levels) for k in range(levels)]

    def __contains__(self, value: object) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return is_number and self.rounded(value) == value  # type: ignore[arg-type]


class _Range(Number):
    """A number between two ends, uniform on its scale."""

    low: float
    high: float
    step: float | None

    def __post_init__(self) -> None:
        require(not self.log or self.low - self._half > 0, f"{self.name}: a logarithmic range starts above 0")
        require(self.step is None or self.step > 0, f"{self.name}: step must be above 0, not {self.step}")
        require(self.bounds[0] < self.bounds[1], f"{self.name}: no range from {self.low} to {self.high}")

    @property
    def _half(self) -> float:
        return (self.step or 0) / 2

    @property
    def _last(self) -> float:
        """The highest value: with a step, `high` may lie between two."""
        return self.high if self.step is None else self.low + self._intervals * self.step

    @property
    def _intervals(self) -> int:
        return math.floor((self.high - self.low) / (self.step or 1) + 1e-9)  # 0.3 / 0.1 is a rounding below 3

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of the scale: of the range, or of the cells of its outermost values."""
        return self.scaled(self.low - self._half), self.scaled(self._last + self._half)

    def rounded(self, number: float) -> int | float:
        if self.step is not None:
            number = self.low + self.step * round((number - self.low) / self.step)
        return min(max(number, self.low), self._last)  # exp(log(x)), too, can miss x by one rounding

    def quantile(self, u: float) -> float:
        low, high = self.bounds
        return low + u * (high - low)

    def cdf(self, scaled: float) -> float:
        low, high = self.bounds
        return (scaled - low) / (high - low)

    def pdf(self, scaled: float) -> float:
        low, high = self.bounds
        return 1 / (high - low)

    def cell(self, value: float) -> tuple[float, float]:
        return self.scaled(value - self._half), self.scaled(value + self._half)

    def values(self) -> Sequence[int | float] | None:
        if self.step is None:
            return None
        return [self.low + k * self.step for k in range(self._intervals + 1)]

    def _spread(self, levels: int) -> list[int | float]:
        """Both ends are on a grid."""
        space = np.geomspace if self.log else np.linspace
        return [self.rounded(float(point)) for point in space(self.low, self._last, levels)]


@dataclass(frozen=True)
class Integer(_Range):
    """A whole number in [low, high], both ends included; `log` spaces it logarithmically."""

    name: str
    low: int
    high: int
    log: bool = False
    step: int = 1
    when: When | None = None

    def rounded(self, number: float) -> int:
        return int(super().rounded(number))

    def values(self) -> Sequence[int]:
        return range(self.low, self.high + 1, self.step)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and super().__contains__(value)


@dataclass(frozen=True)
class Real(_Range):
    """A real number in [low, high]; `log` spaces it logarithmically, `step` leaves low, low + step, … of it."""

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: When | None = None

    def rounded(self, number: float) -> float:
        return float(super().rounded(number))


@dataclass(frozen=True)
class Normal(Number):
    """An unbounded real number with a normal prior.

    Args:
        mean: of the prior; with `log`, of the number's logarithm.
        sd: its standard deviation.
        log: whether the logarithm is normal; the number is then positive.
        step: leaves the multiples of it (the positive ones, with `log`); None: every number.
    """

    name: str
    mean: float
    sd: float
    log: bool = False
    step: float | None = None
    when: When | None = None

    def __post_init__(self) -> None:
        require(self.sd > 0, f"{self.name}: sd must be above 0, not {self.sd}")
        require(self.step is None or self.step > 0, f"{self.name}: step must be above 0, not {self.step}")

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of the scale: none."""
        return -math.inf, math.inf

    def rounded(self, number: float) -> float:
        step = self.step
        nearest = float(number) if step is None else round(number / step) * step
        return max(nearest, step or math.ulp(0.0)) if self.log else nearest

    def quantile(self, u: float) -> float:
        return NormalDist(self.mean, self.sd).inv_cdf(min(max(u, SMALLEST_TAIL), 1 - SMALLEST_TAIL))

    def cdf(self, scaled: float) -> float:
        return NormalDist(self.mean, self.sd).cdf(scaled)

    def pdf(self, scaled: float) -> float:
        return NormalDist(self.mean, self.sd).pdf(scaled)

    def cell(self, value: float) -> tuple[float, float]:
        half = (self.step or 0) / 2
        is_lowest = self.log and self.step is not None and value < 1.5 * self.step
        return -math.inf if is_lowest else self.scaled(value - half), self.scaled(value + half)

    def values(self) -> None:
        """There is no end of them."""


Decision = Categorical | Integer | Real | Normal
