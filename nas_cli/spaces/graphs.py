"""Cells as labelled graphs and as sets of paths: the two forms that compare architectures by what they compute.

Both are made of `CellGraph`, which has operations on its edges; here operations are nodes, or the letters of a path.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from nas_cli.architecture import CellGraph

#: Label of a node that adds up what comes in.
SUM = "sum"
#: The operations along a way from an input to the output.
Path = tuple[str, ...]


@dataclass(frozen=True)
class LabelledGraph:
    """A directed acyclic graph with a label on each node; equal graphs are written alike, isomorphic ones need not be.

    Args:
        labels: of nodes 0, 1, …, in a topological order.
        edges: (source, target) with source < target, sorted, none twice.
    """

    labels: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]

    @cached_property
    def successors(self) -> tuple[tuple[int, ...], ...]:
        """Targets of the edges that leave each node."""
        found: list[list[int]] = [[] for _ in self.labels]
        for source, target in self.edges:
            found[source].append(target)
        return tuple(map(tuple, found))

    @cached_property
    def predecessors(self) -> tuple[tuple[int, ...], ...]:
        """Sources of the edges that enter each node."""
        found: list[list[int]] = [[] for _ in self.labels]
        for source, target in self.edges:
            found[target].append(source)
        return tuple(map(tuple, found))


def labelled_graph(cells: Sequence[CellGraph], contracted: Collection[str] = ()) -> LabelledGraph:
    """The graph of an architecture's cells: a node for each input, operation, sum and output.

    Nodes that are on no way from an input to the output are left out, the output never. Where there are several cells
    they stand side by side, every label with its cell's title before it, so that a kernel compares like with like.

    Args:
        cells: of one architecture.
        contracted: labels of nodes that are replaced by edges from all their sources to all their targets, also
            through chains of them; `SUM` is the label of the sums. NAS-BOWL on NAS-Bench-201: skips and sums.

    Reference: Ru et al., NAS-BOWL, ICLR 2021, arXiv:2006.07556, sec. 3.1 and its released graphs.
    """
    labels: list[str] = []
    edges: list[tuple[int, int]] = []
    for cell in cells:
        graph = _graph(cell, contracted)
        offset = len(labels)
        labels += [f"{cell.title}: {label}" if len(cells) > 1 else label for label in graph.labels]
        edges += [(source + offset, target + offset) for source, target in graph.edges]
    return LabelledGraph(tuple(labels), tuple(edges))


def _graph(cell: CellGraph, contracted: Collection[str]) -> LabelledGraph:
    """One cell: each inner node becomes its operations followed by their sum, which keeps the order topological."""
    labels = list(cell.inputs)
    values = list(range(len(labels)))  # where the value of each node of the cell comes from
    targets: list[set[int]] = [set() for _ in labels]

    def add(label: str, sources: list[int]) -> int:
        labels.append(label)
        targets.append(set())
        for source in sources:
            targets[source].add(len(labels) - 1)
        return len(labels) - 1

    for number in range(len(cell.inputs), len(cell.inputs) + len(cell.nodes)):
        into = [add(name, [values[source]]) for source, target, name in cell.edges if target == number]
        values.append(add(SUM, into))
    output = add(cell.output, [values[number] for number in cell.outputs])
    for node in range(len(cell.inputs), output):
        if labels[node] in contracted:
            for others in targets[:node]:
                if node in others:
                    others.remove(node)
                    others |= targets[node]
            targets[node] = set()
    kept = sorted({output} | (_reached(targets, range(len(cell.inputs))) & _reaching(targets, output)))
    place = {node: index for index, node in enumerate(kept)}
    edges = sorted((place[node], place[target]) for node in kept for target in targets[node] if target in place)
    return LabelledGraph(tuple(labels[node] for node in kept), tuple(edges))


def _reached(targets: list[set[int]], starts: Collection[int]) -> set[int]:
    found = set(starts)
    for node, others in enumerate(targets):
        if node in found:
            found |= others
    return found


def _reaching(targets: list[set[int]], end: int) -> set[int]:
    found = {end}
    for node in reversed(range(end)):
        if targets[node] & found:
            found.add(node)
    return found


def paths(cells: Sequence[CellGraph]) -> tuple[Path, ...]:
    """The operations along every way from an input to the output, with repeats.

    The label of the input stands first where a cell has several, and before it the title where there are several cells.

    Reference: White et al., BANANAS, AAAI 2021, arXiv:1910.11858, sec. 4.
    """
    found: list[Path] = []
    for cell in cells:
        title = (cell.title,) if len(cells) > 1 else ()
        ways: list[list[Path]] = [[(*title, *((label,) * (len(cell.inputs) > 1)))] for label in cell.inputs]
        for number in range(len(cell.inputs), len(cell.inputs) + len(cell.nodes)):
            into = [(source, name) for source, target, name in cell.edges if target == number]
            ways.append([(*way, name) for source, name in into for way in ways[source]])
        found += [way for number in cell.outputs for way in ways[number]]
    return tuple(found)


def path_bits(paths: Collection[Path], operations: Sequence[str], shortest: int = 1) -> list[int]:
    """Places of the ones in the path encoding: one bit for each possible path, short ones first.

    Args:
        paths: of one cell with one input.
        operations: in the order of their numbers; the first operation of a path is the lowest digit.
        shortest: length of the shortest possible path: 1 on NAS-Bench-201 (155 bits), 0 on NAS-Bench-101 (364 bits).

    Reference: as `paths`; the order of bits is that of the released code.
    """
    base = len(operations)
    number = {name: index for index, name in enumerate(operations)}
    offset = {length: sum(base**i for i in range(shortest, length)) for length in map(len, paths)}
    return sorted(
        {offset[len(path)] + sum(number[name] * base**place for place, name in enumerate(path)) for path in paths}
    )
