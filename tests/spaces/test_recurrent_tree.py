"""The space of recurrent trees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_cli import published
from nas_cli.architecture import Architecture
from nas_cli.config import compose
from nas_cli.cost import count
from nas_cli.errors import InputError
from nas_cli.networks.recurrent import NO_DROPOUT
from nas_cli.seeding import seeded
from nas_cli.spaces.recurrent_tree import RecurrentTreeSpace
from nas_cli.spaces.tokens import Choice

LECTURE = Architecture("recurrent_tree", ("add tanh | mul relu | mul sigmoid ; inject add relu ; c_out 1 ; c_in 0",))


def space(base: int = 2, **options: object) -> RecurrentTreeSpace:
    return RecurrentTreeSpace("recurrent_tree", base, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("base", "size"), [(1, 64), (2, 36_864), (8, 63_331_869_759_897_600)])
def test_there_are_as_many_cells_as_the_sheet_says(base: int, size: int) -> None:
    assert space(base).size() == size == 8 ** (2 * base - 1) * 8 * (2 * base - 1) ** 2


def test_an_architecture_is_the_text_of_its_cell() -> None:
    values = ("add", "tanh", "mul", "relu", "mul", "sigmoid", "add", "relu", 1, 0)
    assert space().decode(values) == LECTURE
    assert space().encode(LECTURE) == values
    assert space().describe(LECTURE) == f"recurrent tree: {LECTURE.decisions[0]}"
    assert space().graphs(LECTURE)[0].title == "recurrent tree"


@pytest.mark.parametrize("base", [1, 2, 8])
def test_tokens_are_those_of_the_sheet(base: int) -> None:
    made = space(base)
    nodes = 2 * base - 1
    assert made.tokens == (
        *((Choice("combine", 2), Choice("activation", 4)) * nodes),
        Choice("inject_combine", 2),
        Choice("inject_activation", 4),
        Choice("c_out", nodes),
        Choice("c_in", nodes),
    )
    assert [token.width for token in made.tokens if isinstance(token, Choice)] == [
        len(decision.values() or ()) for decision in made.decisions
    ]


@pytest.mark.parametrize(
    ("decisions", "told"),
    [
        (("add tanh ; inject add relu ; c_out 0 ; c_in 0",), "has 2 leaves, this one 1"),
        (("add tanh | mul elu | mul relu ; inject add relu ; c_out 0 ; c_in 0",), "1/activation=elu is not in space"),
        (("add tanh | mul relu | mul relu ; inject sub relu ; c_out 0 ; c_in 0",), "inject/combine=sub is not in"),
        ((*LECTURE.decisions, "x"), "has one decision, the text of its cell"),
        ((1,), "has one decision, the text of its cell"),
    ],
)
def test_a_cell_from_elsewhere_is_refused(decisions: tuple[str | int, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        space().encode(Architecture("recurrent_tree", decisions))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"base": 0}, "base must be at least 1, not 0"),
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"combinations": ("add", "sub")}, "sub: no such combination"),
        ({"combinations": ()}, "combinations: at least one is needed"),
        ({"activations": ("tanh", "tanh")}, "activations: one stands twice in tanh, tanh"),
        ({"activations": ("swish",)}, "swish: no such activation"),
    ],
)
def test_options_are_checked(options: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        RecurrentTreeSpace("recurrent_tree", **options)  # type: ignore[arg-type]


def check_one(seed: int) -> None:
    """A random cell of a random base is written and read back, runs, and all its matrices learn."""
    generator = np.random.default_rng(seed)
    made = space(int(generator.integers(1, 9)), hidden=3, layers=int(generator.integers(1, 3)))
    cell = made.sample(generator)
    assert made.decode(made.encode(cell)) == cell
    with seeded(seed, "network"):
        network = made.build(cell, 7, None, NO_DROPOUT)
        words = torch.randint(0, 7, (3, 2))
    found = network(words, network(words).hidden.detach())
    assert found.logits.shape == (3, 2, 7)
    assert found.hidden.shape == (2 * made.layers, 2, 3)
    assert torch.isfinite(found.logits).all()
    found.logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_every_cell_builds_and_learns(seed: int) -> None:
    check_one(seed)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(st.integers(0, 2**32))
def test_thousands_of_cells_build_and_learn(seed: int) -> None:
    check_one(seed)


def test_the_published_cell_is_built_whatever_the_space_s_own_base() -> None:
    record = published.record("rnn_nascell")
    cell, counts = published.load("rnn_nascell"), record["counts"]
    assert space(8).decode(space(8).encode(cell)) == cell
    hidden, words = counts["hidden"], counts["words"]
    measured = count(lambda: space(layers=counts["layers"]).build(cell, words, hidden, NO_DROPOUT), (1,), torch.int64)
    assert measured.params == counts["params"] == words * hidden + words + counts["layers"] * 16 * hidden**2
    assert measured.macs == counts["macs"]
    assert measured.params / 1e6 == pytest.approx(record["reported"]["params_millions"], rel=0.01)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], ("pydoc", "train_language", "small_language")),
        (["strategy=random"], ("pydoc", "train_language", "small_language")),
        (["strategy=random", "dataset=ptb"], ("ptb", "train_language", "small_language")),
        (["strategy=random", "evaluation=ptb"], ("pydoc", "train_language", "ptb")),
    ],
)
def test_it_brings_a_text_and_what_judges_it(overrides: list[str], expected: tuple[str, ...]) -> None:
    names = compose("search", ["space=recurrent_tree", *overrides])["names"]
    assert (names["dataset"], names["estimator"], names["evaluation"]) == expected


def test_an_evaluation_brings_its_own_text() -> None:
    assert compose("evaluate", ["space=recurrent_tree"])["names"]["dataset"] == "pydoc"
    assert compose("evaluate", ["space=recurrent_tree", "evaluation=ptb"])["names"]["dataset"] == "ptb"
