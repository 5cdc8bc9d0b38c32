"""What each edge contributes to the loss, as the diagnostic `credit` writes it down epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from nas_cli.report.cells import edges_of, kind_title
from nas_cli.report.chart import Chart, Line, Point
from nas_cli.report.trace import Epoch, Trace, number

PREFIX = "credit"


def credit_charts(trace: Trace, marks: Sequence[tuple[float, str]] = ()) -> list[Chart]:
    """A chart for each type of cell, with a curve for each edge; broken where a stage begins.

    Args:
        marks: (x, label) of vertical lines.

    Reference: Xie, Zheng, Liu, Lin, SNAS, ICLR 2019, arXiv:1812.09926, sec. 2.3.
    """
    found = ((kind, _lines(trace, kind)) for kind in trace.kinds(PREFIX))
    note = "By how much the loss grows with the edge's weight, to first order: edges below 0 lower the loss."
    return [
        Chart(
            f"Credit of the edges, {kind_title(kind)}",
            "epochs",
            "credit, nats",
            lines,
            levels=[(0.0, "")],
            marks=marks,
            note=note,
        )
        for kind, lines in found
        if lines
    ]


def _lines(trace: Trace, kind: str) -> list[Line]:
    edges: dict[int, dict[int, list[Point]]] = {}
    count = 0
    for epoch in trace.epochs:
        values = _values(epoch, kind)
        count = max(count, len(values))
        for edge, value in enumerate(values):
            if value is not None:
                edges.setdefault(edge, {}).setdefault(epoch.stage, []).append((epoch.x, value))
    names = [f"{source} → {target}" for source, target in edges_of(count)]
    return [
        Line((names[edge] if names else f"edge {edge + 1}") if piece == 0 else "", points, colour=edge)
        for edge, stages in sorted(edges.items())
        for piece, points in enumerate(stages.values())
    ]


def _values(epoch: Epoch, kind: str) -> list[float | None]:
    """Of every edge of a type of cell; empty where none or something else was written down."""
    values = epoch.line.get(f"{PREFIX}_{kind}")
    return [number(value) for value in values] if isinstance(values, list) else []
