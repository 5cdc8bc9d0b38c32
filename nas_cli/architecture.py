"""An architecture as plain data, and a cell as it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nas_cli.errors import InputError

#: What a decision can be; None where it is not to be made, as another decision went another way.
Value = str | int | float | None


@dataclass(frozen=True)
class Architecture:
    """One point of a space: immutable, hashable, and equal after a trip through JSON.

    Args:
        space: name of the space that can build it.
        decisions: what was decided, in that space's own canonical form (six operation names on `nasbench201`, the
            text of the normal and of the reduction cell on `darts`).
    """

    space: str
    decisions: tuple[Value, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {"space": self.space, "decisions": list(self.decisions)}

    @classmethod
    def from_json(cls, data: Any) -> Architecture:
        """From plain JSON data. Raises `InputError` if it is not an architecture."""
        try:
            space, decisions = data["space"], data["decisions"]
        except (TypeError, KeyError):
            raise InputError("not an architecture: it needs the keys 'space' and 'decisions'") from None
        plain = isinstance(decisions, list) and all(isinstance(value, Value) for value in decisions)
        if not isinstance(space, str) or not plain:
            raise InputError("not an architecture: 'space' must be a name and 'decisions' a list of plain values")
        return cls(space, tuple(decisions))


@dataclass(frozen=True)
class CellGraph:
    """A cell as it is drawn: nodes in order, operations on edges, and what is joined at the output.

    Args:
        title: e.g. ``normal cell``.
        inputs: labels of the input nodes, numbered 0, 1, …
        nodes: labels of the inner nodes, numbered on from there.
        edges: (source, target, operation) with node numbers.
        outputs: numbers of the nodes that make the output.
        output: label of the output, e.g. ``concat``.
        dropped: places among `edges` of those through which nothing flows in this picture.
    """

    title: str
    inputs: tuple[str, ...]
    nodes: tuple[str, ...]
    edges: tuple[tuple[int, int, str], ...]
    outputs: tuple[int, ...]
    output: str
    dropped: frozenset[int] = frozenset()
