"""What a supernet leaves open: the edges of a cell and the operations that compete on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nas_cli.errors import require

#: The operation that outputs zeros: it competes for the weight of an edge and is never part of a cell.
NONE = "none"
SKIP = "skip_connect"
#: A derived cell: for each inner node its pairs (operation, source).
Nodes = tuple[tuple[tuple[str, int], ...], ...]


@dataclass(frozen=True)
class Choices:
    """The open decisions of one type of cell; row r of its architecture parameters belongs to `edges[r]`.

    Args:
        edges: (source, target) node numbers, target by target, then by source.
        operations: for each edge its candidates; all edges have equally many, in the order of the columns.
        inputs: how many edges a node of a derived cell keeps, each with an operation other than `none`. None: all of
            them, and then `none` is an operation like any other.
        repeats: how many cells of this type the supernet has.
    """

    edges: tuple[tuple[int, int], ...]
    operations: tuple[tuple[str, ...], ...]
    inputs: int | None = 2
    repeats: int = 1

    def __post_init__(self) -> None:
        require(len(self.edges) == len(self.operations), "every edge needs its own list of operations")
        require(len({len(row) for row in self.operations}) == 1, "every edge needs equally many operations")
        require(bool(self.operations[0]), "every edge needs at least one operation")

    @property
    def shape(self) -> tuple[int, int]:
        """(edges, operations) of the architecture parameters."""
        return len(self.edges), len(self.operations[0])

    @property
    def targets(self) -> list[int]:
        """The inner nodes, in order."""
        return sorted({target for _, target in self.edges})

    def allowed(self, row: int) -> list[int]:
        """Columns of an edge that a derived cell may have."""
        names = self.operations[row]
        return [column for column, name in enumerate(names) if name != NONE or self.inputs is None]

    def rows_into(self, target: int) -> list[int]:
        """Rows of the edges that end in a node."""
        return [row for row, edge in enumerate(self.edges) if edge[1] == target]

    def rows_from(self, source: int) -> list[int]:
        """Rows of the edges that begin in a node."""
        return [row for row, edge in enumerate(self.edges) if edge[0] == source]

    def one_hot(self, nodes: Nodes) -> list[list[float]]:
        """A derived cell in the place of probabilities, (edges, operations): 1 where it has an operation."""
        kept = {
            (source, target, name) for target, node in zip(self.targets, nodes, strict=True) for name, source in node
        }
        return [
            [float((source, target, name) in kept) for name in names]
            for (source, target), names in zip(self.edges, self.operations, strict=True)
        ]


#: The open decisions of a whole supernet, by type of cell (``normal``, ``reduce``).
CellChoices = Mapping[str, Choices]


def all_pairs(inputs: int, nodes: int) -> tuple[tuple[int, int], ...]:
    """Edges from every earlier node to each of `nodes` inner nodes, which are numbered on from the inputs."""
    return tuple((source, target) for target in range(inputs, inputs + nodes) for source in range(target))
