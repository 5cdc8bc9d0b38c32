"""Pictures as one SVG file that stands alone: in columns, with titles and legends, light or dark as the viewer is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from nas_cli.journal import write_atomically
from nas_cli.report import curves, heat_maps
from nas_cli.report.chart import Chart
from nas_cli.report.document import style
from nas_cli.report.layout import text_width
from nas_cli.report.model_pictures import ModelPictures
from nas_cli.report.posterior_pictures import Picture

MARGIN, TITLE, LEGEND, NOTE = 16.0, 24.0, 20.0, 15.0
ACROSS = 4  # columns beside each other
FONT, NOTE_FONT = 12.0, 11.0

Columns = Sequence[Sequence[Picture]]


def write_svg_files(folder: Path, charts: Sequence[Chart], models: Sequence[ModelPictures]) -> None:
    """Write what a page shows of black-box searches as SVG files beside it: curves, posterior, prior."""
    files: dict[str, list[tuple[str, Columns]]] = {
        "curves.svg": [("", [[chart] for chart in charts])],
        "posterior.svg": [(model.title, model.posterior) for model in models],
        "prior.svg": [(model.title, model.prior) for model in models],
    }
    for name, blocks in files.items():
        if any(columns for _, columns in blocks):
            write_atomically(folder / name, svg_file(blocks).encode())


def svg_file(blocks: Sequence[tuple[str, Columns]]) -> str:
    """An SVG file of titled blocks of columns of pictures."""
    parts: list[str] = []
    y, right = MARGIN, 0.0
    for title, columns in blocks:
        if title and columns:
            parts.append(f'<text class="label" font-weight="700" x="{MARGIN:g}" y="{y + 14:g}">{escape(title)}</text>')
            y += TITLE
        for first in range(0, len(columns), ACROSS):
            x, bottom = MARGIN, y
            for column in columns[first : first + ACROSS]:
                drawn, width, height = _column(column, x, y)
                parts.append(drawn)
                x, bottom = x + width + MARGIN, max(bottom, y + height)
            y, right = bottom + MARGIN, max(right, x)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sheet" viewBox="0 0 {right:g} {y:g}" width="{right:g}" '
        f'height="{y:g}" font-family="system-ui, sans-serif"><style>{escape(style(), quote=False)}</style>'
        f'<rect class="ground" width="{right:g}" height="{y:g}"/>{"".join(parts)}</svg>\n'
    )


def _column(column: Sequence[Picture], x: float, y: float) -> tuple[str, float, float]:
    """Pictures below each other at (x, y), how wide and how high they are."""
    parts, top, widest = [], y, 0.0
    for picture in column:
        is_chart = isinstance(picture, Chart)
        width, height = (curves.WIDTH, curves.HEIGHT) if is_chart else (heat_maps.WIDTH, heat_maps.HEIGHT)
        drawn = curves.chart_svg(picture) if isinstance(picture, Chart) else heat_maps.map_svg(picture)
        parts.append(f'<text class="label" font-weight="600" x="{x:g}" y="{top + 14:g}">{escape(picture.title)}</text>')
        top += TITLE
        parts.append(drawn.replace("<svg ", f'<svg x="{x:g}" y="{top:g}" width="{width:g}" height="{height:g}" ', 1))
        top += height
        if isinstance(picture, Chart):
            legend, used = _legend(picture, x, top, width)
            parts.append(legend)
            top += used
        for words in _lines(picture.note, width):
            parts.append(f'<text class="hint" x="{x:g}" y="{top + 12:g}">{escape(words)}</text>')
            top += NOTE
        top += NOTE
        widest = max(widest, width)
    return "".join(parts), widest, top - y


def _lines(note: str, width: float) -> list[str]:
    """A note in lines that are not wider than so much."""
    lines: list[str] = []
    for word in note.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, NOTE_FONT) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _legend(chart: Chart, x: float, y: float, width: float) -> tuple[str, float]:
    """The names of a chart's lines, and how high they are."""
    parts, left, top = [], x, y
    for line in chart.lines:
        if not line.name:
            continue
        length = 36 + text_width(line.name, FONT)
        if left > x and left + length > x + width:
            left, top = x, top + LEGEND
        frame = f'<svg x="{left:g}" y="{top + 4:g}" width="26" height="10" viewBox="0 0 26 10">'
        swatch = f"{frame}{curves.swatch(line)}</svg>"
        parts.append(f'{swatch}<text class="label" x="{left + 31:g}" y="{top + 13:g}">{escape(line.name)}</text>')
        left += length + 10
    return "".join(parts), top - y + LEGEND
