"""Nothing overlaps in a cell's picture, whatever the cell."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_cli.architecture import CellGraph
from nas_cli.report.layout import PAGE, Box, Layout, layout, text_width

OPERATIONS = ("sep_conv_3x3", "dil_conv_5x5", "max_pool_3x3", "skip_connect", "none", "tanh", "a rather long operation")


@st.composite
def cells(draw: st.DrawFn) -> CellGraph:
    inputs = draw(st.integers(1, 3))
    nodes = draw(st.integers(1, 7))
    edges = []
    for target in range(inputs, inputs + nodes):
        sources = draw(st.lists(st.integers(0, target - 1), max_size=6))
        edges += [(source, target, draw(st.sampled_from(OPERATIONS))) for source in sources]
    edges = draw(st.permutations(edges))
    outputs = draw(st.lists(st.integers(0, inputs + nodes - 1), unique=True))
    labels = draw(st.lists(st.text("abW{}_0", max_size=9), min_size=inputs + nodes, max_size=inputs + nodes))
    return CellGraph("cell", tuple(labels[:inputs]), tuple(labels[inputs:]), tuple(edges), tuple(outputs), "concat")


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two (left, top, right, bottom) share more than a border."""
    slack = 1e-6
    across = min(one[2], other[2]) - max(one[0], other[0]) > slack
    down = min(one[3], other[3]) - max(one[1], other[1]) > slack
    return across and down


def frame(box: Box) -> tuple[float, float, float, float]:
    return (box.left, box.top, box.right, box.bottom)


def check(placed: Layout) -> None:
    for one, other in combinations(placed.boxes, 2):
        assert not overlap(frame(one), frame(other)), (one, other)
    for box in placed.boxes:
        assert box.left >= 0
        assert box.top >= 0
        assert box.right <= placed.width + 1e-3
        assert box.bottom <= placed.height
        assert box.width > text_width(box.label)
    for wire in placed.wires:
        (x0, y0), (x1, y1) = wire.points[0], wire.points[-1]
        touching = [b for b in placed.boxes if (b.right == pytest.approx(x0) and b.top < y0 < b.bottom)]
        touching += [b for b in placed.boxes if (b.left == pytest.approx(x1) and b.top < y1 < b.bottom)]
        assert len(touching) == 2, "a wire joins two boxes"
        for start, end in pairwise(wire.points):
            assert start[0] <= end[0] + 1e-6, "a wire runs from left to right only"
            # A bend stays inside the rectangle of its ends: its control points do. A unit for the thickness.
            rectangle = (start[0], min(start[1], end[1]) - 1, end[0], max(start[1], end[1]) + 1)
            for box in placed.boxes:
                assert box in touching or not overlap(rectangle, frame(box)), (wire, box)


@settings(deadline=None, max_examples=150)
@given(cells(), st.sampled_from([PAGE, 1400.0]))
def test_nothing_overlaps(graph: CellGraph, width: float) -> None:
    placed = layout(graph, width)
    check(placed)
    assert placed.width >= width
    assert sum(box.kind == "operation" for box in placed.boxes) == len(graph.edges)
    assert len(placed.wires) == 2 * len(graph.edges) + len(graph.outputs)


@settings(deadline=None, max_examples=50)
@given(cells())
def test_lanes_and_nodes(graph: CellGraph) -> None:
    placed = layout(graph)
    count = len(graph.inputs) + len(graph.nodes)
    operations = placed.boxes[count:-1]
    assert len({box.y for box in operations}) == len(graph.edges), "every operation has a lane of its own"
    for node in range(len(graph.inputs), count):
        lanes = [box.y for box, edge in zip(operations, graph.edges, strict=True) if edge[1] == node]
        if lanes:
            assert placed.boxes[node].y == pytest.approx(sum(lanes) / len(lanes))


def test_operations_of_one_node_stand_in_the_order_of_their_sources() -> None:
    graph = CellGraph("cell", ("a", "b"), ("2",), ((1, 2, "x"), (0, 2, "y")), (2,), "concat")
    lane = {box.label: box.y for box in layout(graph).boxes if box.kind == "operation"}
    assert lane["y"] < lane["x"]


def test_a_single_input_is_level_with_the_only_lane_it_feeds() -> None:
    edges = ((0, 1, "tanh"), (1, 2, "relu"), (2, 3, "relu"))
    placed = layout(CellGraph("cell", ("x",), ("1", "2", "3"), edges, (1, 2, 3), "average"))
    assert placed.boxes[0].y == next(box.y for box in placed.boxes if box.label == "tanh")


def test_only_a_cell_that_needs_it_is_wider_than_the_page() -> None:
    def chain(length: int) -> CellGraph:
        edges = tuple((node, node + 1, "sep_conv_3x3") for node in range(length))
        labels = tuple(str(node) for node in range(length))
        return CellGraph("chain", ("x",), labels, edges, (length,), "output")

    assert layout(chain(4)).width == PAGE
    assert layout(chain(12)).width > PAGE
    check(layout(chain(12)))


@pytest.mark.parametrize("edge", [(2, 2, "x"), (3, 2, "x"), (0, 1, "x"), (0, 4, "x"), (-1, 2, "x")])
def test_an_edge_that_goes_nowhere_is_refused(edge: tuple[int, int, str]) -> None:
    with pytest.raises(ValueError, match=rf"cell: edge {edge[0]} -> {edge[1]} \(x\)"):
        layout(CellGraph("cell", ("a", "b"), ("2", "3"), (edge,), (2,), "concat"))


def test_an_output_that_is_no_node_is_refused() -> None:
    with pytest.raises(ValueError, match="output 3"):
        layout(CellGraph("cell", ("a", "b"), ("2",), (), (3,), "concat"))
