"""Cells as pictures: one self-contained SVG, from the places that `layout` gives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from nas_cli.report.layout import FONT, MARGIN, Box, Layout, is_none, layout, text_width

if TYPE_CHECKING:
    from nas_cli.architecture import CellGraph

FAMILIES = {
    # family: (fill, line), the fills pale enough for black text and for a printer without colours
    "separable convolution": ("#dcebfb", "#2b6cb0"),
    "dilated convolution": ("#e9e1f8", "#6b46a8"),
    "convolution": ("#d5f0f0", "#147a80"),
    "pooling": ("#dcf3e1", "#2f855a"),
    "skip": ("#fdeecb", "#b7791f"),
    "none": ("#fafafa", "#a0a6b0"),
    "other": ("#f6dfe7", "#b0446c"),
}
INK, WIRE, PALE, PALE_INK = "#1f2937", "#64748b", "#b9c0ca", "#8b94a3"


def family(operation: str) -> str:
    """The family, a key of `FAMILIES`, that an operation's name tells."""
    if is_none(operation):
        return "none"
    name = operation.lower()
    if "skip" in name or "identity" in name:
        return "skip"
    if "pool" in name:
        return "pooling"
    if "dil" in name:
        return "dilated convolution"
    if "sep" in name:
        return "separable convolution"
    return "convolution" if "conv" in name else "other"


def draw_cells(graphs: Sequence[CellGraph], caption: str = "") -> str:
    """One self-contained SVG with the cells below each other, a legend of the operations' families at its foot.

    Args:
        graphs: the cells, at least one.
        caption: a heading, e.g. the architecture's name.
    """
    width = max(layout(graph).width for graph in graphs)
    body: list[str] = []
    y = MARGIN
    if caption:
        y += 20
        body.append(_text(caption, MARGIN, y, size=20, weight=600, anchor="start"))
        y += 16
    for graph in graphs:
        y += 18
        body.append(_text(graph.title, MARGIN, y, size=15, weight=600, anchor="start"))
        placed = layout(graph, width)
        body.append(f'<g transform="translate(0 {y:g})">')
        body.extend(_draw(placed))
        body.append("</g>")
        y += placed.height
    found = {family(operation) for graph in graphs for _, _, operation in graph.edges}
    legend, y = _legend([name for name in FAMILIES if name in found], width, y)
    body.extend(legend)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {y:g}" width="100%" role="img" '
        f"font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif\">"
    )
    title = f"<title>{escape(caption or ', '.join(graph.title for graph in graphs))}</title>"
    ground = f'<rect width="{width:g}" height="{y:g}" rx="10" fill="#ffffff"/>'
    return "\n".join([head, title, ground, *body, "</svg>"]) + "\n"


def _draw(placed: Layout) -> Iterator[str]:
    # Wires in bundles by source, each bundle on a white rim: where bundles cross, one is seen to pass over the other.
    for start in sorted({wire.start for wire in placed.wires}):
        bundle = [(wire, _path(wire.points)) for wire in placed.wires if wire.start == start]
        for _, path in bundle:
            yield f'<path d="{path}" fill="none" stroke="#ffffff" stroke-width="5"/>'
        for wire, path in bundle:
            look = f'stroke="{PALE}" stroke-dasharray="5 4"' if wire.faint else f'stroke="{WIRE}"'
            yield f'<path d="{path}" fill="none" {look} stroke-width="1.7"/>'
    for box in placed.boxes:
        yield from _draw_box(box)


def _draw_box(box: Box) -> Iterator[str]:
    fill, line, ink, radius, more = "#ffffff", INK, INK, box.height / 2, ""
    if box.kind == "operation":
        fill, line = FAMILIES[family(box.label)]
        radius = 7.0
        if family(box.label) == "none":
            ink, more = "#6b7280", ' stroke-dasharray="5 4"'
    elif box.kind == "node":
        fill, ink = INK, "#ffffff"
    elif box.kind == "output":
        fill, radius = "#eef1f5", 12.0
    if box.faint:
        fill, line, ink, more = "#ffffff", PALE, PALE_INK, ' stroke-dasharray="5 4"'
    yield (
        f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="{radius:g}" fill="{fill}" stroke="{line}" stroke-width="1.4"{more}/>'
    )
    yield _text(box.label, box.x, box.y + 0.35 * FONT, ink=ink, weight=600 if box.kind == "node" else 400)


def _path(points: Sequence[tuple[float, float]]) -> str:
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        half = (x0 + x1) / 2
        path += f"H{x1:.1f}" if y0 == y1 else f"C{half:.1f} {y0:.1f} {half:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
    return path


def _text(
    text: str, x: float, y: float, size: float = FONT, weight: int = 400, anchor: str = "middle", ink: str = INK
) -> str:
    # As in LaTeX: c_{k-1} has an index.
    written = re.sub(r"_\{(.+?)\}", r'<tspan dy="3" font-size="75%">\1</tspan>', escape(text))
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{ink}">{written}</text>'
    )


def _legend(families: Sequence[str], width: float, y: float) -> tuple[list[str], float]:
    """The legend's elements from height `y` on, and where it ends."""
    parts, x = [], MARGIN
    for name in families:
        needed = 30 + text_width(name, 12) + 18
        if x + needed > width - MARGIN and x > MARGIN:
            x, y = MARGIN, y + 22
        fill, line = FAMILIES[name]
        dashes = ' stroke-dasharray="4 3"' if name == "none" else ""
        parts.append(
            f'<rect x="{x:.1f}" y="{y - 7:.1f}" width="22" height="14" rx="4" fill="{fill}" stroke="{line}" '
            f'stroke-width="1.2"{dashes}/>'
        )
        parts.append(_text(name, x + 30, y + 4.2, size=12, anchor="start"))
        x += needed
    return parts, y + (MARGIN if parts else 0)
