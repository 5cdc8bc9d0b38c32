"""A table's rows as points: one column over another, what is reported and what was measured here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from nas_cli.report.chart import Chart, Point
from nas_cli.report.chart import Line as Series
from nas_cli.report.curves import draw_chart
from nas_cli.report.document import document, section
from nas_cli.tables.definition import Column, Table
from nas_cli.tables.results import Line
from nas_cli.tables.units import UNITS

TITLE = "Reported and counted"
NOTE = (
    "Dots stand where the paper has them; a network that is built here stands a second time where our own figures put "
    "it, with the reported value of what was not measured at this scale."
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
CITED, REPORTED, HERE = "others, as reported", "built here, as reported", "built here, our own figures"


def data_for_plots(table: Table, lines: Sequence[Line]) -> list[Chart]:
    """A chart for each plot of a table for which there is any point."""
    columns = {column.name: column for column in table.columns}
    charts = []
    for plot in table.plots:
        x, y = columns[plot.x], columns[plot.y]
        series = [_series(lines, x, y, kind, colour) for colour, kind in enumerate((CITED, REPORTED, HERE))]
        found = [one for one in series if one.points]
        if found:
            charts.append(Chart(f"{_label(y)} over {_label(x)}", _label(x), _label(y), found, note=NOTE))
    return charts


def plots_section(table: Table, lines: Sequence[Line]) -> list[str]:
    """The charts as a section of a page; nothing where there are none."""
    charts = "".join(map(draw_chart, data_for_plots(table, lines)))
    return section(TITLE, [f'<div class="charts">{charts}</div>' if charts else ""])


def plots_page(title: str, sections: Sequence[str]) -> str:
    """A page of its own, for a table without searches."""
    return document(title, [f"<h1>{escape(title)}</h1>", *sections])


def _series(lines: Sequence[Line], x: Column, y: Column, kind: str, colour: int) -> Series:
    points: list[tuple[Point, str]] = []
    for line in lines:
        if line.row.cites != (kind == CITED):
            continue
        place = _place(line, x, kind), _place(line, y, kind)
        if kind == HERE and not {x.name, y.name} & set(line.measured):
            continue
        if place[0] is not None and place[1] is not None:
            points.append(((place[0], place[1]), "" if kind == HERE else line.row.label))
    points.sort()
    return Series(
        kind, [point for point, _ in points], colour, style="dots", labels=tuple(label for _, label in points)
    )


def _place(line: Line, column: Column, kind: str) -> float | None:
    """A row's value of a column in its unit: the measured one where it is asked for and there is one."""
    measured = line.measured.get(column.name) if kind == HERE else None
    if measured is not None:
        return measured.mean * UNITS[column.unit].factor
    figure = line.reported(column)
    number = None if figure is None else _NUMBER.match(figure.text)
    return None if number is None else float(number.group())


def _label(column: Column) -> str:
    return f"{column.title}, {column.unit}" if column.unit else column.title
