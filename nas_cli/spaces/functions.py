"""Black-box functions with known optima, as spaces that can say their own value."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import cast

import numpy as np

from nas_cli.architecture import Architecture
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Real


class FunctionSpace(Space):
    """A space with a closed-form objective, which the estimator `function` reads."""

    #: The best value that any architecture has.
    optimum: float

    @abstractmethod
    def value(self, architecture: Architecture) -> float:
        """The objective, to be maximised."""

    def _point(self, architecture: Architecture) -> list[float]:
        """The architecture of a space of real numbers as these."""
        return [cast(float, value) for value in self.encode(architecture)]


class Brochu1d(FunctionSpace):
    """f = (1.4 - 3 x) sin 18x on [0, 1.2]: four local maxima, the highest at 0.966086.

    Differs from the paper: the formula behind its one-dimensional figures is not published; this stands in for it.
    Reference: Brochu, Cora, de Freitas, A tutorial on Bayesian optimization, 2010, arXiv:1012.2599, sec. 2.
    """

    optimum = 1.4890725386896042

    @property
    def decisions(self) -> tuple[Real, ...]:
        return (Real("x", 0.0, 1.2),)

    def value(self, architecture: Architecture) -> float:
        (x,) = self._point(architecture)
        return (1.4 - 3 * x) * math.sin(18 * x)


class Branin(FunctionSpace):
    """The Branin function on [-5, 10] x [0, 15], negated.

    f = (x2 - 5.1 x1² / 4π² + 5 x1 / π - 6)² + 10 (1 - 1/8π) cos x1 + 10, with the minimum 10/8π at (-π, 12.275),
    (π, 2.275) and (3π, 2.475).
    """

    optimum = -10 / (8 * math.pi)

    @property
    def decisions(self) -> tuple[Real, ...]:
        return (Real("x1", -5.0, 10.0), Real("x2", 0.0, 15.0))

    def value(self, architecture: Architecture) -> float:
        x1, x2 = self._point(architecture)
        bowl = (x2 - 5.1 * x1**2 / (4 * math.pi**2) + 5 * x1 / math.pi - 6) ** 2
        return -(bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x1) + 10)


class Hartmann6(FunctionSpace):
    """The six-dimensional Hartmann function on [0, 1]⁶, negated: Σ_i α_i exp(-Σ_j A_ij (x_j - P_ij)²).

    It has six local maxima, the highest at (0.2017, 0.1500, 0.4769, 0.2753, 0.3117, 0.6573).
    """

    optimum = 3.322368011415515

    HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
    WIDTHS = np.array(
        [
            [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
            [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
            [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
            [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
        ]
    )
    CENTRES = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )

    @property
    def decisions(self) -> tuple[Real, ...]:
        return tuple(Real(f"x{j}", 0.0, 1.0) for j in range(1, 7))

    def value(self, architecture: Architecture) -> float:
        x = np.array(self._point(architecture))
        return float(self.HEIGHTS @ np.exp(-(self.WIDTHS * (x - self.CENTRES) ** 2).sum(axis=1)))
