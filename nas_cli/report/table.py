"""The table over many runs: `data_for_summary` computes its rows, `draw_summary` shows them, `write_csv` keeps them."""

from __future__ import annotations

import csv
import math
import shutil
import statistics
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from nas_cli.report.grouping import NAMES, group_runs
from nas_cli.report.runs import Run

Row = dict[str, Any]
IDENTITY = (*NAMES, "evaluation", "options")
MISSING = "–"
INDENT = "    "
# Where the output is no terminal, e.g. a pipe.
WIDTH_ELSEWHERE = 160


def data_for_summary(runs: Sequence[Run]) -> list[Row]:
    """One row for all runs that differ in nothing but their seeds and hardware, see `grouping`.

    Returns:
        Rows in the order in which their first runs stand, each with what tells the group from the others, the seeds'
        number, the number of finished `runs` and of `unfinished` ones, the name of the score (None where the runs
        differ in it), and `score`, every metric that all finished runs of the row share, `evaluations` and `seconds`
        as ``x_mean`` and ``x_std``: the mean over the finished runs and the sample standard deviation (divisor n-1;
        None for one run). Both are None where a finished run has no finite value. Errors and accuracies are fractions.
    """
    return [_row(group.shown, group.runs) for group in group_runs(runs)]


def data_for_each(runs: Sequence[Run]) -> list[Row]:
    """A row like those of `data_for_summary` for each run alone, with its `seed` and its `folder` besides."""
    shown = {id(run): group.shown for group in group_runs(runs) for run in group.runs}
    return [_row(shown[id(run)], [run]) | {"seed": run.seed, "folder": str(run.folder)} for run in runs]


def _row(shown: Mapping[str, str | None], runs: Sequence[Run]) -> Row:
    finished = [run for run in runs if run.finished]
    row: Row = dict(shown)
    row["seeds"] = len({run.seed for run in finished})
    row["runs"] = len(finished)
    row["unfinished"] = len(runs) - len(finished)
    names = {run.score_name for run in finished}
    row["score_name"] = names.pop() if len(names) == 1 else None
    values: dict[str, list[float | None]] = {
        # Scores of different names have no mean.
        "score": [run.score if row["score_name"] else None for run in finished],
        "evaluations": [run.evaluations for run in finished],
        "seconds": [run.wall_seconds for run in finished],
    }
    # A metric with one of these three names would overwrite what the run itself says.
    shared = [
        name for name in (finished[0].metrics if finished else ()) if all(name in run.metrics for run in finished)
    ]
    row["metrics"] = [name for name in shared if name not in values]
    values |= {name: [run.metrics[name] for run in finished] for name in row["metrics"]}
    for name, column in values.items():
        row[f"{name}_mean"], row[f"{name}_std"] = _mean_and_deviation(column)
    return row


def _mean_and_deviation(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known or len(known) < len(values):
        return None, None
    return statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None


def write_csv(rows: Iterable[Row], path: Path) -> None:
    """Write rows with all digits, errors and accuracies as fractions; what is None is left empty.

    Raises:
        OSError: the file cannot be written.
    """
    rows = list(rows)
    columns = dict.fromkeys(key for row in rows for key in row if key != "metrics")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


@dataclass(frozen=True)
class TableColumn:
    """A column of the table as text; numbers stand to the right, and optional ones are left out where it is narrow."""

    title: str
    cells: tuple[str, ...]
    number: bool = True
    optional: bool = False

    @property
    def width(self) -> int:
        return max(map(len, (self.title, *self.cells)))

    @property
    def empty(self) -> bool:
        return all(cell in ("", MISSING) for cell in self.cells)


def draw_summary(rows: Sequence[Row]) -> str:
    """The rows as a table for the terminal, no wider than it: errors and accuracies in percent, mean ± deviation.

    Where it would be too wide, names that are the same in all rows go into a line above it, then columns are left out
    from the right, and a line below says which; options move below their rows.
    """
    width = shutil.get_terminal_size((WIDTH_ELSEWHERE, 24)).columns
    columns, heading = [column for column in columns_of(rows) if not column.empty], ""
    if _total(columns) > width and len(rows) > 1:
        same, columns = names_apart(columns)
        heading = "  ".join(same)
    left_out: list[str] = []
    while _total(columns) > width and any(column.optional for column in columns):
        last = max(index for index, column in enumerate(columns) if column.optional)
        left_out.insert(0, columns.pop(last).title)
    lines = [heading, ""] if heading else []
    lines.append(_line(columns, [column.title for column in columns]))
    lines.append("  ".join("─" * column.width for column in columns))
    below = "options" in left_out
    for index, row in enumerate(rows):
        lines.append(_line(columns, [column.cells[index] for column in columns]))
        if below and row["options"]:
            lines += textwrap.wrap(row["options"], width, initial_indent=INDENT, subsequent_indent=INDENT)
    left_out = [title for title in left_out if title != "options"]
    if any(row["runs"] > 1 for row in rows):
        lines += ["", "mean ± sample standard deviation over the finished runs"]
    if left_out:
        lines += ["", f"left out, the terminal is too narrow: {', '.join(left_out)} (--csv FILE has all)"]
    return "\n".join(lines) + "\n"


def names_apart(columns: Sequence[TableColumn]) -> tuple[list[str], list[TableColumn]]:
    """The names that are the same in all rows, each with its title, and the other columns."""
    same = [column for column in columns if not column.number and len(set(column.cells)) == 1]
    said = [f"{column.title} {column.cells[0]}" for column in same]
    return said, [column for column in columns if column not in same]


def columns_of(rows: Sequence[Row]) -> list[TableColumn]:
    """All columns of the table, also those that are empty."""

    def column(title: str, cell: Callable[[Row], Any], number: bool = True, optional: bool = False) -> TableColumn:
        values = [cell(row) for row in rows]
        return TableColumn(title, tuple(MISSING if value is None else str(value) for value in values), number, optional)

    # Options are the last to be left out; they then stand below their rows, which would look alike without them.
    columns = [
        column(name, itemgetter(name), number=False, optional=name == "options")
        for name in IDENTITY
        if all(name in row for row in rows)
    ]
    if any("folder" in row for row in rows):
        columns.append(column("seed", lambda row: row["seed"]))
        columns.append(column("state", lambda row: "unfinished" if row["unfinished"] else "", number=False))
    else:
        columns.append(column("seeds", lambda row: row["seeds"]))
        columns.append(column("runs", lambda row: row["runs"] if row["runs"] != row["seeds"] else ""))
        columns.append(column("unfinished", lambda row: row["unfinished"] or ""))
    score_names = {row["score_name"] for row in rows if row["runs"]}
    metrics = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    if len(score_names) == 1 and None not in score_names:
        # One score for all: its name heads the column, and the metric of that name would only repeat it.
        name = score_names.pop()
        columns.append(column(_title(name), lambda row: _quantity(row, "score", name)))
        metrics = [metric for metric in metrics if metric != name]
    else:
        columns.append(column("score", lambda row: _quantity(row, "score", row["score_name"] or "")))
        columns.append(column("score is", lambda row: row["score_name"], number=False))
    for metric in metrics:
        columns.append(column(_title(metric), partial(_quantity, key=metric, name=metric), optional=True))
    columns.append(column("evaluations", lambda row: _mean(row, "evaluations"), optional=True))
    columns.append(column("seconds", lambda row: _mean(row, "seconds"), optional=True))
    if any("folder" in row for row in rows):
        columns.append(column("folder", lambda row: row["folder"], number=False, optional=True))
    return columns


def _is_fraction(name: str) -> bool:
    return "accuracy" in name or "error" in name


def _title(name: str) -> str:
    return f"{name} %" if _is_fraction(name) else name


def _mean(row: Row, name: str) -> str | None:
    mean = row[f"{name}_mean"]
    return None if mean is None else f"{mean:.1f}".removesuffix(".0")


def _quantity(row: Row, key: str, name: str) -> str | None:
    """The mean ± deviation of a column `key`, written as suits a quantity called `name`; None where there is none."""
    mean, deviation = row.get(f"{key}_mean"), row.get(f"{key}_std")
    if mean is None:
        return None
    return _format(mean, name) if deviation is None else f"{_format(mean, name)} ± {_format(deviation, name)}"


def _format(value: float, name: str) -> str:
    if _is_fraction(name):
        return f"{100 * value:.2f}"
    if name in ("params", "macs"):
        for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
            if abs(value) >= size:
                return f"{value / size:.2f}{letter}"
        return f"{value:.0f}"
    return f"{value:.4g}"


def _total(columns: Sequence[TableColumn]) -> int:
    return sum(column.width + 2 for column in columns) - 2


def _line(columns: Sequence[TableColumn], cells: Sequence[str]) -> str:
    pairs = zip(columns, cells, strict=True)
    return "  ".join(f"{cell:>{c.width}}" if c.number else f"{cell:<{c.width}}" for c, cell in pairs).rstrip()
