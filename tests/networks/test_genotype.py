"""Cells as data: text form, validation, drawing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.networks.genotype import Cell, Genotype, Layers, from_architecture

DARTS_V2_NORMAL = (
    "sep_conv_3x3:0 + sep_conv_3x3:1 | sep_conv_3x3:0 + sep_conv_3x3:1 | sep_conv_3x3:1 + skip_connect:0"
    " | skip_connect:0 + dil_conv_3x3:2 ; concat 2,3,4,5"
)
VARIABLE = "none:0 | - | my_ops.Conv:3 + skip_connect:2 + max_pool_3x3:2 ; concat 4,2"


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    count = draw(st.integers(1, 6))
    operation = st.sampled_from(["none", "skip_connect", "sep_conv_3x3", "my_ops.Conv"])
    nodes = tuple(
        tuple(draw(st.lists(st.tuples(operation, st.integers(0, number - 1)), max_size=5)))
        for number in range(2, 2 + count)
    )
    concat = draw(st.lists(st.integers(2, 1 + count), min_size=1, unique=True))
    return Cell(nodes, tuple(concat))


@given(cells())
def test_text_form_round_trips(cell: Cell) -> None:
    assert Cell.parse(str(cell)) == cell


@pytest.mark.parametrize("text", [DARTS_V2_NORMAL, VARIABLE])
def test_canonical_text_is_kept_letter_by_letter(text: str) -> None:
    assert str(Cell.parse(text)) == text


def test_parse_reads_nodes_sources_and_concat() -> None:
    cell = Cell.parse(" a:0+b:1|-| c:2 ;concat 2, 4")
    assert cell == Cell(((("a", 0), ("b", 1)), (), (("c", 2),)), (2, 4))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "concat"),
        ("a:0 + b:1", "concat"),
        ("a:0 ; concat", "concat"),
        ("a:0 ; concat two", "concat"),
        ("a:0 ; concat 2 ; concat 2", "concat"),
        ("a:0 | ; concat 2", "''"),
        ("a:0 + ; concat 2", "''"),
        ("a ; concat 2", "'a'"),
        ("a:x ; concat 2", "'a:x'"),
        ("a:-1 ; concat 2", "'a:-1'"),
        ("a:2 ; concat 2", "source 2"),
        ("a:0 | a:3 ; concat 2", "source 3"),
        ("a-b:0 ; concat 2", "'a-b'"),
        ("a..b:0 ; concat 2", "'a..b'"),
        ("a:0 ; concat 3", "node 3"),
        ("a:0 ; concat 1", "node 1"),
        ("a:0 ; concat 2,2", "[2, 2]"),
    ],
)
def test_malformed_text_is_refused_in_one_line_naming_the_fault(text: str, names: str) -> None:
    with pytest.raises(InputError) as error:
        Cell.parse(text)
    assert names in str(error.value)
    assert "\n" not in str(error.value)


def test_cell_without_nodes_or_output_is_refused() -> None:
    with pytest.raises(InputError, match="at least one node"):
        Cell((), (2,))
    with pytest.raises(InputError, match="at least one node"):
        Cell(((("a", 0),),), ())


def test_count_is_over_all_inputs_of_all_nodes() -> None:
    cell = Cell.parse(DARTS_V2_NORMAL)
    assert (cell.count("skip_connect"), cell.count("sep_conv_3x3"), cell.count("none")) == (2, 5, 0)


def test_genotype_and_architecture_are_inverse() -> None:
    architecture = Architecture("darts", (DARTS_V2_NORMAL, VARIABLE))
    genotype = Genotype.from_architecture(architecture)
    assert str(genotype.reduce) == VARIABLE
    assert genotype.to_architecture("darts") == architecture


@pytest.mark.parametrize("decisions", [(), (DARTS_V2_NORMAL,), (DARTS_V2_NORMAL, 3), (DARTS_V2_NORMAL, VARIABLE, 1)])
def test_architecture_of_another_kind_is_refused(decisions: tuple[str | int, ...]) -> None:
    with pytest.raises(InputError, match="two decisions"):
        Genotype.from_architecture(Architecture("elsewhere", decisions))


def test_graph_names_every_edge_once() -> None:
    graph = Cell.parse("a:0 + b:1 | - | c:2 ; concat 4,2").graph("normal cell")
    assert graph.title == "normal cell"
    assert graph.inputs == ("c_{k-2}", "c_{k-1}")
    assert graph.nodes == ("2", "3", "4")
    assert graph.edges == ((0, 2, "a"), (1, 2, "b"), (2, 4, "c"))
    assert (graph.outputs, graph.output) == ((4, 2), "concat")


def test_more_than_two_texts_are_a_cell_for_each_layer() -> None:
    texts = [f"sep_conv_3x3:{k % 2} ; concat 2" for k in range(4)]
    layers = from_architecture(Architecture("darts", tuple(texts)))
    assert isinstance(layers, Layers)
    assert [str(cell) for cell in layers.cells] == texts
    assert [layers.at(k, reduce=k in (1, 2)) for k in range(4)] == list(layers.cells)
    assert list(layers.by_type()) == ["normal_0", "reduce_1", "reduce_2", "normal_3"]
    pair = from_architecture(Architecture("darts", tuple(texts[:2])))
    assert isinstance(pair, Genotype)
    assert [pair.at(5, reduce=False), pair.at(0, reduce=True)] == list(pair.by_type().values())


@pytest.mark.parametrize("decisions", [(), ("sep_conv_3x3:0 ; concat 2",), (1, "a", "b"), (0.5, 0.5, 0.5)])
def test_no_other_decisions_are_cells(decisions: tuple[Any, ...]) -> None:
    with pytest.raises(InputError, match="has two decisions"):
        from_architecture(Architecture("darts", decisions))
