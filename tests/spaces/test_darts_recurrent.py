"""The space of recurrent cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_up_text import ACTIVATIONS, recurrent_cell, recurrent_space

from nas_cli import published
from nas_cli.architecture import Architecture
from nas_cli.config import compose
from nas_cli.errors import CombinationError, InputError
from nas_cli.networks.recurrent import NO_DROPOUT
from nas_cli.seeding import seeded
from nas_cli.session import _Parts
from nas_cli.spaces.darts_recurrent import DartsRecurrentSpace


def test_there_are_as_many_cells_as_the_sheet_says() -> None:
    assert recurrent_space(nodes=8).size() == 2_642_411_520  # 8! · 4⁸


def test_the_supernet_leaves_open_what_the_paper_does() -> None:
    choices = recurrent_space(nodes=8).choices["recurrent"]
    assert choices.shape == (36, 5)
    assert choices.inputs == 1
    assert choices.operations[0] == ACTIVATIONS


def test_an_architecture_is_the_text_of_its_cell() -> None:
    space = recurrent_space()
    assert space.decode((0, "tanh", 1, "relu")) == recurrent_cell()
    assert space.encode(recurrent_cell()) == (0, "tanh", 1, "relu")
    assert space.from_cells({"recurrent": ((("tanh", 0),), (("relu", 1),))}) == recurrent_cell()
    assert space.describe(recurrent_cell()) == "recurrent: tanh:0 relu:1"


@pytest.mark.parametrize(
    ("decisions", "told"),
    [
        (("tanh:0",), "a cell is the mean of all of its 2 nodes, unlike tanh:0"),
        (("tanh:0 relu:1 ; mean 2",), "unlike tanh:0 relu:1 ; mean 2"),
        (("tanh:0 none:1",), "2/activation=none is not in space darts_recurrent"),
        (("tanh:0 relu:1", "tanh:0"), "has one decision, the text of its cell"),
    ],
)
def test_a_cell_from_elsewhere_is_refused(decisions: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        recurrent_space().encode(Architecture("darts_recurrent", decisions))


@pytest.mark.parametrize("counts", [(0, 1), (2, 1)])
def test_a_derivation_that_gives_other_cells_is_refused(counts: tuple[int, ...]) -> None:
    nodes = tuple((("tanh", 0),) * count for count in counts)
    with pytest.raises(
        CombinationError, match=f"this derivation gives {counts[0]}, {counts[1]}; take strategy/derivation=top_k"
    ):
        recurrent_space().from_cells({"recurrent": nodes})


@pytest.mark.parametrize("part", ["strategy/derivation=argmax", "strategy.derivation.edges=2"])
def test_it_is_refused_before_any_work(part: str) -> None:
    config = compose("search", ["space=darts_recurrent", part])
    with pytest.raises(CombinationError, match="a node has one predecessor"):
        _Parts({"command": "search", **config})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"operations": ["tanh", "swoosh"]}, "swoosh: no such activation"),
        ({"operations": ["none"]}, "at least one other than none"),
        ({"operations": ["tanh", "tanh"]}, "one stands twice in tanh, tanh"),
        ({"nodes": 0}, "nodes must be at least 1, not 0"),
        ({"hidden": 0}, "hidden must be at least 1, not 0"),
    ],
)
def test_options_are_checked(options: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        DartsRecurrentSpace("darts_recurrent", **{"operations": ACTIVATIONS, **options})  # type: ignore[arg-type]


def test_every_cell_can_be_built_and_learns() -> None:
    space = recurrent_space(nodes=4)
    words = torch.randint(0, 12, (5, 3), generator=torch.Generator().manual_seed(0))
    cells = [space.sample(np.random.default_rng(k)) for k in range(4)]
    known = [published.load(name) for name in published.names()]  # no members, all the same
    cells += [cell for cell in known if cell.space == "darts_recurrent"]
    for architecture in cells:
        with seeded(0, "network"):
            network = space.build(architecture, 12, None, NO_DROPOUT)
        found = network(words)
        assert found.logits.shape == (5, 3, 12)
        assert found.hidden.shape == (3, space.hidden)
        found.logits.square().mean().backward()
        assert network.embedding.grad is not None
        assert network.embedding.grad.abs().sum() > 0


def test_sizes_are_the_space_s_own_unless_given() -> None:
    assert recurrent_space().build(recurrent_cell(), 12, 30, NO_DROPOUT).embedding.shape == (12, 30)
    assert recurrent_space(hidden=9).build(recurrent_cell(), 12, None, NO_DROPOUT).embedding.shape == (12, 9)


@pytest.mark.parametrize(
    ("primary", "overrides", "expected"),
    [
        ("search", [], ("pydoc", "shared_language", "small_language")),
        ("search", ["strategy=darts"], ("pydoc", "shared_language", "small_language")),
        ("search", ["dataset=ptb"], ("ptb", "shared_language", "small_language")),
        ("search", ["evaluation=ptb"], ("ptb", "shared_language", "ptb")),
        ("search", ["+experiment=darts/wikitext2_first_order"], ("wikitext2", "shared_language", "wikitext2")),
        ("evaluate", [], ("pydoc", None, "small_language")),
        ("evaluate", ["evaluation=ptb"], ("ptb", None, "ptb")),
        ("evaluate", ["evaluation=ptb", "dataset=pydoc"], ("pydoc", None, "ptb")),
    ],
)
def test_it_brings_a_text_and_what_goes_with_it(
    primary: str, overrides: list[str], expected: tuple[str, str | None, str]
) -> None:
    names = compose(primary, ["space=darts_recurrent", *overrides])["names"]
    assert (names["dataset"], names.get("estimator"), names["evaluation"]) == expected


def test_an_evaluation_takes_no_estimator() -> None:
    assert compose("evaluate", ["space=darts_recurrent"])["estimator"] is None
    with pytest.raises(InputError, match="estimator: is of no use here"):
        compose("evaluate", ["estimator=shared_language"])
