"""A recurrent cell as plain data, and its text form.

The text is ``relu:0 tanh:1 …``: for each node its activation and its predecessor, where 0 is the node that joins input
and hidden state and the written nodes count from 1. The cell's output is the mean of all written nodes; where it is the
mean of some, they follow: ``… ; mean 2,5,6``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nas_cli.architecture import CellGraph
from nas_cli.errors import InputError

_PAIR = re.compile(r"([A-Za-z_]\w*):([0-9]+)", re.ASCII)
_MEAN = re.compile(r"mean\s+([0-9]+(?:\s*,\s*[0-9]+)*)")


@dataclass(frozen=True)
class RecurrentGenotype:
    """One recurrent cell.

    Args:
        nodes: of nodes 1, 2, … each its activation and the number of an earlier node.
        mean: numbers of the nodes whose mean is the output, ascending.
    Raises `InputError` for no node at all, a predecessor that is no earlier node, or a mean of nodes that do not exist.
    """

    nodes: tuple[tuple[str, int], ...]
    mean: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.nodes:
            raise InputError("a recurrent cell needs at least one node")
        for number, (activation, source) in enumerate(self.nodes, start=1):
            if not 0 <= source < number:
                raise InputError(
                    f"node {number} of a recurrent cell: predecessor {source} of {activation} is not one of 0 to "
                    f"{number - 1}"
                )
        if not self.mean or list(self.mean) != sorted({n for n in self.mean if 1 <= n <= len(self.nodes)}):
            raise InputError(
                f"a recurrent cell's output is the mean of some of the nodes 1 to {len(self.nodes)}, ascending, not of "
                f"{','.join(map(str, self.mean)) or 'none'}"
            )

    @classmethod
    def of(cls, nodes: tuple[tuple[str, int], ...]) -> RecurrentGenotype:
        """The cell whose output is the mean of all nodes."""
        return cls(nodes, tuple(range(1, len(nodes) + 1)))

    @classmethod
    def parse(cls, text: str) -> RecurrentGenotype:
        """The cell that a text stands for: the inverse of `str`. Raises `InputError` for a malformed text."""
        body, separator, tail = text.partition(";")
        nodes = []
        for part in body.split():
            match = _PAIR.fullmatch(part)
            if not match:
                raise InputError(f"not a recurrent cell: {part!r} in {text!r} must be activation:source, as in relu:0")
            nodes.append((match.group(1), int(match.group(2))))
        if not separator:
            return cls.of(tuple(nodes))
        mean = _MEAN.fullmatch(tail.strip())
        if not mean:
            raise InputError(f"not a recurrent cell: {text!r} may end in '; mean' and node numbers, as in '; mean 2,5'")
        return cls(tuple(nodes), tuple(int(number) for number in mean.group(1).split(",")))

    def __str__(self) -> str:
        nodes = " ".join(f"{activation}:{source}" for activation, source in self.nodes)
        whole = len(self.mean) == len(self.nodes)
        return nodes if whole else f"{nodes} ; mean {','.join(map(str, self.mean))}"

    def graph(self, title: str) -> CellGraph:
        """The cell as a graph to draw."""
        first = 2  # of the written nodes: after the two inputs comes node 0
        return CellGraph(
            title=title,
            inputs=("x_{t}", "h_{t-1}"),
            nodes=tuple(str(number) for number in range(len(self.nodes) + 1)),
            edges=(
                (0, first, "tanh"),
                (1, first, "tanh"),
                *(
                    (source + first, number + first, activation)
                    for number, (activation, source) in enumerate(self.nodes, start=1)
                ),
            ),
            outputs=tuple(number + first for number in self.mean),
            output="mean",
        )
