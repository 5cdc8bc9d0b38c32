"""The probabilities of operations as small pictures, one an edge, all to the same scale."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from nas_cli.networks.choices import NONE, SKIP
from nas_cli.report.alphas import Panel, Panels
from nas_cli.report.curves import COLOURS, path, text, ticks

WIDTH, HEIGHT = 200.0, 124.0
LEFT, RIGHT, TOP, BOTTOM = 26.0, 6.0, 6.0, 18.0
_SKIP_COLOUR, _NONE_COLOUR = 1, 7


def draw_panels(panels: Panels) -> str:
    """The probabilities of a type of cell: one small picture an edge, all to the same scale, and a legend."""
    looks = _operation_looks(panels.operations)
    high = ticks(0, panels.top, 2)[-1]
    pictures = "".join(_panel(panel, panels, looks, high) for panel in panels.panels)
    legend = "".join(
        f'<li><svg viewBox="0 0 26 10" aria-hidden="true"><path class="line {look}" d="M1 5H25"/></svg>'
        f"{escape(name)}</li>"
        for name, look in looks.items()
    )
    return f'<div class="panels">{pictures}</div><ul class="legend">{legend}</ul>'


def _operation_looks(operations: Sequence[str]) -> dict[str, str]:
    """Classes of the lines: skips and `none` always look the same."""
    free = [colour for colour in range(COLOURS) if colour not in (_SKIP_COLOUR, _NONE_COLOUR)]
    looks, taken = {}, 0
    for name in operations:
        if name in (SKIP, NONE):
            looks[name] = f"s{_SKIP_COLOUR}" if name == SKIP else f"s{_NONE_COLOUR} dashed"
        else:
            looks[name] = f"s{free[taken % len(free)]}" + " dashed" * (taken >= len(free))
            taken += 1
    return looks


def _panel(panel: Panel, panels: Panels, looks: dict[str, str], high: float) -> str:
    span = panels.last - panels.first

    def across(x: float) -> float:
        return LEFT + ((x - panels.first) / span if span else 0.5) * (WIDTH - LEFT - RIGHT)

    def up(y: float) -> float:
        return HEIGHT - BOTTOM - y / high * (HEIGHT - TOP - BOTTOM)

    said = "" if panel.strongest is None else f"{panel.strongest[0]} {100 * panel.strongest[1]:.1f} %"
    kept = (
        "" if panel.kept is None else f'<span class="kept" title="in the last derived cell">{escape(panel.kept)}</span>'
    )
    parts = [
        f'<figure class="panel{" in" if panel.kept else ""}">',
        f"<figcaption><b>{escape(panel.title)}</b> {kept}</figcaption>",
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img">',
        f"<title>{escape(f'edge {panel.title}: strongest at the end {said}')}</title>",
    ]
    for y in (0.0, high / 2, high):
        parts.append(f'<path class="grid" d="M{LEFT:g} {up(y):.1f}H{WIDTH - RIGHT:g}"/>')
        parts.append(text(f"{100 * y:g}", LEFT - 4, up(y) + 3.5, "end"))
    for x, anchor in ((panels.first, "start"), (panels.last, "end")) if span else ((panels.first, "middle"),):
        parts.append(text(f"{x:g}", across(x), HEIGHT - 4, anchor))
    best = panel.kept or (panel.strongest or ("",))[0]
    for name, points in sorted(panel.pieces, key=lambda piece: piece[0] == best):
        look = f"line {looks[name]}{' best' if name == best else ''}"
        if len(points) == 1:
            parts.append(f'<path class="end {look}" d="M{across(points[0][0]):.1f} {up(points[0][1]):.1f}h0"/>')
        else:
            parts.append(f'<path class="{look}" d="{path(points, across, up)}"/>')
    return "".join([*parts, "</svg></figure>"])
