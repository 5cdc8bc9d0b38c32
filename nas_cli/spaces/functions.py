"""Black-box functions with known optima, as spaces that can say their own value."""

from __future__ import annotations

import math
from abc import abstractmethod

from nas_cli.architecture import Architecture
from nas_cli.spaces.base import Real, Space


class FunctionSpace(Space):
    """A space with a closed-form objective, which the estimator `function` reads."""

    @abstractmethod
    def value(self, architecture: Architecture) -> float:
        """The objective, to be maximised."""


class Branin(FunctionSpace):
    """The Branin function on [-5, 10] x [0, 15], negated.

    f = (x2 - 5.1 x1² / 4π² + 5 x1 / π - 6)² + 10 (1 - 1/8π) cos x1 + 10, with the minimum 10/8π at (-π, 12.275),
    (π, 2.275) and (3π, 2.475).
    """

    @property
    def decisions(self) -> tuple[Real, ...]:
        return (Real("x1", -5.0, 10.0), Real("x2", 0.0, 15.0))

    def value(self, architecture: Architecture) -> float:
        x1, x2 = (float(value) for value in self.encode(architecture))
        bowl = (x2 - 5.1 * x1**2 / (4 * math.pi**2) + 5 * x1 / math.pi - 6) ** 2
        return -(bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x1) + 10)
