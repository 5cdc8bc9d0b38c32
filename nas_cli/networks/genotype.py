"""Cells as plain data: which operation joins which nodes, and their text form.

The text of a cell is ``sep_conv_3x3:0 + skip_connect:1 | … ; concat 2,3,4,5``: nodes separated by ``|``, in each node
pairs ``operation:source`` joined by ``+``, then the nodes whose channels make the output. Nodes 0 and 1 are the
outputs of the cell before the previous one and of the previous one; inner nodes count from 2. A node without inputs,
which outputs zeros, is written ``-``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nas_cli.architecture import Architecture, CellGraph
from nas_cli.errors import InputError

INPUTS = 2
EMPTY_NODE = "-"
# A name of ours, or the dotted path of a user's own operation.
_OPERATION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_PAIR = re.compile(r"([^\s:]+):([0-9]+)")
_CONCAT = re.compile(r"concat\s+([0-9]+(?:\s*,\s*[0-9]+)*)")


@dataclass(frozen=True)
class Cell:
    """One cell: for each inner node its inputs, and which nodes make the output.

    Args:
        nodes: inner nodes 2, 3, … in order, each a tuple of pairs (operation, source); a node sums its inputs, any
            number of them (BayesNAS: also none, and then the node is zero).
        concat: numbers of the inner nodes that are concatenated, in this order.
    Raises:
        InputError: for no node at all, a name that is no operation name, a source that is not an earlier node, or a
            concatenated node that is missing, repeated or an input.
    """

    nodes: tuple[tuple[tuple[str, int], ...], ...]
    concat: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.nodes:
            raise InputError("a cell needs at least one node")
        for number, node in enumerate(self.nodes, start=INPUTS):
            for operation, source in node:
                if not _OPERATION.fullmatch(operation):
                    raise InputError(f"node {number} of a cell: {operation!r} is not the name of an operation")
                if not 0 <= source < number:
                    raise InputError(
                        f"node {number} of a cell: source {source} of {operation} is not one of 0 to {number - 1}"
                    )
        last = INPUTS + len(self.nodes) - 1
        for number in self.concat:
            if not INPUTS <= number <= last:
                raise InputError(f"a cell cannot concat node {number}: its inner nodes are {INPUTS} to {last}")
        if not self.concat or len(set(self.concat)) != len(self.concat):
            raise InputError(f"a cell must concat at least one node and none twice, not {list(self.concat)}")

    @classmethod
    def parse(cls, text: str) -> Cell:
        """The cell that a text stands for: the inverse of `str`. Raises `InputError` for a malformed text."""
        body, separator, tail = text.partition(";")
        concat = _CONCAT.fullmatch(tail.strip())
        if not separator or not concat:
            raise InputError(f"not a cell: {text!r} must end in '; concat' and node numbers, as in '; concat 2,3,4,5'")
        nodes = tuple(parse_node(node.strip()) for node in body.split("|"))
        return cls(nodes, tuple(int(number) for number in concat.group(1).split(",")))

    def __str__(self) -> str:
        return f"{' | '.join(map(node_text, self.nodes))} ; concat {','.join(map(str, self.concat))}"

    def count(self, operation: str) -> int:
        """How many inputs of its nodes are this operation; of ``skip_connect`` it is DARTS+'s criterion."""
        return sum(name == operation for node in self.nodes for name, _ in node)

    def graph(self, title: str, inputs: tuple[str, str] = ("c_{k-2}", "c_{k-1}")) -> CellGraph:
        """The cell as a graph to draw; inner nodes are labelled with their numbers."""
        numbered = list(enumerate(self.nodes, start=INPUTS))
        return CellGraph(
            title=title,
            inputs=inputs,
            nodes=tuple(str(number) for number, _ in numbered),
            edges=tuple((source, number, operation) for number, node in numbered for operation, source in node),
            outputs=self.concat,
            output="concat",
        )


@dataclass(frozen=True)
class Genotype:
    """The two cells that a DARTS-type network stacks: the normal and the reduction cell."""

    normal: Cell
    reduce: Cell

    @classmethod
    def from_architecture(cls, architecture: Architecture) -> Genotype:
        """From an architecture whose two decisions are the cells' texts. Raises `InputError` for any other."""
        texts = [decision for decision in architecture.decisions if isinstance(decision, str)]
        if len(texts) != 2 or len(architecture.decisions) != 2:
            raise InputError(
                f"an architecture of {architecture.space} made of cells has two decisions, the texts of its normal and "
                f"of its reduction cell, not {list(architecture.decisions)}"
            )
        return cls(Cell.parse(texts[0]), Cell.parse(texts[1]))

    def to_architecture(self, space: str) -> Architecture:
        """As an architecture of the space of that name."""
        return Architecture(space, (str(self.normal), str(self.reduce)))

    def at(self, index: int, reduce: bool) -> Cell:
        """The cell of a layer."""
        return self.reduce if reduce else self.normal

    def by_type(self) -> dict[str, Cell]:
        """The cells by type."""
        return {"normal": self.normal, "reduce": self.reduce}


@dataclass(frozen=True)
class Layers:
    """A cell of its own for each layer of a network, and so for networks of that depth alone."""

    cells: tuple[Cell, ...]

    def at(self, index: int, reduce: bool) -> Cell:
        """The cell of a layer."""
        return self.cells[index]

    def by_type(self) -> dict[str, Cell]:
        """The cells by `layer_types`."""
        return dict(zip(layer_types(len(self.cells)), self.cells, strict=True))


def from_architecture(architecture: Architecture) -> Genotype | Layers:
    """What an architecture's decisions, the texts of its cells, describe: two cells, or more with one for each layer.

    Raises `InputError` for any other.
    """
    texts = [decision for decision in architecture.decisions if isinstance(decision, str)]
    if len(texts) < len(architecture.decisions) or len(texts) <= 2:
        return Genotype.from_architecture(architecture)
    return Layers(tuple(map(Cell.parse, texts)))


def is_cell(text: str) -> bool:
    """Whether a text ends as that of a cell of nodes, and begins as one."""
    body, _, tail = text.partition(";")
    first = body.partition("|")[0].partition("+")[0].strip()
    return bool(_CONCAT.fullmatch(tail.strip())) and bool(_PAIR.fullmatch(first) or first == EMPTY_NODE)


def reductions(cells: int) -> set[int]:
    """Indices of the reduction cells: a third and two thirds of the way; in a short stack both can be one."""
    return {cells // 3, 2 * cells // 3}


def layer_types(cells: int) -> tuple[str, ...]:
    """The types of the cells of a network in which each is a type of its own: ``normal_0``, ``reduce_1`` …"""
    reduced = reductions(cells)
    return tuple(f"{'reduce' if index in reduced else 'normal'}_{index}" for index in range(cells))


def node_text(node: tuple[tuple[str, int], ...]) -> str:
    """A node's inputs as they stand in the text of a cell."""
    return " + ".join(f"{operation}:{source}" for operation, source in node) or EMPTY_NODE


def parse_node(text: str) -> tuple[tuple[str, int], ...]:
    """The inverse of `node_text`. Raises `InputError` for a malformed text."""
    if text == EMPTY_NODE:
        return ()
    pairs = []
    for part in text.split("+"):
        match = _PAIR.fullmatch(part.strip())
        if not match:
            raise InputError(f"not a cell: {part.strip()!r} in {text!r} must be operation:source, as in skip_connect:0")
        pairs.append((match.group(1), int(match.group(2))))
    return tuple(pairs)
