"""The SVG is well formed, complete and the same every time."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from nas_cli.architecture import CellGraph
from nas_cli.networks.fractal_rule import graph as fractal_block
from nas_cli.report.drawing import FAMILIES, PALE_INK, draw_cells, family
from nas_cli.report.layout import layout

SVG = "{http://www.w3.org/2000/svg}"

NASBENCH201 = CellGraph(
    "cell",
    ("input",),
    ("1", "2", "3"),
    (
        (0, 1, "nor_conv_3x3"),
        (0, 2, "nor_conv_1x1"),
        (1, 2, "none"),
        (0, 3, "skip_connect"),
        (1, 3, "avg_pool_3x3"),
        (2, 3, "nor_conv_3x3"),
    ),
    (3,),
    "output",
)
AMOEBANET_REDUCTION = CellGraph(
    "reduction cell",
    ("c_{k-2}", "c_{k-1}"),
    ("2", "3", "4", "5", "6"),
    (
        (0, 2, "avg_pool_3x3"),
        (1, 2, "sep_conv_3x3"),
        (0, 3, "max_pool_3x3"),
        (2, 3, "sep_conv_7x7"),
        (0, 4, "sep_conv_7x7"),
        (1, 4, "avg_pool_3x3"),
        (0, 5, "max_pool_3x3"),
        (1, 5, "max_pool_3x3"),
        (0, 6, "conv_7x1_1x7"),
        (5, 6, "sep_conv_3x3"),
    ),
    (3, 4, 6),
    "concat",
)


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_everything_is_labelled() -> None:
    graphs = [NASBENCH201, AMOEBANET_REDUCTION]
    found = texts(draw_cells(graphs, "two cells"))
    expected = ["two cells"]
    for graph in graphs:
        expected += [graph.title, *graph.inputs, *graph.nodes, graph.output, *(edge[2] for edge in graph.edges)]
    expected = [label.replace("c_{k-2}", "ck-2").replace("c_{k-1}", "ck-1") for label in expected]
    legend = ["separable convolution", "convolution", "pooling", "skip", "none"]
    assert sorted(found) == sorted(expected + legend)


def test_only_families_that_occur_are_in_the_legend() -> None:
    assert "dilated convolution" not in texts(draw_cells([NASBENCH201]))
    assert "separable convolution" not in texts(draw_cells([NASBENCH201]))


def test_cells_stand_below_each_other_inside_the_view() -> None:
    root = ElementTree.fromstring(draw_cells([NASBENCH201, AMOEBANET_REDUCTION]))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    first, second = (
        float(group.attrib["transform"].removeprefix("translate(0 ").removesuffix(")"))
        for group in root.iter(f"{SVG}g")
    )
    assert second >= first + layout(NASBENCH201).height
    assert height >= second + layout(AMOEBANET_REDUCTION).height
    assert width == 1000
    assert root.attrib["width"] == "100%"


def test_labels_are_escaped() -> None:
    svg = draw_cells([CellGraph("a < b", ("<in>",), ("&",), ((0, 1, 'x"<y>&'),), (1,), "</svg>")], "R&D <1>")
    assert {"a < b", "<in>", "&", 'x"<y>&', "</svg>", "R&D <1>"} <= set(texts(svg))


def test_an_index_is_set_lower() -> None:
    root = ElementTree.fromstring(draw_cells([AMOEBANET_REDUCTION]))
    assert [element.text for element in root.iter(f"{SVG}tspan")] == ["k-2", "k-1"]
    assert all(float(element.attrib["dy"]) > 0 for element in root.iter(f"{SVG}tspan"))


def test_the_same_cell_gives_the_same_text() -> None:
    assert draw_cells([NASBENCH201], "x") == draw_cells([NASBENCH201], "x")


def test_nothing_is_fetched() -> None:
    svg = draw_cells([AMOEBANET_REDUCTION])
    assert svg.replace("http://www.w3.org/2000/svg", "").count("http") == 0
    assert "@import" not in svg
    assert "href" not in svg


def test_what_is_dropped_is_dashed_and_all_else_is_not() -> None:
    """Of a block of two columns the join loses one input; in the other picture the node of row 1 has nothing to do."""
    for dropped, faint in (({1}, ["conv_3x3"]), ({0, 2}, ["1", "conv_3x3", "conv_3x3"])):
        graph = replace(fractal_block(2), dropped=frozenset(dropped))
        root = ElementTree.fromstring(draw_cells([graph]))
        dashed = [element.tag.removeprefix(SVG) for element in root.iter() if "stroke-dasharray" in element.attrib]
        assert dashed.count("path") == 2 * len(dropped)  # to the convolution and on from it
        boxes, texts = root.iter(f"{SVG}rect"), root.iter(f"{SVG}text")
        assert sum("stroke-dasharray" in box.attrib for box in boxes) == len(faint)
        assert sorted(text.text or "" for text in texts if text.get("fill") == PALE_INK) == faint


def test_a_none_operation_is_dashed() -> None:
    root = ElementTree.fromstring(draw_cells([NASBENCH201]))
    dashed = [element.tag.removeprefix(SVG) for element in root.iter() if "stroke-dasharray" in element.attrib]
    # Both its wires, its box, and its swatch in the legend.
    assert sorted(dashed) == ["path", "path", "rect", "rect"]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("sep_conv_3x3", "separable convolution"),
        ("dil_conv_5x5", "dilated convolution"),
        ("dil_sep_conv_3x3", "dilated convolution"),
        ("nor_conv_1x1", "convolution"),
        ("conv_7x1_1x7", "convolution"),
        ("max_pool_3x3", "pooling"),
        ("skip_connect", "skip"),
        ("identity", "skip"),
        ("none", "none"),
        ("tanh", "other"),
        ("noise", "other"),
    ],
)
def test_families(operation: str, expected: str) -> None:
    assert family(operation) == expected
    assert expected in FAMILIES
