"""Architectures and decisions; the spaces themselves are walked in tests/conformance/test_spaces.py."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Real, When


class Flat(Space):
    """A space of three plain decisions, as a user would write one."""

    decisions: tuple[Decision, ...] = (
        Categorical("colour", ("red", "green")),
        Integer("count", 2, 4),
        Real("rate", 0.1, 10.0, log=True),
    )


FLAT = Flat("flat")
values = st.none() | st.text(max_size=6) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.text(max_size=8), st.lists(values, max_size=5))
def test_an_architecture_survives_json_and_hashes_alike(space: str, decisions: list[Any]) -> None:
    architecture = Architecture(space, tuple(decisions))
    back = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert back == architecture
    assert hash(back) == hash(architecture)
    assert {architecture: 1}[back] == 1


NO_DECISIONS: list[Any] = ["ab", {"a": 1}, [[1]], [{}], 3]
NO_ARCHITECTURES: list[Any] = [
    *(None, 3, "darts", [], {}, {"space": "x"}, {"decisions": []}, {"space": 3, "decisions": []}),
    *({"space": "x", "decisions": decisions} for decisions in NO_DECISIONS),
]


@pytest.mark.parametrize("data", NO_ARCHITECTURES)
def test_what_is_no_architecture_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match=r"^not an architecture: "):
        Architecture.from_json(data)


def test_an_architecture_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Architecture("x", (1,)).space = "y"  # type: ignore[misc]


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
        decisions = (Categorical("c", ("a", "b")), Integer("i", 2, 4))

    assert Small("small").size() == 6
    assert FLAT.graphs(FLAT.sample(np.random.default_rng(0))) == []
    assert FLAT.describe(Architecture("flat", ("red", 3, 0.5))) == "colour: red\ncount: 3\nrate: 0.5"


class Tree(Space):
    """As of a solver: the momentum of one kind only, and its decay where there is momentum at all."""

    decisions: tuple[Decision, ...] = (
        Categorical("solver", ("sgd", "adam", "newton")),
        Integer("momentum", 0, 2, when=When("solver", ("sgd", "adam"))),
        Categorical("decay", ("slow", "fast"), when=When("momentum", (1, 2))),
        Categorical("restart", (True, False)),
    )


TREE = Tree("tree")


def test_only_decisions_that_are_to_be_made_have_values() -> None:
    assert TREE.active(("newton", None, None, True)) == (True, False, False, True)
    assert TREE.active(("sgd", 0, None, True)) == (True, True, False, True)
    assert TREE.active(("sgd", 2, "slow", True)) == (True, True, True, True)
    assert TREE.active(("sgd", 2)) == (True, True)
    assert TREE.describe(TREE.decode(("newton", None, None, False))) == "solver: newton\nrestart: False"


def test_a_conditional_space_is_counted_and_drawn_from_its_prior() -> None:
    assert TREE.size() == (2 * (1 + 2 * 2) + 1) * 2
    generator = np.random.default_rng(0)
    drawn = [TREE.encode(TREE.sample(generator)) for _ in range(3000)]
    assert len(set(drawn)) == 22
    # A third of each solver, a third of these of each momentum, half of these of each decay.
    share = np.mean([values[:3] == ("sgd", 2, "fast") for values in drawn])
    assert share == pytest.approx(1 / 18, abs=0.015)


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        (("newton", 1, None, True), "momentum=1: is not to be decided here"),
        (("sgd", None, None, True), "momentum=None: is to be decided here"),
        (("adam", 0, "slow", True), "decay=slow: is not to be decided here"),
        (("adam", 3, "slow", True), "momentum=3 is not in space tree"),
    ],
)
def test_encode_refuses_what_the_conditions_forbid(decisions: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError) as caught:
        TREE.encode(Architecture("tree", decisions))
    assert str(caught.value) == message
