"""Initial designs."""

from __future__ import annotations

import pytest
import torch

from nas_cli.strategies.black_box.bo.initial import Initial, LatinHypercube, Sobol, Uniform


@pytest.mark.parametrize("made", [Sobol(), Sobol(scramble=False), LatinHypercube(), Uniform()])
def test_points_of_the_unit_cube_by_seed(made: Initial) -> None:
    points = made.design(16, 3, seed=1)
    assert points.shape == (16, 3)
    assert points.dtype == torch.float64
    assert points.min() >= 0
    assert points.max() < 1
    assert torch.equal(points, made.design(16, 3, seed=1))
    is_fixed = isinstance(made, Sobol) and not made.scramble
    assert torch.equal(points, made.design(16, 3, seed=2)) == is_fixed


def test_a_latin_hypercube_has_one_point_in_every_slice() -> None:
    slices = (LatinHypercube().design(20, 4, seed=0) * 20).floor()
    assert slices.sort(dim=0).values.equal(torch.arange(20.0, dtype=torch.float64)[:, None].expand(-1, 4))


def test_an_unscrambled_sobol_sequence_begins_in_the_middle_as_spearmint_s() -> None:
    """Past the corner, (0, …, 0), where it would begin."""
    points = Sobol(scramble=False).design(3, 2, seed=0)
    assert points.tolist() == [[0.5, 0.5], [0.75, 0.25], [0.25, 0.75]]


@pytest.mark.parametrize(("dimension", "count"), [(1, 5), (9, 9), (32, 20)])
def test_as_many_points_as_decisions_within_limits(dimension: int, count: int) -> None:
    assert Sobol().count(dimension) == count
    assert Sobol(points=7).count(dimension) == 7
