"""The first points, before there is a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from scipy.stats import qmc
from torch import Tensor

from nas_cli.errors import require
from nas_cli.seeding import derive, numpy_generator


class Initial(ABC):
    """An initial design as an option: `strategy/initial=…`.

    Args:
        points: how many; None: as many as decisions, at least 5 and at most 20 (ours).
    """

    def __init__(self, points: int | None = None) -> None:
        require(points is None or points >= 1, f"points must be at least 1, not {points}")
        self.points = points

    def count(self, dimension: int) -> int:
        """How many points on a space of so many decisions."""
        return self.points or min(20, max(5, dimension))

    @abstractmethod
    def design(self, count: int, dimension: int, seed: int) -> Tensor:
        """So many points of the unit cube (count, dimension), float64."""


class Sobol(Initial):
    """Points of a Sobol sequence.

    Args:
        scramble: whether the sequence is randomised by the seed; else it is the same for every seed, as Spearmint's.
    """

    def __init__(self, points: int | None = None, scramble: bool = True) -> None:
        super().__init__(points)
        self.scramble = scramble

    def design(self, count: int, dimension: int, seed: int) -> Tensor:
        return sobol(count, dimension, derive(seed, "initial") if self.scramble else None)


class LatinHypercube(Initial):
    """One point in each of as many slices of every dimension."""

    def design(self, count: int, dimension: int, seed: int) -> Tensor:
        return torch.from_numpy(qmc.LatinHypercube(dimension, rng=numpy_generator(seed, "initial")).random(count))


class Uniform(Initial):
    """Independent uniform points."""

    def design(self, count: int, dimension: int, seed: int) -> Tensor:
        return torch.from_numpy(numpy_generator(seed, "initial").random((count, dimension)))


def sobol(count: int, dimension: int, seed: int | None) -> Tensor:
    """The first points of a Sobol sequence in the unit cube, scrambled unless there is no seed."""
    engine: Any = torch.quasirandom.SobolEngine(dimension, scramble=seed is not None, seed=seed)  # type: ignore[no-untyped-call]
    if seed is None:
        engine.fast_forward(1)  # past the corner; Spearmint starts here, too
    points: Tensor = engine.draw(count, dtype=torch.float64)
    return points
