"""Cells of all that an entropy criterion leaves: any number of inputs, several operations on an edge."""

from __future__ import annotations

from torch import Tensor

from nas_cli.errors import require
from nas_cli.networks.choices import NONE, Choices, Nodes
from nas_cli.strategies.gradient.derivation import Derivation
from nas_cli.strategies.gradient.laplace import ZERO_ENTROPY


class Entropy(Derivation):
    """A cell keeps every operation whose prior has entropy, ½ ln(2πe γ̃) > 0; the pairs stand in order of the edges.

    An edge that leaves a node without inputs goes too. A cell of which nothing is left is repaired: every node gets
    back its incoming operation of the largest variance.

    Where a cell of the space has all of its edges, each has its operation of the largest variance, if that has
    entropy, else `none`.

    Args:
        threshold: of the variance; 1 / (2πe) is an entropy of 0. As that of `ard`.
    Reference: Zhou, Yang, Wang, Pan, BayesNAS, ICML 2019, arXiv:1905.04919, sec. 3.3 and algorithm 1.
    """

    def __init__(self, threshold: float = ZERO_ENTROPY) -> None:
        require(threshold > 0, f"threshold must be above 0, not {threshold}")
        self.threshold = threshold

    def __call__(self, kind: str, choices: Choices, strengths: Tensor) -> Nodes:
        # Compared as tensors: at the threshold itself a float of another width would be on the wrong side.
        live, table = (strengths > self.threshold).tolist(), strengths.tolist()
        if choices.inputs is None:
            return tuple(
                tuple(self._one(choices, row, live[row], table[row]) for row in choices.rows_into(target))
                for target in choices.targets
            )
        nodes = self._kept(choices, live)
        return nodes if any(nodes) else tuple(self._largest(choices, target, table) for target in choices.targets)

    def _one(self, choices: Choices, row: int, live: list[bool], variances: list[float]) -> tuple[str, int]:
        """The pair of an edge of a cell that has all of its edges."""
        columns = [column for column in _candidates(choices, row) if live[column]]
        best = max(columns, key=lambda column: variances[column], default=None)
        return NONE if best is None else choices.operations[row][best], choices.edges[row][0]

    def _kept(self, choices: Choices, live: list[list[bool]]) -> Nodes:
        """All that lives and is reached from the cell's inputs."""
        without: set[int] = set()  # nodes that nothing reaches
        nodes = []
        for target in choices.targets:
            node = tuple(
                (choices.operations[row][column], choices.edges[row][0])
                for row in choices.rows_into(target)
                if choices.edges[row][0] not in without
                for column in _candidates(choices, row)
                if live[row][column]
            )
            if not node:
                without.add(target)
            nodes.append(node)
        return tuple(nodes)

    def _largest(self, choices: Choices, target: int, table: list[list[float]]) -> tuple[tuple[str, int], ...]:
        """The one pair of a node whose variance is the largest."""
        places = [(row, column) for row in choices.rows_into(target) for column in _candidates(choices, row)]
        row, column = max(places, key=lambda place: table[place[0]][place[1]])
        return ((choices.operations[row][column], choices.edges[row][0]),)


def _candidates(choices: Choices, row: int) -> list[int]:
    """Columns of an edge other than that of `none`."""
    return [column for column, name in enumerate(choices.operations[row]) if name != NONE]
