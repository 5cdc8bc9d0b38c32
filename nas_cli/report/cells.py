"""Cells as graphs, told from their text alone: no space is built, so nothing that a run folder names is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

from nas_cli.architecture import Architecture, CellGraph
from nas_cli.errors import InputError, require
from nas_cli.networks.blocks import BlockCell
from nas_cli.networks.chain_genotype import ChainGenotype
from nas_cli.networks.genotype import Cell, layer_types
from nas_cli.networks.recurrent_genotype import RecurrentGenotype
from nas_cli.networks.recurrent_tree_genotype import TreeGenotype

#: Cells beyond this are told in words, not drawn.
MOST_EDGES = 200
NASBENCH201, NASBENCH201_EDGES = "nasbench201", 6
_SHORT = {
    "skip_connect": "skip",
    "max_pool": "max",
    "avg_pool": "avg",
    "sep_conv": "sep",
    "dil_conv": "dil",
    "nor_conv": "conv",
    "conv": "conv",
}


def read_graphs(data: Any, kinds: Sequence[str] = ()) -> list[CellGraph]:
    """The cells of an architecture given as JSON data; empty where it has none that are known or is malformed.

    Args:
        kinds: types of the cells, in order, for their titles.
    """
    try:
        architecture = Architecture.from_json(data)
    except InputError:
        return []
    texts = [decision for decision in architecture.decisions if isinstance(decision, str)]
    if not texts or len(texts) < len(architecture.decisions):
        return []
    if architecture.space == NASBENCH201 and len(texts) == NASBENCH201_EDGES:
        return [_nasbench201(texts)]
    for read in _FORMS:
        try:
            graphs = read(texts, kinds)
        except InputError:  # it is of another form
            continue
        return [] if any(len(graph.edges) > MOST_EDGES for graph in graphs) else graphs
    return []


def _nasbench201(operations: Sequence[str]) -> CellGraph:
    edges = zip(edges_of(len(operations)), operations, strict=True)
    drawn = tuple((source, target, name) for (source, target), name in edges if name != "none")
    return CellGraph("cell", ("input",), ("1", "2", "3"), drawn, (3,), "output")


def _cells(form: type[Cell] | type[BlockCell], texts: Sequence[str], kinds: Sequence[str]) -> list[CellGraph]:
    return [form.parse(text).graph(title) for text, title in zip(texts, _titles(len(texts), kinds), strict=True)]


def _recurrent(
    form: type[RecurrentGenotype] | type[TreeGenotype], title: str, texts: Sequence[str], kinds: Sequence[str]
) -> list[CellGraph]:
    require(len(texts) == 1, "not one text")
    return [form.parse(texts[0]).graph(title)]


def _chain(texts: Sequence[str], kinds: Sequence[str]) -> list[CellGraph]:
    return [ChainGenotype.parse(texts).graph("chain of convolutions")]


#: How texts can be read, of which no two read the same. Each raises `InputError` for texts of another form.
_FORMS: tuple[Callable[[Sequence[str], Sequence[str]], list[CellGraph]], ...] = (
    partial(_cells, Cell),
    partial(_cells, BlockCell),
    partial(_recurrent, RecurrentGenotype, "recurrent cell"),
    partial(_recurrent, TreeGenotype, "recurrent tree"),
    _chain,
)


def _titles(cells: int, kinds: Sequence[str]) -> list[str]:
    if len(kinds) != cells:
        kinds = {1: ("cell",), 2: ("normal", "reduce")}.get(cells) or layer_types(cells)
    return [kind_title(kind) for kind in kinds]


def kind_title(kind: str) -> str:
    """``normal_3`` as ``normal cell 3``, ``reduce`` as ``reduction cell``."""
    name, _, place = kind.rpartition("_")
    name, place = (name, f" {place}") if name and place.isdecimal() else (kind, "")
    name = {"reduce": "reduction"}.get(name, name)
    return f"{name if name.endswith('cell') else f'{name} cell'}{place}"


def edges_of(rows: int) -> list[tuple[int, int]]:
    """(source, target) of the edges of a cell in which every node is joined to all earlier ones, target by target.

    How many edges there are tells how many inputs the cell has: with one 1, 3, 6, 10, …, with two 2, 5, 9, 14, ….
    Empty where it is another cell.
    """
    for inputs in (1, 2):
        edges: list[tuple[int, int]] = []
        for target in count(inputs):
            if len(edges) >= rows:
                break
            edges += [(source, target) for source in range(target)]
        if len(edges) == rows:
            return edges
    return []


def short_name(operation: str) -> str:
    """An operation's name for a small picture: ``sep_conv_3x3`` as ``sep 3``."""
    for name, short in _SHORT.items():
        if operation == name:
            return short
        size = operation.removeprefix(f"{name}_")
        if size != operation:
            side, _, other = size.partition("x")
            return f"{short} {side if side == other else size.replace('_', ' ')}"
    return operation.replace("_", " ")
