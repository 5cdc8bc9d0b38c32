"""A recurrent cell that is a tree, as plain data, and its text form.

The text is ``add tanh | mul relu | mul sigmoid ; inject add relu ; c_out 1 ; c_in 0``: for each node how it combines
its two inputs and its activation, the leaves first; then how the cell state is injected, the node whose value becomes
the next cell state, and the node into which the last one is injected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nas_cli.architecture import CellGraph
from nas_cli.errors import InputError

_STEP = re.compile(r"([a-z]+) ([a-z]+)")
_REST = re.compile(r"inject ([a-z]+) ([a-z]+) ; c_out ([0-9]+) ; c_in ([0-9]+)", re.ASCII)

#: How two values are combined, and what is then applied to the result.
Step = tuple[str, str]


@dataclass(frozen=True)
class TreeGenotype:
    """One recurrent cell: b leaves, and b - 1 nodes above them, of which node b + i joins nodes 2i and 2i + 1.

    Args:
        nodes: of nodes 0 to 2b - 2 the combination and the activation; the leaves stand first, the root last.
        inject: the same of the injection.
        c_out: the node whose value before its activation is the next cell state.
        c_in: the node behind whose activation the last cell state is injected.
    Raises `InputError` for a number of nodes that is no tree's, or an index that is no node's.
    """

    nodes: tuple[Step, ...]
    inject: Step
    c_out: int
    c_in: int

    def __post_init__(self) -> None:
        if len(self.nodes) % 2 == 0:
            raise InputError(f"a tree has an odd number of nodes, twice its leaves less one, not {len(self.nodes)}")
        for name, index in (("c_out", self.c_out), ("c_in", self.c_in)):
            if not 0 <= index < len(self.nodes):
                raise InputError(f"{name} of a tree must be a node, 0 to {len(self.nodes) - 1}, not {index}")

    @property
    def base(self) -> int:
        """How many leaves there are."""
        return (len(self.nodes) + 1) // 2

    def children(self, node: int) -> tuple[int, int]:
        """The two nodes that an inner node joins."""
        first = 2 * (node - self.base)
        return first, first + 1

    @classmethod
    def parse(cls, text: str) -> TreeGenotype:
        """The cell that a text stands for: the inverse of `str`. Raises `InputError` for a malformed text."""
        body, _, tail = text.partition(" ; ")
        steps = [_STEP.fullmatch(part) for part in body.split(" | ")]
        rest = _REST.fullmatch(tail)
        if rest is None or None in steps:
            raise InputError(
                f"not a recurrent tree: {text!r} must be like 'add tanh ; inject add relu ; c_out 0 ; c_in 0'"
            )
        nodes = tuple((step[1], step[2]) for step in steps if step is not None)
        return cls(nodes, (rest[1], rest[2]), int(rest[3]), int(rest[4]))

    def __str__(self) -> str:
        nodes = " | ".join(" ".join(step) for step in self.nodes)
        return f"{nodes} ; inject {' '.join(self.inject)} ; c_out {self.c_out} ; c_in {self.c_in}"

    def graph(self, title: str) -> CellGraph:
        """The cell as a graph to draw.

        The injection is a node of its own behind node `c_in`, and so is the next cell state.
        """
        inputs = ("x_{t}", "h_{t-1}", "c_{t-1}")
        labels: list[str] = []
        edges: list[tuple[int, int, str]] = []

        def add(label: str, step: Step, first: int, second: int) -> int:
            number = len(inputs) + len(labels)
            labels.append(label)
            edges.extend((source, number, " ".join(step)) for source in (first, second))
            return number

        values: list[int] = []  # where the value of each node comes from, the injection included
        plain: list[int] = []  # the same without it
        for node, step in enumerate(self.nodes):
            first, second = (0, 1) if node < self.base else (values[child] for child in self.children(node))
            plain.append(add(str(node), step, first, second))
            values.append(add("inject", self.inject, plain[-1], 2) if node == self.c_in else plain[-1])
        labels.append("c_{t}")
        edges.append((plain[self.c_out], len(inputs) + len(labels) - 1, f"before {self.nodes[self.c_out][1]}"))
        return CellGraph(
            title=title,
            inputs=inputs,
            nodes=tuple(labels),
            edges=tuple(edges),
            outputs=(values[-1], len(inputs) + len(labels) - 1),
            output="h_{t}, c_{t}",
        )
