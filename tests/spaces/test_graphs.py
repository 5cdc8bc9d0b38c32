"""Cells as labelled graphs and as paths: the examples of the sheet, and what holds for every cell."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nas_cli.architecture import Architecture, CellGraph
from nas_cli.networks.genotype import Cell, Genotype
from nas_cli.spaces.darts import DartsSpace
from nas_cli.spaces.functions import Branin
from nas_cli.spaces.graphs import SUM, LabelledGraph, labelled_graph, path_bits, paths
from nas_cli.spaces.nasbench201 import PATH_OPERATIONS, NasBench201

SPACE = NasBench201("nasbench201")
CONV = "nor_conv_3x3"
C3 = SPACE.decode([CONV] * 6)
RES = SPACE.from_string(f"|{CONV}~0|+|none~0|{CONV}~1|+|skip_connect~0|none~1|skip_connect~2|")
MIX = SPACE.from_string(f"|{CONV}~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|none~1|{CONV}~2|")


def test_full_cell_is_the_graph_of_the_benchmark() -> None:
    graph = SPACE.labelled_graph(C3)
    assert graph.labels == ("input", *[CONV] * 6, "output")
    # Nodes 1 to 6 are edges 0->1, 0->2, 1->2, 0->3, 1->3, 2->3 of the cell.
    edges = {(0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 6), (3, 6), (4, 7), (5, 7), (6, 7)}
    assert set(graph.edges) == edges


def test_skips_are_contracted_and_none_deleted() -> None:
    assert SPACE.labelled_graph(RES) == LabelledGraph(("input", CONV, CONV, "output"), ((0, 1), (0, 3), (1, 2), (2, 3)))
    assert len(SPACE.labelled_graph(MIX).labels) == 6


def test_chains_of_skips_are_contracted() -> None:
    cell = SPACE.decode(["skip_connect", "none", "skip_connect", "none", "none", CONV])
    assert SPACE.labelled_graph(cell) == LabelledGraph(("input", CONV, "output"), ((0, 1), (1, 2)))


def test_parallel_edges_merge() -> None:
    twice = SPACE.decode(["skip_connect", "none", "none", "skip_connect", "skip_connect", "none"])
    assert SPACE.labelled_graph(twice) == LabelledGraph(("input", "output"), ((0, 1),))


def test_without_a_way_only_the_output_is_left() -> None:
    cut = SPACE.decode([CONV, CONV, CONV, "none", "none", "none"])
    assert SPACE.labelled_graph(cut) == LabelledGraph(("output",), ())


def test_graphs_of_any_cell_are_topological_and_connected() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        graph = SPACE.labelled_graph(SPACE.sample(generator))
        assert all(source < target for source, target in graph.edges)
        assert graph.labels[-1] == "output"
        for node in range(len(graph.labels) - 1):
            assert graph.successors[node]
            assert graph.predecessors[node] or graph.labels[node] == "input"


def test_darts_has_sums_and_keeps_its_cells_apart() -> None:
    cell = Cell.parse("sep_conv_3x3:0 + skip_connect:1 | sep_conv_3x3:2 + max_pool_3x3:1 ; concat 2,3")
    space = DartsSpace("darts", ("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3"), nodes=2)
    graph = space.labelled_graph(Genotype(cell, cell).to_architecture("darts"))
    one = labelled_graph([cell.graph("normal cell")])
    assert one.labels == (
        "c_{k-2}", "c_{k-1}", "sep_conv_3x3", "skip_connect", SUM, "sep_conv_3x3", "max_pool_3x3", SUM, "concat"
    )  # fmt: skip
    assert len(graph.labels) == 2 * len(one.labels)
    half = len(one.labels)
    assert set(graph.labels[:half]).isdisjoint(graph.labels[half:])
    assert graph.edges[: len(one.edges)] == one.edges


def test_unused_input_is_left_out() -> None:
    graph = CellGraph("cell", ("a", "b"), ("2", "3"), ((0, 2, "x"), (1, 3, "y")), (2,), "concat")
    assert labelled_graph([graph]).labels == ("a", "x", SUM, "concat")


def test_space_without_cells_has_neither() -> None:
    space = Branin("branin")
    point = space.sample(np.random.default_rng(0))
    assert space.labelled_graph(point).labels == ()
    assert space.paths(point) == ()


@pytest.mark.parametrize(("architecture", "bits"), [(C3, [2, 17, 92]), (RES, [4, 22, 28, 142]), (MIX, [4, 16, 22, 82])])
def test_path_encoding_of_bananas(architecture: Architecture, bits: list[int]) -> None:
    assert path_bits(SPACE.paths(architecture), PATH_OPERATIONS) == bits


def test_path_encodings_are_distinct_and_155_long() -> None:
    every = itertools.product(PATH_OPERATIONS, repeat=6)
    encodings = {tuple(path_bits([(d,), (a, e), (b, f), (a, c, f)], PATH_OPERATIONS)) for a, b, c, d, e, f in every}
    assert len(encodings) == 15625
    assert [sum(len(bits) == ones for bits in encodings) for ones in (3, 4)] == [625, 15000]
    assert min(map(min, encodings)) == 0
    assert max(map(max, encodings)) == 154


def test_path_of_length_nought_can_have_a_bit() -> None:
    longest = path_bits([(), ("c",) * 5], ("a", "b", "c"), shortest=0)
    assert longest == [0, 363]  # the 364 bits of NAS-Bench-101


def test_paths_tell_inputs_apart_where_there_are_several() -> None:
    graph = CellGraph("cell", ("a", "b"), ("2", "3"), ((0, 2, "x"), (1, 2, "x"), (2, 3, "y")), (2, 3), "concat")
    assert paths([graph]) == (("a", "x"), ("b", "x"), ("a", "x", "y"), ("b", "x", "y"))
