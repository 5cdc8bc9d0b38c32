"""Architectures and decisions; the spaces themselves are walked in tests/conformance/test_spaces.py."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.spaces.base import Categorical, Decision, Integer, Real, Space


class Flat(Space):
    """A space of three plain decisions, as a user would write one."""

    decisions: tuple[Decision, ...] = (  # type: ignore[assignment]
        Categorical("colour", ("red", "green")),
        Integer("count", 2, 4),
        Real("rate", 0.1, 10.0, log=True),
    )


FLAT = Flat("flat")
values = st.text(max_size=6) | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.text(max_size=8), st.lists(values, max_size=5))
def test_an_architecture_survives_json_and_hashes_alike(space: str, decisions: list[Any]) -> None:
    architecture = Architecture(space, tuple(decisions))
    back = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert back == architecture
    assert hash(back) == hash(architecture)
    assert {architecture: 1}[back] == 1


@pytest.mark.parametrize(
    "data",
    [None, 3, "darts", [], {}, {"space": "x"}, {"decisions": []}, {"space": 3, "decisions": []}]
    + [{"space": "x", "decisions": decisions} for decisions in ("ab", {"a": 1}, [None], [[1]], [{}], 3)],
)
def test_what_is_no_architecture_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match=r"^not an architecture: "):
        Architecture.from_json(data)


def test_an_architecture_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Architecture("x", (1,)).space = "y"  # type: ignore[misc]


def test_samples_are_members_and_cover_the_range() -> None:
    generator = np.random.default_rng(0)
    for decision in (*FLAT.decisions, Integer("log", 1, 3, log=True), Real("plain", -1.0, 1.0)):
        drawn = [decision.sample(generator) for _ in range(500)]
        assert all(value in decision for value in drawn)
        if isinstance(decision, Real):
            assert min(drawn) < decision.low + 0.1 * (decision.high - decision.low)  # type: ignore[operator,type-var]
        elif isinstance(decision, Integer):
            assert set(drawn) == set(range(decision.low, decision.high + 1))
        else:
            assert set(drawn) == set(decision.choices)


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


@pytest.mark.parametrize(
    ("decision", "levels", "points"),
    [
        (Categorical("c", ("a", "b", "c")), 2, ["a", "b", "c"]),
        (Integer("i", 1, 3), 5, [1, 2, 3]),
        (Integer("i", 0, 10), 3, [0, 5, 10]),
        (Real("r", 0.0, 1.0), 3, [0.0, 0.5, 1.0]),
        (Real("r", 0.01, 1.0, log=True), 3, [0.01, 0.1, 1.0]),
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
        (Integer("i", 1, 3), [0, 4, 1.5, "1", True, None]),
        (Real("r", 0.0, 1.0), [-0.1, 1.1, "0.5", True, None, math.nan]),
    ],
)
def test_membership(decision: Decision, outside: list[Any]) -> None:
    assert [value for value in outside if value in decision] == []


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        (("red", 2), "an architecture of flat has 3 decisions, this one 2"),
        (("red", 5, 1.0), "count=5 is not in space flat"),
        (("blue", 2, 1.0), "colour=blue is not in space flat"),
        (("red", 2, 11.0), "rate=11.0 is not in space flat"),
    ],
)
def test_encode_refuses_what_is_not_in_the_space(decisions: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError) as caught:
        FLAT.encode(Architecture("flat", decisions))
    assert str(caught.value) == message


def test_size_is_the_product_or_none() -> None:
    assert FLAT.size() is None

    class Small(Space):
        decisions = (Categorical("c", ("a", "b")), Integer("i", 2, 4))  # type: ignore[assignment]

    assert Small("small").size() == 6
    assert FLAT.graphs(FLAT.sample(np.random.default_rng(0))) == []
    assert FLAT.describe(Architecture("flat", ("red", 3, 0.5))) == "colour: red\ncount: 3\nrate: 0.5"
