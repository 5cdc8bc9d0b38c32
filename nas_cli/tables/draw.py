"""A table's lines as text for the terminal, as Markdown, and as CSV: reported beside measured, and never confused."""

from __future__ import annotations

import csv
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_cli.report.table import MISSING, WIDTH_ELSEWHERE
from nas_cli.tables.definition import OWN_SCALES, SCALES, Column, Table
from nas_cli.tables.results import Line
from nas_cli.tables.units import UNITS, written

REPORTED, HERE = "reported", "here"
UNVERIFIED = "?"


@dataclass(frozen=True)
class _Cells:
    """One column as it is shown: what stands above it in two lines, and its cells."""

    title: str
    below: str
    cells: tuple[str, ...]
    left: bool = False


def draw_table(table: Table, scale: str, lines: Sequence[Line]) -> str:
    """The table for the terminal, no wider than it.

    Where reported and measured do not fit beside each other they stand below each other; where that is too wide too,
    columns are left out from the right.
    """
    width = shutil.get_terminal_size((WIDTH_ELSEWHERE, 24)).columns
    shown, left_out = list(table.columns), list[str]()
    grid = _grid(_columns(table, lines))
    if _width(grid) > width:
        grid = _grid(_stacked(shown, lines))
    while _width(grid) > width and len(shown) > 1:
        left_out.insert(0, shown.pop().title)
        grid = _grid(_stacked(shown, lines))
    narrow = [f"left out, the terminal is too narrow: {', '.join(left_out)} (table.md has all)"] if left_out else []
    above = [textwrap.fill(text, width, subsequent_indent=" " * 10) for text in _heading(table, scale, lines)]
    below = [textwrap.fill(text, width, subsequent_indent="  ") for text in (*narrow, *_footing(table, lines))]
    return "\n".join([*above, "", *grid, "", *below]).rstrip() + "\n"


def draw_markdown(table: Table, scale: str, lines: Sequence[Line]) -> str:
    """The same as Markdown."""
    columns = _columns(table, lines)
    title, *rest = _heading(table, scale, lines)
    header = [" ".join(filter(None, (column.title, column.below))) for column in columns]
    rows = zip(*(column.cells for column in columns), strict=True)
    parts = [f"# {title}", *rest, "\n".join([_bars(header), _bars(["---"] * len(columns)), *map(_bars, rows)])]
    return "\n\n".join([*parts, *_footing(table, lines)]) + "\n"


def write_csv(table: Table, scale: str, lines: Sequence[Line], path: Path) -> None:
    """One line a row, with all digits: what was measured in the unit that its heading names.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        quantities = []
        for column in table.columns:
            name = f"{column.title} ({column.unit})" if column.unit else column.title
            quantities += [f"{name}: reported", f"{name}: verified", f"{name}: here", f"{name}: here, std"]
        writer.writerow(["row", "label", "scale", *quantities, "seeds", "state", "data", "device"])
        for line in lines:
            cells: list[object] = []
            for column in table.columns:
                figure, measured = line.reported(column), line.measured.get(column.name)
                factor = UNITS[column.unit].factor
                cells += ["", ""] if figure is None else [figure.text, figure.verified]
                deviation = None if measured is None else measured.deviation
                cells.append("" if measured is None else measured.mean * factor)
                cells.append("" if deviation is None else deviation * factor)
            about = [line.finished, line.state, ", ".join(line.datasets), ", ".join(line.devices)]
            writer.writerow([line.row.name, line.row.label, scale, *cells, *about])


def _heading(table: Table, scale: str, lines: Sequence[Line]) -> list[str]:
    heading = [table.title]
    if table.paper is not None:
        heading.append(f"reported  {table.paper}")
    heading.append(f"scale     {scale}: {(SCALES if table.paper else OWN_SCALES)[scale]}")
    facts = [", ".join(names) for names in (_all(lines, "datasets"), _all(lines, "devices")) if names]
    heading.append(f"here      {'; '.join(facts) if facts else 'nothing has been run at this scale'}")
    return heading


def _all(lines: Sequence[Line], kind: str) -> list[str]:
    return list(dict.fromkeys(name for line in lines for name in getattr(line, kind)))


def _footing(table: Table, lines: Sequence[Line]) -> list[str]:
    footing = []
    if any(not figure.verified for line in lines for figure in line.row.reported.values()):
        footing.append(f"{UNVERIFIED} written down from memory of the paper, not verified")
    if any(measured.count > 1 for line in lines for measured in line.measured.values()):
        footing.append("± sample standard deviation over the seeds")
    if table.note is not None:
        footing.append(table.note)
    return footing + [f"failed: {problem}" for line in lines for problem in line.problems]


def _columns(table: Table, lines: Sequence[Line]) -> list[_Cells]:
    columns = [_Cells("", "", tuple(line.row.label for line in lines), left=True)]
    for column in table.columns:
        title = ", ".join(filter(None, (column.title, column.unit)))
        if any(line.reported(column) for line in lines):
            columns.append(_Cells(title, REPORTED, tuple(_reported(line, column) for line in lines)))
            title = title if column.source is None else ""
        if column.source is not None:
            columns.append(_Cells(title, HERE, tuple(_measured(line, column) for line in lines)))
    columns.append(_Cells("", "seeds", tuple(_seeds(line) for line in lines)))
    return columns + _aside(lines)


def _stacked(shown: Sequence[Column], lines: Sequence[Line]) -> list[_Cells]:
    """A line for what a row's paper reports, and below it one for what was measured."""
    entries = []
    for line in lines:
        kinds = [REPORTED] * bool(line.row.reported) + [HERE] * bool(line.wanted) or [REPORTED]
        entries += [(line, kind, kind == kinds[0]) for kind in kinds]
    columns = [
        _Cells("", "", tuple(line.row.label if first else "" for line, _, first in entries), left=True),
        _Cells("", "", tuple(kind for _, kind, _ in entries), left=True),
    ]
    for column in shown:
        cells = ((_reported if kind == REPORTED else _measured)(line, column) for line, kind, _ in entries)
        columns.append(_Cells(column.title, column.unit, tuple(cells)))
    seeds = (_seeds(line) if kind == HERE or not line.wanted else "" for line, kind, _ in entries)
    columns.append(_Cells("", "seeds", tuple(seeds)))
    return columns


def _aside(lines: Sequence[Line]) -> list[_Cells]:
    """Data and device of each row, where rows differ in them."""
    columns = []
    for title, kind in (("data", "datasets"), ("device", "devices")):
        if len({getattr(line, kind) for line in lines if getattr(line, kind)}) > 1:
            cells = tuple(", ".join(getattr(line, kind)) for line in lines)
            columns.append(_Cells("", title, cells, left=True))
    return columns


def _reported(line: Line, column: Column) -> str:
    figure = line.reported(column)
    if figure is None:
        return MISSING
    return figure.text if figure.verified else f"{figure.text} {UNVERIFIED}"


def _measured(line: Line, column: Column) -> str:
    measured = line.measured.get(column.name)
    if measured is not None:
        return written(column.unit, measured.mean, measured.deviation)
    measurable = column.source and column.source[0] in line.stages and column.name not in line.row.without
    return line.state if line.state and measurable else MISSING


def _seeds(line: Line) -> str:
    if not line.wanted:
        return MISSING if line.row.cites else "none here"
    return str(line.finished) if line.finished == line.wanted else f"{line.finished} of {line.wanted}"


def _grid(columns: Sequence[_Cells]) -> list[str]:
    widths = [max(map(len, (column.below, *column.cells))) for column in columns]
    titles = ""
    for index, column in enumerate(columns):
        # A title stands above the pair of columns that it is about; the second is widened where it needs more.
        paired = column.below == REPORTED and columns[index + 1].below == HERE
        last = index + paired
        room = sum(widths[index : last + 1]) + 2 * paired
        widths[last] += max(0, len(column.title) - room)
        start = sum(widths[:index]) + 2 * index
        title = column.title if paired else f"{column.title:>{widths[index]}}"
        titles = f"{titles:<{start}}{title}" if column.title else titles
    lines = [titles.rstrip()] if titles else []
    lines.append(_line([column.below for column in columns], columns, widths))
    lines.append("  ".join("─" * width for width in widths))
    rows = zip(*(column.cells for column in columns), strict=True)
    return lines + [_line(row, columns, widths) for row in rows]


def _width(grid: Sequence[str]) -> int:
    return max(map(len, grid))


def _line(cells: Sequence[str], columns: Sequence[_Cells], widths: Sequence[int]) -> str:
    parts = zip(cells, columns, widths, strict=True)
    return "  ".join(f"{c:<{w}}" if column.left else f"{c:>{w}}" for c, column, w in parts).rstrip()


def _bars(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
