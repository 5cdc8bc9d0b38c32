"""The probabilities of the operations on every edge, as they were written down epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_cli.architecture import CellGraph
from nas_cli.networks.choices import NONE, SKIP
from nas_cli.report.cells import edges_of, read_graphs
from nas_cli.report.chart import Point
from nas_cli.report.trace import Epoch, Trace, number


@dataclass(frozen=True)
class Panel:
    """One edge.

    Args:
        title: ``0 → 2``.
        pieces: (operation, (x, probability) of one stage); an operation has a piece for each stage it competes in.
        strongest: the most likely operation other than `none` after the last epoch, and its probability.
        kept: the operation with which the last derived cell has this edge; None: it has not.
    """

    title: str
    pieces: Sequence[tuple[str, Sequence[Point]]]
    strongest: tuple[str, float] | None
    kept: str | None


@dataclass(frozen=True)
class Panels:
    """All edges of one type of cell.

    Args:
        kind: the type.
        operations: all that ever competed, in the order of their columns.
        panels: one for each edge.
        first, last: epochs.
        top: the largest probability.
    """

    kind: str
    operations: Sequence[str]
    panels: Sequence[Panel]
    first: float
    last: float
    top: float


def data_for_panels(trace: Trace) -> list[Panels]:
    """The panels of each type of cell for which probabilities were written down."""
    return [panels for kind in kinds_with_probabilities(trace) if (panels := _panels(trace, kind)) is not None]


def _panels(trace: Trace, kind: str) -> Panels | None:
    operations: dict[str, None] = {}
    pieces: dict[int, dict[tuple[int, str], list[Point]]] = {}
    xs: list[float] = []
    last: list[dict[str, float]] = []
    names = {stage: stage_operations(trace, stage) for stage in range(trace.stages)}
    for epoch in trace.epochs:
        rows = probabilities(epoch, names[epoch.stage], kind)
        if not rows:
            continue
        last = rows
        xs.append(epoch.x)
        for edge, row in enumerate(rows):
            for name, share in row.items():
                operations.setdefault(name)
                pieces.setdefault(edge, {}).setdefault((epoch.stage, name), []).append((epoch.x, share))
    if not last:
        return None
    edges = [(str(source), str(target)) for source, target in edges_of(len(last))]
    kept = _kept(trace, kind)
    panels = []
    for edge, row in enumerate(last):
        real = {name: share for name, share in row.items() if name != NONE} or row
        best = max(real, key=lambda name: real[name], default=None)
        panels.append(
            Panel(
                f"{edges[edge][0]} → {edges[edge][1]}" if edges else f"edge {edge + 1}",
                [(name, points) for (_, name), points in pieces.get(edge, {}).items()],
                None if best is None else (best, real[best]),
                kept.get(edges[edge]) if edges else None,
            )
        )
    top = max(share for found in pieces.values() for points in found.values() for _, share in points)
    return Panels(kind, list(operations), panels, xs[0], xs[-1], top)


def _kept(trace: Trace, kind: str) -> dict[tuple[str, str], str]:
    """The edges of the last derived cell of a type, with their operations."""
    kinds = kinds_with_probabilities(trace)
    graphs: list[CellGraph] = []
    for epoch in reversed(trace.epochs):
        if graphs := read_graphs(epoch.line.get("architecture"), kinds):
            break
    if len(graphs) != len(kinds):
        return {}
    graph = graphs[kinds.index(kind)]
    # Nodes are told by their labels: a recurrent cell is drawn with two inputs that are no choice.
    labels = [*map(str, range(len(graph.inputs))), *graph.nodes]
    return {(labels[source], labels[target]): name for source, target, name in graph.edges}


def probabilities(epoch: Epoch, operations: Mapping[str, Any] | None, kind: str) -> list[dict[str, float]]:
    """The probabilities of the operations on each edge of a type of cell, by name; empty where they are malformed.

    Args:
        operations: of the first line of the epoch's stage: names in the columns of the probabilities, by type of cell.
    """
    rows, names = (part.get(kind) if isinstance(part, dict) else None for part in (_given(epoch), operations))
    if not isinstance(rows, list) or not isinstance(names, list) or len(rows) != len(names):
        return []
    found = []
    for row, columns in zip(rows, names, strict=True):
        if not isinstance(row, list) or not isinstance(columns, list) or len(row) != len(columns):
            return []
        shares = [number(value) for value in row]
        if any(share is None for share in shares):
            return []
        found.append({str(name): share for name, share in zip(columns, shares, strict=True) if share is not None})
    return found


def _given(epoch: Epoch) -> Any:
    return epoch.line.get("probabilities")


def stage_operations(trace: Trace, stage: int) -> Mapping[str, Any] | None:
    """The names of the operations that compete in a stage, by type of cell."""
    for epoch in trace.stage(stage):
        found = epoch.line.get("operations")
        if isinstance(found, dict):
            return found
    return None


def kinds_with_probabilities(trace: Trace) -> list[str]:
    """Types of cells whose probabilities were written down."""
    kinds = dict.fromkeys(
        kind for epoch in trace.epochs if isinstance(given := _given(epoch), dict) for kind in map(str, given)
    )
    return list(kinds)


def kinds_with_skips(trace: Trace) -> list[str]:
    """Types of cells whose skip connections were counted and which can have some."""
    operations = stage_operations(trace, 0) or {}
    return [kind for kind in trace.kinds("skips") if kind not in operations or SKIP in str(operations[kind])]
