"""Functions against their published optima and independent values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas_cli.spaces.functions import Branin, Brochu1d, FunctionSpace, Hartmann6

BRANIN = Branin("branin")
BROCHU = Brochu1d("brochu1d")
HARTMANN = Hartmann6("hartmann6")
SPACES: list[FunctionSpace] = [BRANIN, BROCHU, HARTMANN]
OPTIMA = [
    *((BRANIN, point, -0.397887357729738) for point in [(-math.pi, 12.275), (math.pi, 2.275), (3 * math.pi, 2.475)]),
    (BROCHU, (0.966086,), 1.489072538681),
    (HARTMANN, (0.201689511, 0.150010695, 0.476873977, 0.275332429, 0.311651617, 0.657300533), 3.322368011416),
]


def value(space: FunctionSpace, *point: float) -> float:
    return space.value(space.decode(point))


@pytest.mark.parametrize(("space", "point", "optimum"), OPTIMA)
def test_the_optima(space: FunctionSpace, point: tuple[float, ...], optimum: float) -> None:
    assert value(space, *point) == pytest.approx(optimum, abs=1e-10)
    assert space.optimum == pytest.approx(optimum, abs=1e-10)


@pytest.mark.parametrize("space", SPACES)
def test_nothing_is_better_than_the_optimum(space: FunctionSpace) -> None:
    generator = np.random.default_rng(0)
    best = max(space.value(space.sample(generator)) for _ in range(3000))
    assert space.optimum - 1.5 < best <= space.optimum


@pytest.mark.parametrize(("space", "point", "optimum"), OPTIMA)
def test_an_optimum_is_one_in_every_direction(space: FunctionSpace, point: tuple[float, ...], optimum: float) -> None:
    for step in 1e-4 * np.vstack([np.eye(len(point)), -np.eye(len(point))]):
        assert value(space, *(point + step).tolist()) < optimum


@pytest.mark.parametrize(
    ("space", "point", "expected"),
    [
        (BRANIN, (0.0, 0.0), -55.602112642270),
        (BRANIN, (2.5, 7.5), -24.129964413622),
        (BRANIN, (-5.0, 0.0), -308.129096011607),
        # cos(π/2) = 0: (15 - 5.1/16 + 5/2 - 6)² + 10.
        (BRANIN, (math.pi / 2, 15.0), -(11.18125**2 + 10)),
        (BROCHU, (0.5,), -0.041211848524),
        (BROCHU, (1.2,), -0.838751),
        (BROCHU, (0.079351,), 1.150173133),
        (BROCHU, (0.398388,), 0.158888077),
        (BROCHU, (0.629166,), 0.461286287),
        (HARTMANN, (0.5,) * 6, 0.505314991702),
    ],
)
def test_other_points(space: FunctionSpace, point: tuple[float, ...], expected: float) -> None:
    assert value(space, *point) == pytest.approx(expected, abs=1e-6 if space is BROCHU else 1e-9)


def test_the_domains() -> None:
    assert [(d.name, d.low, d.high) for d in BRANIN.decisions] == [("x1", -5.0, 10.0), ("x2", 0.0, 15.0)]
    assert [(d.name, d.low, d.high) for d in BROCHU.decisions] == [("x", 0.0, 1.2)]
    assert [(d.name, d.low, d.high) for d in HARTMANN.decisions] == [(f"x{j}", 0.0, 1.0) for j in range(1, 7)]
