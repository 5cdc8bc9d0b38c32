"""Cells are told from their text, with no space built."""

from __future__ import annotations

import pytest
from lines import cell

from nas_cli import published
from nas_cli.networks.choices import all_pairs
from nas_cli.networks.nasbench201 import EDGES
from nas_cli.report.cells import edges_of, kind_title, read_graphs, short_name


@pytest.mark.parametrize("name", ["darts_v2", "amoebanet_a", "pc_darts_cifar"])
def test_a_pair_of_cells(name: str) -> None:
    found = published.load(name)
    graphs = read_graphs(found.to_json())
    assert [graph.title for graph in graphs] == ["normal cell", "reduction cell"]
    assert sum(len(graph.edges) for graph in graphs) >= 16


def test_nasbench201_is_drawn_as_its_space_draws_it() -> None:
    from nas_cli.architecture import Architecture
    from nas_cli.spaces.nasbench201 import NasBench201

    decisions = ("none", "skip_connect", "none", "nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1")
    found = Architecture("nasbench201", decisions)
    assert read_graphs(found.to_json()) == NasBench201("nasbench201").graphs(found)


def test_a_recurrent_cell() -> None:
    (graph,) = read_graphs({"space": "darts_recurrent", "decisions": ["relu:0 tanh:1 relu:1"]})
    assert [edge[2] for edge in graph.edges] == ["tanh", "tanh", "relu", "tanh", "relu"]


def test_a_recurrent_tree_and_a_chain_of_convolutions() -> None:
    tree = published.load("rnn_nascell")
    (graph,) = read_graphs(tree.to_json())
    assert (len(graph.nodes), graph.output) == (15 + 2, "h_{t}, c_{t}")
    assert read_graphs({"space": "recurrent_tree", "decisions": [*tree.decisions, *tree.decisions]}) == []
    (graph,) = read_graphs({"space": "chain_cnn", "decisions": ["3x3 filters 8", "1x5 stride 2x1 filters 4 from 1"]})
    assert graph.edges == ((0, 1, "conv 3x3, 8"), (1, 2, "conv 1x5 /2x1, 4"))
    assert read_graphs({"space": "chain_cnn", "decisions": ["3x3 filters 8", "relu:0"]}) == []


def test_one_cell_for_each_place() -> None:
    data = {"space": "darts", "decisions": [cell(0), cell(1), cell(2)]}
    kinds = ["normal_0", "reduce_1", "normal_2"]
    assert [graph.title for graph in read_graphs(data, kinds)] == ["normal cell 0", "reduction cell 1", "normal cell 2"]
    # Of three cells the second and the third reduce.
    assert [graph.title for graph in read_graphs(data)] == ["normal cell 0", "reduction cell 1", "reduction cell 2"]


@pytest.mark.parametrize(
    "data",
    [
        None,
        {"space": "darts"},
        {"space": "darts", "decisions": [1, 2.5]},
        {"space": "darts", "decisions": [cell(0), 3]},
        {"space": "darts", "decisions": ["skip_connect:7 ; concat 2"]},
        {"space": "darts", "decisions": ["; concat 2"]},
        {"space": "mlp", "decisions": ["relu", "tanh"]},
        {"space": "darts", "decisions": [" | ".join(["x:0 + x:1"] * 200) + " ; concat 2"]},
        {"space": 3, "decisions": []},
    ],
)
def test_what_is_no_known_cell_is_not_drawn(data: object) -> None:
    assert read_graphs(data) == []


def test_edges_are_those_of_the_spaces() -> None:
    assert edges_of(6) == list(EDGES)
    for inputs in (1, 2):
        for nodes in range(1, 9):
            pairs = all_pairs(inputs, nodes)
            assert edges_of(len(pairs)) == list(pairs)
    assert edges_of(7) == []
    assert edges_of(0) == []


def test_titles_and_short_names() -> None:
    assert [kind_title(kind) for kind in ("normal", "reduce", "cell", "normal_12")] == [
        "normal cell",
        "reduction cell",
        "cell",
        "normal cell 12",
    ]
    names = ("sep_conv_3x3", "dil_conv_5x5", "max_pool_3x3", "skip_connect", "nor_conv_1x1", "conv_7x1_1x7", "none")
    assert [short_name(name) for name in names] == ["sep 3", "dil 5", "max 3", "skip", "conv 1", "conv 7x1 1x7", "none"]
    assert short_name("my.Operation") == "my.Operation"
