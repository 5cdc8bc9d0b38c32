"""From operation probabilities to a discrete cell."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from nas_cli.errors import require
from nas_cli.networks.choices import NONE, Choices, Nodes


class Derivation(ABC):
    """Decides which edges and operations a cell keeps."""

    @abstractmethod
    def __call__(self, choices: Choices, probabilities: Tensor) -> Nodes:
        """For each inner node its pairs (operation, source).

        Args:
            choices: of this type of cell.
            probabilities: (edges, operations), how strongly each operation is preferred.
        """


class TopK(Derivation):
    """Every node keeps its `edges` strongest incoming edges, each with its best operation other than `none`.

    An edge is as strong as its best operation other than `none`; among equals the lower source stays. The pairs stand
    in order of strength.

    Args:
        edges: how many a node keeps. Paper: 2 for convolutional cells, 1 for recurrent ones.
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, sec. 2.4.
    """

    def __init__(self, edges: int = 2) -> None:
        require(edges >= 1, f"edges must be at least 1, not {edges}")
        self.edges = edges

    def __call__(self, choices: Choices, probabilities: Tensor) -> Nodes:
        table = probabilities.tolist()
        nodes = []
        for target in choices.targets:
            found = []
            for row in choices.rows_into(target):
                names = choices.operations[row]
                allowed = [column for column, name in enumerate(names) if name != NONE]
                best = max(allowed, key=lambda column: table[row][column])
                found.append((table[row][best], names[best], choices.edges[row][0]))
            found.sort(key=lambda edge: -edge[0])  # stable: the lower source stays first among equals
            nodes.append(tuple((name, source) for _, name, source in found[: self.edges]))
        return tuple(nodes)
