"""Cells of blocks: their text, what makes their output, what is refused (systems sheet, section 2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_cli import published
from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.networks.blocks import Block, BlockCell, cells_of, is_block_cell, to_architecture
from nas_cli.report.cells import read_graphs

TWO = (Block(("identity", 0), ("conv_1x1", 1)), Block(("a.b.C", 2), ("identity", 2), "concat"))


@st.composite
def block_cells(draw: st.DrawFn) -> BlockCell:
    blocks = []
    for number in range(2, 2 + draw(st.integers(1, 6))):
        pairs = [(draw(st.sampled_from(["identity", "x.Y", "conv_1x1"])), draw(st.integers(0, number - 1)))] * 1
        pairs.append((draw(st.sampled_from(["identity", "sep_conv_7x7"])), draw(st.integers(0, number - 1))))
        blocks.append(Block(pairs[0], pairs[1], draw(st.sampled_from(["add", "concat"]))))
    plain = BlockCell(tuple(blocks))
    others = [number for number in range(2 + len(blocks)) if number not in plain.unread]
    more = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
    return BlockCell(tuple(blocks), tuple(draw(st.permutations([*plain.unread, *more]))))


@given(block_cells())
def test_a_text_is_read_back(cell: BlockCell) -> None:
    assert BlockCell.parse(str(cell)) == cell
    assert is_block_cell(str(cell))
    architecture = to_architecture("nasnet", {"normal": cell, "reduce": cell})
    assert cells_of(architecture) == {"normal": cell, "reduce": cell}
    assert [graph.outputs for graph in read_graphs(architecture.to_json())] == [cell.outputs] * 2


def test_texts() -> None:
    cell = BlockCell(TWO)
    assert str(cell) == "identity:0 add conv_1x1:1 | a.b.C:2 concat identity:2"
    assert BlockCell.parse(f"{cell} ; concat 3") == cell
    assert hash(BlockCell.parse(f"{cell} ; concat 3")) == hash(cell)
    assert str(BlockCell(TWO, (1, 3))) == f"{cell} ; concat 1,3"


def test_unread_blocks_make_the_output() -> None:
    assert BlockCell(TWO).outputs == (3,)
    flat = BlockCell(tuple(Block(("identity", k % 2), ("identity", 1)) for k in range(5)))
    assert flat.outputs == (2, 3, 4, 5, 6)


def test_nasnet_a_carries_what_it_concatenates() -> None:
    cells = cells_of(published.load("nasnet_a"))
    assert [cells[kind].outputs for kind in ("normal", "reduce")] == [(1, 2, 3, 4, 5, 6), (3, 4, 5, 6)]
    assert [cells[kind].unread for kind in ("normal", "reduce")] == [(2, 3, 4, 5, 6), (4, 5, 6)]
    assert to_architecture("nasnet", cells) == published.load("nasnet_a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a block"),
        ("identity:0", "must be two pairs"),
        ("identity:0 + identity:1", "joined by add or concat"),
        ("identity:0 add identity:2", "state 2 of identity is not one of 0 to 1"),
        ("identity:0 add identity:1 ; concat", "must end in concat"),
        ("identity:0 add identity:1 ; concat 2,2", "none twice"),
        ("identity:0 add identity:1 ; concat 3", "cannot concat state 3"),
        ("identity:0 add identity:1 ; concat 1", "block 2 of a cell is neither read nor concatenated"),
        ("identity:0 add __import__('os'):1", "not a block"),
    ],
)
def test_a_malformed_text_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        BlockCell.parse(text)
    assert "\n" not in str(caught.value)


def test_an_architecture_of_something_else() -> None:
    for decisions in ((), ("identity:0 add identity:1",), (1, 2), ("identity:0 add identity:1",) * 3):
        with pytest.raises(InputError, match="texts of its normal and of its reduction cell"):
            cells_of(Architecture("nasnet", decisions))
