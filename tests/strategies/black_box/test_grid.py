"""Grid search: every combination once, the last decision changing fastest."""

from __future__ import annotations

import itertools

import pytest

from nas_cli.errors import InputError
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Real, When
from nas_cli.spaces.functions import Branin
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.strategies.black_box.grid import Grid


class Mixed(Space):
    decisions: tuple[Decision, ...] = (
        Categorical("c", ("a", "b", "c")),
        Integer("i", 1, 2),
        Real("r", 0.0, 1.0),
    )


def points(strategy: Grid, count: int) -> list[tuple[object, ...]]:
    return [candidate.architecture.decisions for candidate in strategy.ask(count, [])]


def test_every_combination_in_order() -> None:
    expected = list(itertools.product(("a", "b", "c"), (1, 2), (0.0, 0.5, 1.0)))
    assert points(Grid(Mixed("mixed"), levels=3), 100) == expected


@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_asked_in_pieces_it_is_the_same_and_ends(count: int) -> None:
    strategy, whole = Grid(Mixed("mixed"), levels=2), points(Grid(Mixed("mixed"), levels=2), 100)
    assert len(whole) == 12
    found: list[tuple[object, ...]] = []
    while piece := points(strategy, count):
        assert len(piece) <= count
        found += piece
    assert found == whole
    assert points(strategy, count) == []


def test_branin_has_25_points_and_finds_the_best_of_them() -> None:
    space = Branin("branin")
    asked = [candidate.architecture for candidate in Grid(space).ask(100, [])]
    assert len(set(asked)) == 25
    assert asked[0].decisions == (-5.0, 0.0)
    assert asked[1].decisions == (-5.0, 3.75)
    assert asked[-1].decisions == (10.0, 15.0)


def test_a_large_grid_is_not_built_in_memory() -> None:
    strategy = Grid(NasBench201("nasbench201"))
    strategy.load_state_dict({"asked": 5**6 - 2})
    last = points(strategy, 10)
    assert last == [("avg_pool_3x3",) * 5 + ("nor_conv_3x3",), ("avg_pool_3x3",) * 6]


def test_levels_range() -> None:
    with pytest.raises(InputError, match="levels must be between 2 and 1000000, not 1"):
        Grid(Mixed("mixed"), levels=1)
    with pytest.raises(InputError, match="levels must be between"):
        Grid(Mixed("mixed"), levels=10**8)


def test_a_space_may_be_deeper_than_recursion_goes() -> None:
    class Deep(Space):
        decisions: tuple[Decision, ...] = tuple(Integer(f"i{k}", 0, 1) for k in range(5000))

    (first, second, third) = points(Grid(Deep("deep"), evaluations=3), 3)
    assert first == (0,) * 5000
    assert (second[-2:], third[-2:]) == ((0, 1), (1, 0))


class Tree(Space):
    """A rate always, a momentum with one of two solvers only."""

    decisions: tuple[Decision, ...] = (
        Categorical("solver", ("adam", "sgd")),
        Real("momentum", 0.0, 0.9, when=When("solver", ("sgd",))),
        Real("rate", 0.01, 1.0, log=True),
    )


def test_conditional_children_only_under_an_active_parent() -> None:
    rates = (0.01, 0.1, 1.0)
    expected: list[tuple[str, float | None, float]] = [("adam", None, rate) for rate in rates]
    expected += [("sgd", momentum, rate) for momentum in (0.0, 0.45, 0.9) for rate in rates]
    strategy = Grid(Tree("tree"), levels=3)
    assert strategy.evaluations == 12
    found = points(strategy, 100)
    assert [point[:2] for point in found] == [point[:2] for point in expected]
    assert [point[2] for point in found] == pytest.approx([point[2] for point in expected])


@pytest.mark.parametrize("at", [0, 1, 5, 12])
def test_it_goes_on_from_a_count(at: int) -> None:
    whole, other = points(Grid(Tree("tree"), levels=3), 100), Grid(Tree("tree"), levels=3)
    other.load_state_dict({"asked": at})
    assert points(other, 100) == whole[at:]
