"""From the strengths of operations to a discrete cell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor

from nas_cli.errors import require
from nas_cli.networks.choices import NONE, SKIP, CellChoices, Choices, Nodes

GONE = -1.0  # the strength of a skip that gave way: chosen only where an edge has nothing else


class Derivation(ABC):
    """Decides which edges and operations a cell keeps."""

    @abstractmethod
    def __call__(self, kind: str, choices: Choices, strengths: Tensor) -> Nodes:
        """For each inner node its pairs (operation, source).

        Args:
            kind: type of the cell.
            choices: of this type of cell.
            strengths: (edges, operations), how strongly each operation is preferred.
        """

    def cells(self, choices: CellChoices, strengths: Mapping[str, Tensor]) -> dict[str, Nodes]:
        """The cell of every type."""
        return {kind: self(kind, open_, strengths[kind]) for kind, open_ in choices.items()}


class TopK(Derivation):
    """Every node keeps its strongest incoming edges, each with its best operation other than `none`.

    An edge is as strong as its best operation other than `none`; among equals the lower source stays. The pairs stand
    in order of strength. Where a cell of the space has all of its edges, all are kept, in order, each with its best
    operation, `none` included.

    Args:
        edges: how many a node keeps; None: as many as cells of the space have. Paper: 2 for convolutional cells, 1 for
            recurrent ones.
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, sec. 2.4.
    """

    def __init__(self, edges: int | None = None) -> None:
        require(edges is None or edges >= 1, f"edges must be at least 1 or null, not {edges}")
        self.edges = edges

    def __call__(self, kind: str, choices: Choices, strengths: Tensor) -> Nodes:
        return top(choices, strengths.tolist(), choices.inputs if self.edges is None else self.edges)


class Argmax(Derivation):
    """Every edge keeps its strongest operation; one whose strongest is `none` vanishes.

    Where a cell of the space has all of its edges, it keeps those of `none` as well.

    Reference: Xie, Zheng, Liu, Lin, SNAS, ICLR 2019, arXiv:1812.09926, sec. 2.
    """

    def __call__(self, kind: str, choices: Choices, strengths: Tensor) -> Nodes:
        best = strengths.argmax(dim=1).tolist()
        names = [row[column] for row, column in zip(choices.operations, best, strict=True)]
        return tuple(
            tuple(
                (names[row], choices.edges[row][0])
                for row in choices.rows_into(target)
                if names[row] != NONE or choices.inputs is None
            )
            for target in choices.targets
        )


class SkipLimit(Derivation):
    """As `TopK`, then in normal cells the weakest skip connection gives way until at most so many are left.

    The edge of a skip that gives way takes its next best operation, and the edges of its node are ranked anew. The
    pairs stand in order of their sources.

    Args:
        limit: M, how many skip connections a normal cell may have. Paper: 2.
    Reference: Chen, Xie, Wu, Tian, P-DARTS, ICCV 2019, arXiv:1904.12760, sec. 3.3.
    """

    def __init__(self, limit: int = 2) -> None:
        require(limit >= 0, f"limit must be at least 0, not {limit}")
        self.limit = limit

    def __call__(self, kind: str, choices: Choices, strengths: Tensor) -> Nodes:
        table = strengths.tolist()
        while True:
            nodes = top(choices, table, choices.inputs)
            skips = [
                (table[row][choices.operations[row].index(SKIP)], row)
                for target, node in zip(choices.targets, nodes, strict=True)
                for row in choices.rows_into(target)
                if (SKIP, choices.edges[row][0]) in node
            ]
            giving = [skip for skip in skips if skip[0] > GONE]
            if not kind.startswith("normal") or len(skips) <= self.limit or not giving:
                return tuple(tuple(sorted(node, key=lambda pair: pair[1])) for node in nodes)
            _, weakest = min(giving)
            table[weakest][choices.operations[weakest].index(SKIP)] = GONE


def top(choices: Choices, table: list[list[float]], inputs: int | None) -> Nodes:
    """The `inputs` strongest edges of each node, or all of them in order, each with its best allowed operation.

    Args:
        table: (edges, operations), strengths; an operation below 0 is chosen only where an edge has no other.
    """
    nodes = []
    for target in choices.targets:
        found = []
        for row in choices.rows_into(target):
            best = max(choices.allowed(row), key=lambda column: table[row][column])
            found.append((table[row][best], choices.operations[row][best], choices.edges[row][0]))
        if inputs is not None:
            found.sort(key=lambda edge: -edge[0])  # stable: the lower source stays first among equals
        nodes.append(tuple((name, source) for _, name, source in found[:inputs]))
    return tuple(nodes)
