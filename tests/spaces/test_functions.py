"""Branin against its published minima and an independent form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas_cli.spaces.functions import Branin

SPACE = Branin("branin")
MINIMUM = 0.397887357729739  # 10 / 8π, as the test-function collections print it


@pytest.mark.parametrize("point", [(-math.pi, 12.275), (math.pi, 2.275), (3 * math.pi, 2.475)])
def test_the_three_optima(point: tuple[float, float]) -> None:
    assert SPACE.value(SPACE.decode(point)) == pytest.approx(-MINIMUM, abs=1e-12)


def test_nothing_is_better_than_the_optimum() -> None:
    grid = np.stack(np.meshgrid(np.linspace(-5, 10, 151), np.linspace(0, 15, 151)), axis=-1).reshape(-1, 2)
    best = max(SPACE.value(SPACE.decode([float(a), float(b)])) for a, b in grid)
    assert -MINIMUM - 0.05 < best <= -MINIMUM


@pytest.mark.parametrize(
    ("point", "value"),
    [
        # By hand: (0 - 6)² + 10 (1 - 1/8π) + 10.
        ((0.0, 0.0), 56 - 10 / (8 * math.pi)),
        # cos(π/2) = 0: (15 - 5.1/16 + 5/2 - 6)² + 10.
        ((math.pi / 2, 15.0), 11.18125**2 + 10),
    ],
)
def test_other_points(point: tuple[float, float], value: float) -> None:
    assert SPACE.value(SPACE.decode(point)) == pytest.approx(-value, abs=1e-9)


def test_the_domain() -> None:
    assert [(decision.name, decision.low, decision.high) for decision in SPACE.decisions] == [
        ("x1", -5.0, 10.0),
        ("x2", 0.0, 15.0),
    ]
