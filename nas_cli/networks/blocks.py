"""Cells of blocks as plain data, and their text form: NASNet's, and those of searches after it.

The text of a cell is ``sep_conv_5x5:0 add conv_1x1:1 | identity:1 concat max_pool_3x3:2``: blocks separated by ``|``,
each of two pairs ``operation:state`` joined by how they are combined. State 0 is the output h_i of the previous cell,
state 1 is h_{i-1} of the one before; blocks count from 2. What no block reads makes the output. Only where it is made
of something else, as in the released NASNet-A, the text ends in that: ``; concat 1,2,3``.

Reference: Zoph et al., Learning Transferable Architectures for Scalable Image Recognition, CVPR 2018,
arXiv:1707.07012, sec. 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nas_cli.architecture import Architecture, CellGraph
from nas_cli.errors import InputError

INPUTS = 2
ADD, CONCAT = "add", "concat"
COMBINATIONS = (ADD, CONCAT)
#: The cells of an architecture, in the order of its texts, with what stands above their pictures.
CELLS = {"normal": "normal cell", "reduce": "reduction cell"}
# A name of ours, or the dotted path of a user's own operation.
_PAIR = r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([0-9]+)"
_BLOCK = re.compile(rf"{_PAIR}\s+({'|'.join(COMBINATIONS)})\s+{_PAIR}", re.ASCII)
_CONCAT = re.compile(r"concat\s+([0-9]+(?:\s*,\s*[0-9]+)*)", re.ASCII)


@dataclass(frozen=True)
class Block:
    """Two operations on two states, and how their outputs become one: ``add``, or ``concat`` along the depth."""

    first: tuple[str, int]
    second: tuple[str, int]
    combine: str = ADD

    @property
    def pairs(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """Both pairs (operation, state)."""
        return self.first, self.second

    def __str__(self) -> str:
        (one, source), (other, second) = self.pairs
        return f"{one}:{source} {self.combine} {other}:{second}"


@dataclass(frozen=True)
class BlockCell:
    """One cell.

    Args:
        blocks: states 2, 3, … in order.
        concat: the states that are concatenated, in this order; None: the blocks that no block reads.
    Raises:
        InputError: for no block at all, a source that is not an earlier state, a state that is concatenated twice or
            is not there, or a block that is neither read nor concatenated.
    """

    blocks: tuple[Block, ...]
    concat: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.blocks:
            raise InputError("a cell needs at least one block")
        for number, block in enumerate(self.blocks, start=INPUTS):
            for operation, source in block.pairs:
                if not 0 <= source < number:
                    raise InputError(
                        f"block {number} of a cell: state {source} of {operation} is not one of 0 to {number - 1}"
                    )
        if self.concat == self.unread:
            object.__setattr__(self, "concat", None)  # equal cells are equal, however they were written
        self._check_concat(self.outputs)

    def _check_concat(self, outputs: tuple[int, ...]) -> None:
        last = INPUTS + len(self.blocks) - 1
        if not outputs or len(set(outputs)) != len(outputs):
            raise InputError(f"a cell must concat at least one state and none twice, not {list(outputs)}")
        for number in outputs:
            if number > last:
                raise InputError(f"a cell cannot concat state {number}: its last block is {last}")
        if lost := set(self.unread) - set(outputs):
            raise InputError(f"block {min(lost)} of a cell is neither read nor concatenated")

    @property
    def unread(self) -> tuple[int, ...]:
        """The blocks that no block reads."""
        read = {source for block in self.blocks for _, source in block.pairs}
        return tuple(number for number in range(INPUTS, INPUTS + len(self.blocks)) if number not in read)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The states that are concatenated."""
        return self.unread if self.concat is None else self.concat

    @classmethod
    def parse(cls, text: str) -> BlockCell:
        """The cell that a text stands for: the inverse of `str`. Raises `InputError` for a malformed text."""
        body, separator, tail = text.partition(";")
        concat = _CONCAT.fullmatch(tail.strip()) if separator else None
        if separator and not concat:
            raise InputError(f"not a cell: after ';' {text!r} must end in concat and states, as in '; concat 2,3'")
        blocks = tuple(_block(part.strip()) for part in body.split("|"))
        return cls(blocks, tuple(int(number) for number in concat.group(1).split(",")) if concat else None)

    def __str__(self) -> str:
        own = "" if self.concat is None else f" ; concat {','.join(map(str, self.concat))}"
        return " | ".join(map(str, self.blocks)) + own

    def graph(self, title: str) -> CellGraph:
        """The cell as a graph to draw; blocks are labelled with their numbers and with how they combine."""
        numbered = list(enumerate(self.blocks, start=INPUTS))
        return CellGraph(
            title=title,
            inputs=("h_{i}", "h_{i-1}"),
            nodes=tuple(f"{number} {block.combine}" for number, block in numbered),
            edges=tuple((source, number, name) for number, block in numbered for name, source in block.pairs),
            outputs=self.outputs,
            output="concat",
        )


def _block(text: str) -> Block:
    match = _BLOCK.fullmatch(text)
    if not match:
        raise InputError(
            f"not a block: {text!r} must be two pairs operation:state joined by {' or '.join(COMBINATIONS)}, "
            "as in identity:0 add conv_1x1:1"
        )
    one, source, combine, other, second = match.groups()
    return Block((one, int(source)), (other, int(second)), combine)


def is_block_cell(text: str) -> bool:
    """Whether a text begins as that of a cell of blocks."""
    return _BLOCK.match(text) is not None


def cells_of(architecture: Architecture) -> dict[str, BlockCell]:
    """The cells by type. Raises `InputError` for an architecture whose decisions are not the texts of two cells."""
    texts = [decision for decision in architecture.decisions if isinstance(decision, str)]
    if len(texts) != len(CELLS) or len(architecture.decisions) != len(CELLS):
        raise InputError(
            f"an architecture of {architecture.space} made of blocks has two decisions, the texts of its normal and of "
            f"its reduction cell, not {list(architecture.decisions)}"
        )
    return {kind: BlockCell.parse(text) for kind, text in zip(CELLS, texts, strict=True)}


def to_architecture(space: str, cells: Mapping[str, BlockCell]) -> Architecture:
    """The architecture of cells by type: the inverse of `cells_of`."""
    return Architecture(space, tuple(str(cells[kind]) for kind in CELLS))
