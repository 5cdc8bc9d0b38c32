"""Recurrent cells as text."""

from __future__ import annotations

import pytest

from nas_cli.errors import InputError
from nas_cli.networks.recurrent_genotype import RecurrentGenotype

ENAS = "tanh:0 tanh:1 relu:1 tanh:3 tanh:3 relu:3 relu:4 relu:7 relu:8 relu:8 relu:8 ; mean 2,5,6,9,10,11"


@pytest.mark.parametrize("text", ["tanh:0", "relu:0 relu:1 tanh:2", ENAS])
def test_text_and_cell_are_inverse(text: str) -> None:
    assert str(RecurrentGenotype.parse(text)) == text


def test_the_mean_is_of_all_nodes_unless_said_otherwise() -> None:
    assert RecurrentGenotype.parse("relu:0 tanh:1") == RecurrentGenotype((("relu", 0), ("tanh", 1)), (1, 2))
    assert RecurrentGenotype.parse("relu:0 tanh:1 ; mean 1,2").mean == (1, 2)
    assert RecurrentGenotype.parse(ENAS).mean == (2, 5, 6, 9, 10, 11)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "at least one node"),
        ("relu:1", "predecessor 1 of relu is not one of 0 to 0"),
        ("relu:0 relu:2", "predecessor 2 of relu is not one of 0 to 1"),
        ("relu", "'relu' in 'relu' must be activation:source"),
        ("relu:0 ; concat 1", "may end in '; mean'"),
        ("relu:0 ; mean 2", "the mean of some of the nodes 1 to 1, ascending, not of 2"),
        ("relu:0 tanh:0 ; mean 2,1", "ascending, not of 2,1"),
        ("relu:0 ; mean 1,1", "ascending, not of 1,1"),
    ],
)
def test_a_wrong_text_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        RecurrentGenotype.parse(text)
    assert "\n" not in str(caught.value)


def test_a_drawing_has_the_joined_state_and_every_node() -> None:
    graph = RecurrentGenotype.parse("relu:0 tanh:0 ; mean 2").graph("recurrent cell")
    assert graph.inputs == ("x_{t}", "h_{t-1}")
    assert graph.nodes == ("0", "1", "2")
    assert graph.edges == ((0, 2, "tanh"), (1, 2, "tanh"), (2, 3, "relu"), (2, 4, "tanh"))
    assert graph.outputs == (4,)
