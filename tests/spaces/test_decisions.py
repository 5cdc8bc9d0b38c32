"""Decisions: draws, grids, membership, unit coding, and counting under conditions."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_cli.errors import InputError
from nas_cli.spaces.combinations import active, count, walk
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Normal, Number, Real, When

NUMBERS: list[Number] = [
    Integer("integer", 2, 4),
    Integer("log integer", 1, 300, log=True),
    Integer("log integer in steps", 16, 1024, log=True, step=16),
    Integer("integer in steps that miss the end", -3, 9, step=5),
    Real("real", -5.0, 10.0),
    Real("log real", 1e-4, 10.0, log=True),
    Real("real in steps", 0.0, 1.0, step=0.1),
    Real("log real in steps", 0.5, 20.0, log=True, step=0.5),
    Normal("normal", -1.0, 2.0),
    Normal("log-normal", math.log(0.01), 3.0, log=True),
    Normal("normal in steps", 0.0, 10.0, step=3.0),
    Normal("log-normal in steps", 2.0, 1.0, log=True, step=0.5),
]
numbers = pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)


@numbers
@given(u=st.floats(0, 1))
def test_unit_coding_and_back(number: Number, u: float) -> None:
    value = number.from_unit(u)
    assert value in number
    again = number.from_unit(number.to_unit(value))
    assert again in number
    if isinstance(number, Normal) and not 1e-6 < u < 1 - 1e-6:
        return  # 1 - u keeps few digits there
    if number.cell(value)[0] == number.cell(value)[1]:
        assert again == pytest.approx(value, rel=1e-6, abs=1e-6)
        assert number.to_unit(value) == pytest.approx(u, abs=1e-9)
    else:
        assert again == value
        low, high = number.cell(value)
        assert number.cdf(low) - 1e-9 <= u <= number.cdf(high) + 1e-9


@numbers
def test_unit_coding_is_monotonic_and_reaches_the_ends(number: Number) -> None:
    found = [number.from_unit(u) for u in np.linspace(0, 1, 101)]
    assert found == sorted(found)
    if not isinstance(number, Normal):
        values = number.values()
        ends = (values[0], values[-1]) if values is not None else (number.low, number.high)  # type: ignore[attr-defined]
        assert (found[0], found[-1]) == pytest.approx(ends)


@given(low=st.integers(-50, 50), width=st.integers(0, 60), u=st.floats(0, 1))
def test_a_whole_number_is_coded_as_in_spearmint(low: int, width: int, u: float) -> None:
    epsilon = np.finfo(float).eps
    expected = math.floor(u * (1 - epsilon) * (width + 1)) + low
    found = Integer("n", low, low + width).from_unit(u)
    at_border = abs(u * (width + 1) - round(u * (width + 1))) < 1e-9  # where rounding may go either way
    assert abs(found - expected) <= at_border


@numbers
def test_draws_follow_the_prior(number: Number) -> None:
    generator = np.random.default_rng(0)
    drawn = [number.sample(generator) for _ in range(2000)]
    assert all(value in number for value in drawn)
    assert all(type(value) is (int if isinstance(number, Integer) else float) for value in drawn)
    for u in (0.25, 0.5, 0.75):  # the share below a border between two cells is the prior's
        border = number.cell(number.from_unit(u))[0]
        share = np.mean([number.scaled(value) < border for value in drawn])
        assert share == pytest.approx(max(number.cdf(border), 0), abs=0.04)


@numbers
def test_cells_of_neighbours_touch(number: Number) -> None:
    values = number.values()
    if values is None:
        return
    cells = [number.cell(value) for value in values]
    for (_, end), (start, _) in itertools.pairwise(cells):
        assert end == pytest.approx(start)
    assert (cells[0][0], cells[-1][1]) == pytest.approx(number.bounds)  # type: ignore[attr-defined]


def test_normal_numbers_are_those_of_the_normal_distribution() -> None:
    plain, log = Normal("x", -1.0, 2.0), Normal("x", -1.0, 2.0, log=True)
    assert plain.from_unit(0.975) == pytest.approx(-1 + 2 * 1.959963984540054)
    assert log.from_unit(0.975) == pytest.approx(math.exp(-1 + 2 * 1.959963984540054))
    assert log.to_unit(math.exp(-1)) == pytest.approx(0.5)
    assert plain.grid(2) == pytest.approx([NormalDist(-1, 2).inv_cdf(u) for u in (0.25, 0.75)])
    assert Normal("x", 0.0, 5.0, log=True, step=2.0).from_unit(0.0) == 2.0  # a multiple, and positive


def test_a_logarithmic_draw_is_uniform_in_the_logarithm() -> None:
    generator = np.random.default_rng(1)
    drawn = [Real("rate", 0.01, 100.0, log=True).sample(generator) for _ in range(4000)]
    for border in (0.1, 1.0, 10.0):  # a quarter of the draws falls into each of the four decades
        share = np.mean([value < border for value in drawn])
        assert share == pytest.approx((math.log10(border) + 2) / 4, abs=0.03)


def test_a_logarithmic_integer_prefers_small_numbers() -> None:
    generator = np.random.default_rng(1)
    drawn = [Integer("n", 1, 4, log=True).sample(generator) for _ in range(6000)]
    whole = math.log(4.5 / 0.5)
    for k in range(1, 5):
        assert np.mean([value == k for value in drawn]) == pytest.approx(
            math.log((k + 0.5) / (k - 0.5)) / whole, abs=0.03
        )


def test_choices_have_their_probabilities() -> None:
    depth = Categorical("depth", (0, 1, 2, 3), (0.5, 0.25, 0.125, 0.125))
    generator = np.random.default_rng(0)
    drawn = [depth.sample(generator) for _ in range(4000)]
    for value, probability in zip(depth.choices, depth.prior, strict=True):
        assert drawn.count(value) / 4000 == pytest.approx(probability, abs=0.03)
    assert Categorical("c", ("a", "b")).prior == (0.5, 0.5)


@pytest.mark.parametrize(
    ("decision", "levels", "points"),
    [
        (Categorical("c", ("a", "b", "c")), 2, ["a", "b", "c"]),
        (Integer("i", 1, 3), 5, [1, 2, 3]),
        (Integer("i", 0, 10), 3, [0, 5, 10]),
        (Integer("i", 1, 10000, log=True), 5, [1, 10, 100, 1000, 10000]),
        (Integer("i", 1, 3, log=True), 10, [1, 2, 3]),
        (Real("r", 0.0, 1.0), 3, [0.0, 0.5, 1.0]),
        (Real("r", 0.01, 1.0, log=True), 3, [0.01, 0.1, 1.0]),
        (Real("r", 0.0, 1.0, step=0.25), 9, [0.0, 0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_grids(decision: Decision, levels: int, points: list[Any]) -> None:
    grid = list(decision.grid(levels))
    assert grid == (pytest.approx(points) if isinstance(decision, Real) else points)
    assert all(value in decision for value in grid)


@pytest.mark.parametrize(
    ("decision", "outside"),
    [
        (Categorical("c", ("a", "b")), ["c", 1, None]),
        (Integer("i", 1, 3), [0, 4, 1.5, 2.0, "1", True, None]),
        (Integer("i", 1, 6, step=2), [2, 6]),
        (Real("r", 0.0, 1.0), [-0.1, 1.1, "0.5", True, None, math.nan]),
        (Real("r", 0.0, 1.0, step=0.5), [0.25]),
        (Normal("n", 0.0, 1.0), [math.nan, math.inf, "0", None]),
        (Normal("n", 0.0, 1.0, log=True), [0.0, -1.0]),
        (Normal("n", 0.0, 1.0, log=True, step=1.0), [0.0, 0.5]),
    ],
)
def test_membership(decision: Decision, outside: list[Any]) -> None:
    assert [value for value in outside if value in decision] == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Real("r", 1.0, 1.0), "r: no range from 1.0 to 1.0"),
        (lambda: Real("r", 0.0, 1.0, log=True), "r: a logarithmic range starts above 0"),
        (lambda: Integer("i", 0, 5, log=True), "i: a logarithmic range starts above 0"),
        (lambda: Integer("i", 1, 5, step=0), "i: step must be above 0, not 0"),
        (lambda: Normal("n", 0.0, 0.0), "n: sd must be above 0, not 0.0"),
        (lambda: Categorical("c", (1, 2), (0.5, 0.4)), "c: probabilities .* must be one a choice and sum to 1"),
    ],
)
def test_what_is_no_decision(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_conditions_nest() -> None:
    decisions: tuple[Decision, ...] = (
        Integer("depth", 1, 3),
        Integer("first", 1, 2),
        Integer("second", 1, 2, when=When("depth", (2, 3))),
        Categorical("tie", ("yes", "no"), when=When("second", (2,))),
        Integer("third", 1, 2, when=When("depth", (3,))),
    )
    axes = [decision.values() or () for decision in decisions]
    combinations = list(walk(decisions, axes))
    # depth 1: 2; depth 2: 2 (1 + 2); depth 3: 2 (1 + 2) 2.
    assert count(decisions, axes) == len(combinations) == len(set(combinations)) == 20
    for values in combinations:
        assert [value is not None for value in values] == list(active(decisions, values))
    assert combinations[0] == (1, 1, None, None, None)
    assert combinations[-1] == (3, 2, 2, "no", 2)
    # A grid may leave out the very values that a condition names.
    axes[0] = [1]
    assert count(decisions, axes) == len(list(walk(decisions, axes))) == 2


@given(st.data())
def test_counting_is_walking(data: st.DataObject) -> None:
    decisions: list[Decision] = []
    for k in range(data.draw(st.integers(1, 5))):
        parent = data.draw(st.none() | st.sampled_from(decisions)) if decisions else None
        choices = tuple(range(data.draw(st.integers(1, 3))))
        values = tuple(data.draw(st.sets(st.integers(0, 2), min_size=1)))
        when = None if parent is None else When(parent.name, values)
        decisions.append(Categorical(str(k), choices, when=when))
    axes = [decision.values() or () for decision in decisions]
    combinations = list(walk(decisions, axes))
    assert count(decisions, axes) == len(combinations) == len(set(combinations))
