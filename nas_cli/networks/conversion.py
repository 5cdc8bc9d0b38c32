"""Cells of one network as cells of another: DARTS' nodes as NASNet's blocks, and back.

An operation becomes the one of the same kind there, made as that network makes it: its separable convolutions and its
dilated ones differ from the other's in detail.
"""

from __future__ import annotations

from nas_cli.errors import InputError
from nas_cli.networks.blocks import ADD, Block, BlockCell
from nas_cli.networks.genotype import INPUTS, Cell

#: DARTS' names of operations that NASNet's networks have too.
_BLOCK_NAMES = {
    "skip_connect": "identity",
    "max_pool_3x3": "max_pool_3x3",
    "avg_pool_3x3": "avg_pool_3x3",
    "sep_conv_3x3": "sep_conv_3x3",
    "sep_conv_5x5": "sep_conv_5x5",
    "sep_conv_7x7": "sep_conv_7x7",
    "dil_conv_3x3": "dil_conv_3x3",
    "conv_7x1_1x7": "conv_1x7_7x1",
    "nor_conv_1x1": "conv_1x1",
    "nor_conv_3x3": "conv_3x3",
}
_NODE_NAMES = {there: here for here, there in _BLOCK_NAMES.items()}


def to_blocks(cell: Cell) -> BlockCell:
    """A cell of nodes as one of blocks. Raises `InputError` where a node has not two inputs, or no such operation."""
    blocks = []
    for number, node in enumerate(cell.nodes, start=INPUTS):
        if len(node) != 2:
            raise InputError(f"node {number} of a cell has {len(node)} inputs, a block two: in {cell}")
        first, second = ((_named(name, _BLOCK_NAMES, "NASNet"), _swapped(source)) for name, source in node)
        blocks.append(Block(first, second))
    return BlockCell(tuple(blocks), cell.concat)


def to_nodes(cell: BlockCell) -> Cell:
    """A cell of blocks as one of nodes.

    Raises `InputError` where a block concatenates, where an input is part of the output, or for no such operation.
    """
    if any(block.combine != ADD for block in cell.blocks):
        raise InputError(f"DARTS' networks have no blocks that concatenate, as in {cell}")
    if min(cell.outputs) < INPUTS:
        raise InputError(f"DARTS' networks have no cells whose output holds an input, as in {cell}")
    nodes = tuple(
        tuple((_named(name, _NODE_NAMES, "DARTS"), _swapped(source)) for name, source in block.pairs)
        for block in cell.blocks
    )
    return Cell(nodes, cell.outputs)


def _swapped(source: int) -> int:
    """The number of a state there: inputs 0 and 1 are the other way round."""
    return 1 - source if source < INPUTS else source


def _named(name: str, names: dict[str, str], where: str) -> str:
    if name not in names:
        raise InputError(f"operation {name}: {where}'s networks have no such operation; they have {', '.join(names)}")
    return names[name]
