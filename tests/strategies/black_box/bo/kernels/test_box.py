"""Decisions as columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gp_table import Made, line, mixed_space, tensor

from nas_cli.problems.mlp import Mlp
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical, Integer, Normal, Real, When
from nas_cli.strategies.black_box.bo.kernels.box import Box

TREE = Made(
    Categorical("kind", ("plain", "deep", "wide")),
    Integer("depth", 1, 3, when=When("kind", ("deep",))),
    Real("rate", 1e-3, 1e-1, log=True, when=When("kind", ("deep", "wide"))),
    Categorical("mode", ("u", "v"), when=When("kind", ("wide",))),
    name="tree",
)
SPACES = [line(3), mixed_space(), TREE, Made(Normal("n", 0.0, 2.0), Integer("i", 1, 64, log=True), name="prior")]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_a_row_and_back(space: Space) -> None:
    generator = np.random.default_rng(0)
    box = Box(space)
    for architecture in (space.sample(generator) for _ in range(50)):
        (row,) = box.rows([architecture])
        assert (row >= 0).all()
        assert (row <= box.upper).all()
        again = box.architecture(row)
        assert torch.allclose(box.rows([again])[0], row, atol=1e-12)
        if box.is_real is False:
            discrete = [k for k in range(box.columns) if k not in box.reals]
            assert [again.decisions[k] for k in discrete] == [architecture.decisions[k] for k in discrete]


def test_what_is_inactive() -> None:
    box = Box(TREE)
    rows = box.rows([TREE.decode(["plain", None, None, None]), TREE.decode(["wide", None, 1e-2, "v"])])
    assert rows.flatten().tolist() == pytest.approx([0, 0.5, 0.5, 2, 2, 0.5, 0.5, 1])
    assert box.upper.tolist() == [2, 1, 1, 2]
    assert box.architecture(tensor(0, 0.1, 0.9, 1)).decisions == ("plain", None, None, None)
    # A row may say inactive of what turns out to be active; it then has the last choice.
    assert box.architecture(tensor(2, 0.5, 0.5, 2)).decisions == pytest.approx(("wide", None, 0.01, "v"))


TREE_OF_TWO = Made(
    Categorical("kind", ("plain", "deep")), Integer("depth", 1, 2, when=When("kind", ("deep",))), name="two"
)
NESTED = Made(
    Integer("layers", 1, 3),
    Categorical("more", ("no", "yes"), when=When("layers", (2, 3, 7))),
    Integer("units", 1, 40, log=True, when=When("more", ("yes",))),
    Categorical("rule", ("u", "v"), when=When("units", tuple(range(1, 20)))),
    Real("size", 0.0, 1.0),
    name="nested",
)


@pytest.mark.parametrize("space", [TREE, NESTED, Mlp("mlp", 5, 50, 1024)], ids=lambda space: space.name)
def test_a_canonical_row_is_its_architecture_s(space: Space) -> None:
    box = Box(space)
    unit = torch.from_numpy(np.random.default_rng(0).random((300, box.columns)))
    anywhere = unit * box.upper
    anywhere[:, box.categorical] = anywhere[:, box.categorical].round()
    anywhere[:20, box.integers] = 0.5
    for rows in (box.stretched(unit), anywhere):
        found = box.canonical(rows)
        architectures = [box.architecture(row) for row in found]
        torch.testing.assert_close(box.rows(architectures), found, atol=1e-12, rtol=0)
        decisive = box.snapped(rows)[20:]
        assert [box.architecture(row) for row in decisive] == architectures[20:]
        assert len({each.decisions for each in architectures}) > 50
    assert torch.equal(box.canonical(rows.reshape(20, 15, 1, -1)).reshape(300, -1), found)


def test_a_canonical_row_passes_the_gradient_of_what_is_active() -> None:
    rows = torch.tensor([[0, 0.3, 0.4, 0], [1, 0.3, 0.4, 2]], dtype=torch.float64, requires_grad=True)
    found = Box(TREE).canonical(rows)
    assert found.flatten().tolist() == pytest.approx([0, 0.5, 0.5, 2, 1, 1 / 6, 0.4, 2])
    (gradient,) = torch.autograd.grad(found.sum(), rows)
    assert gradient[:, 1:3].tolist() == [[0, 0], [1, 1]]


def test_rows_without_conditions_are_canonical() -> None:
    rows = torch.rand(5, 3, dtype=torch.float64)
    assert torch.equal(Box(line(3)).canonical(rows), rows)
    assert torch.equal(Box(mixed_space()).canonical(rows), Box(mixed_space()).snapped(rows))


def test_choices_have_equal_shares_of_the_cube_also_under_a_condition() -> None:
    """What is inactive is no choice of its own, and gives its share to none."""
    box = Box(TREE)
    unit = ((torch.arange(1200, dtype=torch.float64) + 0.5) / 1200)[:, None].repeat(1, 4)
    unit[:, 0] = 0.9
    found = [box.architecture(row).decisions for row in box.stretched(unit)]
    assert [[each[3] for each in found].count(mode) for mode in "uv"] == [600] * 2


def test_whole_numbers_have_equal_shares_of_the_cube() -> None:
    box = Box(mixed_space())
    unit = ((torch.arange(1200, dtype=torch.float64) + 0.5) / 1200)[:, None].expand(-1, 3)
    found = [box.architecture(row).decisions for row in box.stretched(unit)]
    assert [[each[1] for each in found].count(i) for i in range(1, 5)] == [300] * 4
    assert [[each[2] for each in found].count(c) for c in "abc"] == [400] * 3


def test_snapping_passes_gradients_and_leaves_inactive_numbers() -> None:
    box = Box(mixed_space())  # whole numbers at .125, .375, .625, .875
    rows = torch.tensor([[0.3, 0.4, 1.0], [0.3, 0.5, 1.0]], dtype=torch.float64, requires_grad=True)
    snapped = box.snapped(rows)
    assert snapped[:, 1].tolist() == [0.375, 0.375]  # always active: .5 is no place of its own
    (gradient,) = torch.autograd.grad(snapped.sum(), rows)
    assert (gradient == 1).all()
    assert Box(TREE_OF_TWO).snapped(tensor(0, 0.5).unsqueeze(0)).tolist() == [[0, 0.5]]
    assert Box(TREE_OF_TWO).snapped(tensor(0, 0.6).unsqueeze(0)).tolist() == [[0, 0.75]]


def test_a_whole_number_of_very_many_values_is_as_good_as_real() -> None:
    box = Box(Made(Integer("seed", 0, 10**12), Integer("few", 0, 9)))
    assert (box.reals, box.integers) == ([0], [1])
    assert box.architecture(tensor(0.25, 0.55)).decisions == (250_000_000_000, 5)
    assert list(box.levels) == [1]


def test_blocks() -> None:
    box = Box(mixed_space())
    rows = tensor(0.3, 0.375, 1).unsqueeze(0)
    assert box.expanded(rows).tolist() == [[0.3, 0.375, 0, 1, 0]]
    assert box.owners == [0, 1, 2, 2, 2]
    assert Box(line(2)).expanded(tensor(0.1, 0.2).unsqueeze(0)).tolist() == [[0.1, 0.2]]
