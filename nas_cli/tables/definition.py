"""What a table of a paper is: its columns, its rows, and the commands that make each row at each scale.

A table is one YAML, ``configs/table/NAME.yaml``. It is read as plain data; nothing is composed or imported for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from nas_cli.config import configs_folder
from nas_cli.errors import InputError, nearest, require
from nas_cli.report.options import read_config
from nas_cli.tables.units import UNITS

GROUP = "table"
#: What each scale is, in the words that stand above every table.
SCALES: Mapping[str, str] = {
    "smoke": "tiny runs on embedded data that only show that every row works; "
    "what was measured here is NOT the paper's quantity and says nothing about it",
    "small": "small networks on small data: compare what was measured here among the rows, not with what is reported",
    "full": "the paper's own setting",
}
#: The same for a table that compares what no single paper did.
OWN_SCALES: Mapping[str, str] = {
    "smoke": "tiny runs on embedded data that only show that every row works; their figures say nothing",
    "small": "small networks on small data",
    "full": "the largest setting of this table",
}
#: What a table is run at where neither it nor a person says more.
DEFAULT_SCALE = "smoke"
STAGES = ("search", "evaluate")
#: Of a scale: what is joined to the evaluation of an architecture that is named, not searched.
PUBLISHED = "published"
#: Begins where a column's value comes from, if it is 1 less what stands there.
COMPLEMENT = "1 - "
#: Ends a reported figure that was written down from memory of the paper.
UNVERIFIED = "(u)"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


@dataclass(frozen=True)
class Column:
    """One quantity of a table.

    Args:
        name: its key among a row's reported figures.
        title: what stands above it, without the unit.
        unit: one of `UNITS`.
        source: where the measured value stands, e.g. ``evaluate.test_error``: the stage, and the name of a metric of
            the best architecture or of a number of `result.json`; None: it is only reported.
        complement: whether 1 less that value is shown: an error where a run folder holds the accuracy.
        against: the row with which the values are compared; what is shown is then how probably they would differ so
            much, seed by seed, if neither row were better. None: the values themselves are shown.
    """

    name: str
    title: str
    unit: str
    source: tuple[str, str] | None
    complement: bool = False
    against: str | None = None


@dataclass(frozen=True)
class Figure:
    """What a paper reports, as it is written there; `verified` unless it was written down from memory."""

    text: str
    verified: bool


@dataclass(frozen=True)
class Work:
    """What makes a row at one scale.

    Args:
        search, evaluate: the overrides of `nas-run` and of `nas-evaluate`; None where there is nothing to do. An
            evaluation without a search names its architecture itself.
        seeds: how often all of it is done, with the seeds from 0.
    """

    search: tuple[str, ...] | None
    evaluate: tuple[str, ...] | None
    seeds: int

    @property
    def runs(self) -> bool:
        """Whether there is anything to run."""
        return self.search is not None or self.evaluate is not None


@dataclass(frozen=True)
class Row:
    """One line of a table. One whose work runs at no scale only cites.

    Args:
        name: of its folder.
        label: as the paper names it.
        reported: figures by column.
        work: by scale.
        without: columns whose measured value is of something else in this row, and is not shown.
    """

    name: str
    label: str
    reported: Mapping[str, Figure]
    work: Mapping[str, Work]
    without: frozenset[str] = frozenset()

    @property
    def cites(self) -> bool:
        """Whether no command makes it."""
        return not any(work.runs for work in self.work.values())


@dataclass(frozen=True)
class Plot:
    """Rows as points: the columns by name."""

    x: str
    y: str


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    Args:
        name: of its YAML.
        title: what it shows.
        paper: authors, short title, venue, arXiv id, and the table's number where it is known; None: a table of ours.
        note: what a reader must know to compare; None: nothing.
        columns, rows: in the order in which they are shown.
        scale: at which it is run where no other is asked for.
        plots: pictures of its page.
    """

    name: str
    title: str
    paper: str | None
    note: str | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    scale: str = DEFAULT_SCALE
    plots: tuple[Plot, ...] = ()


def names(config_dir: Path | None = None) -> list[str]:
    """The names of all tables, a user's folder included, sorted."""
    return sorted({path.stem for folder in _folders(config_dir) for path in folder.glob("*.yaml")})


def read(name: str, config_dir: Path | None = None) -> Table:
    """A table by its name, a user's own first. Raises `InputError` for an unknown name or a faulty file."""
    for folder in _folders(config_dir):
        path = folder / f"{name}.yaml"
        # What is no plain file name is no table's name: `../x` would leave the folder.
        if _NAME.fullmatch(name) and (content := read_config(path)) is not None:
            return _Reader(path).table(name, content)
    known = names(config_dir)
    raise InputError(f"{name}: no such table{nearest(name, known)}; there are {', '.join(known)}")


def _folders(config_dir: Path | None) -> list[Path]:
    return [root / GROUP for root in (config_dir, configs_folder()) if root is not None]


class _Reader:
    """Makes a table of what a file holds; every fault names the file and the key."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def table(self, name: str, content: Mapping[Any, Any]) -> Table:
        self._keys("", content, ("title", "columns", "scales", "rows"), ("paper", "note", "scale", "plots"))
        columns = tuple(self._column(key, part) for key, part in self._parts("columns", content["columns"]))
        scale = content.get("scale", DEFAULT_SCALE)
        if scale not in tuple(SCALES):
            self._fault(f"scale={scale}", f"must be one of {', '.join(SCALES)}{nearest(str(scale), tuple(SCALES))}")
        scales = content["scales"]
        self._keys("scales", scales, tuple(SCALES))
        for each, part in scales.items():
            self._keys(f"scales.{each}", part, ("seeds",), (*STAGES, PUBLISHED))
            self._keys(f"scales.{each}.{PUBLISHED}", part.get(PUBLISHED, {}), (), ("seeds", "evaluate"))
        rows = tuple(self._row(key, part, columns, scales) for key, part in self._parts("rows", content["rows"]))
        for column in columns:
            if column.against not in (None, *content["rows"]):
                known = nearest(str(column.against), tuple(content["rows"]))
                self._fault(f"columns.{column.name}.against={column.against}", f"must be one of the rows{known}")
        return Table(
            name,
            self._text("title", content["title"]),
            None if content.get("paper") is None else self._text("paper", content["paper"]),
            None if content.get("note") is None else self._text("note", content["note"]),
            columns,
            rows,
            scale,
            self._plots(content.get("plots", []), [column.name for column in columns]),
        )

    def _plots(self, content: Any, columns: Sequence[str]) -> tuple[Plot, ...]:
        if not isinstance(content, list):
            self._fault("plots", f"must be a list of {{x: COLUMN, y: COLUMN}}, not {content}")
        for number, part in enumerate(content):
            self._keys(f"plots.{number}", part, ("x", "y"))
            for axis, name in part.items():
                if name not in columns:
                    self._fault(
                        f"plots.{number}.{axis}={name}",
                        f"must be one of the columns {', '.join(columns)}{nearest(str(name), columns)}",
                    )
        return tuple(Plot(part["x"], part["y"]) for part in content)

    def _column(self, name: str, content: Any) -> Column:
        where = f"columns.{name}"
        self._keys(where, content, ("title", "unit"), ("from", "against"))
        unit = content["unit"]
        if unit not in UNITS:
            self._fault(f"{where}.unit={unit}", f"must be one of {', '.join(map(repr, UNITS))}")
        title = self._text(f"{where}.title", content["title"])
        if "from" not in content:
            return Column(name, title, unit, None)
        source = self._text(f"{where}.from", content["from"])
        stage, _, metric = source.removeprefix(COMPLEMENT).partition(".")
        if stage not in STAGES or not metric:
            self._fault(f"{where}.from={source}", "must be search.METRIC or evaluate.METRIC, or 1 - one of them")
        return Column(name, title, unit, (stage, metric), source.startswith(COMPLEMENT), content.get("against"))

    def _row(self, name: str, content: Any, columns: Sequence[Column], scales: Mapping[str, Any]) -> Row:
        where = f"rows.{name}"
        self._keys(where, content, ("label",), ("reported", "without", *STAGES, *SCALES))
        reported = content.get("reported", {})
        known = tuple(column.name for column in columns)
        self._keys(f"{where}.reported", reported, (), known)
        without = content.get("without", [])
        if not isinstance(without, list) or not all(name in known for name in without):
            self._fault(f"{where}.without={without}", f"must be a list of columns, of {', '.join(known)}")
        work = {}
        for scale in SCALES:
            own = content.get(scale, {}) or {}
            self._keys(f"{where}.{scale}", own, (), ("seeds", *STAGES))
            there_is_none = scale in content and content[scale] is None
            work[scale] = Work(None, None, 0) if there_is_none else self._work(where, content, own, scales[scale])
        return Row(
            name,
            self._text(f"{where}.label", content["label"]),
            {column: _figure(text) for column, text in reported.items()},
            work,
            frozenset(without),
        )

    def _work(self, where: str, row: Mapping[str, Any], own: Mapping[str, Any], scale: Mapping[str, Any]) -> Work:
        """A row's work at a scale: what is its own there, else what it has at every scale joined to the scale's."""

        def overrides(stage: str, *parts: Mapping[str, Any]) -> tuple[str, ...]:
            if stage in own:
                parts = (own,)
            return tuple(text for part in parts for text in self._overrides(f"{where}: {stage}", part.get(stage, [])))

        def wanted(stage: str) -> bool:
            return own[stage] is not None if stage in own else stage in row  # null: not at this scale

        search = overrides("search", scale, row) if wanted("search") else None
        usual = scale if search is not None else scale.get(PUBLISHED, {})
        evaluate = None
        if search is None and wanted("evaluate"):
            evaluate = overrides("evaluate", row, usual)  # the row names a recipe, which the scale then shortens
        elif search is not None and (wanted("evaluate") or ("evaluate" in usual and "evaluate" not in own)):
            evaluate = overrides("evaluate", usual, row)
        seeds = own.get("seeds", usual.get("seeds", scale["seeds"]))
        if type(seeds) is not int or seeds < 1:
            self._fault(f"{where}: seeds={seeds}", "must be a whole number of at least 1")
        return Work(search, evaluate, seeds)

    def _overrides(self, where: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(part, str) and "=" in part for part in value):
            self._fault(where, f"must be a list of overrides key=value, not {value}")
        return tuple(value)

    def _parts(self, where: str, value: Any) -> list[tuple[str, Any]]:
        if not isinstance(value, dict) or not value:
            self._fault(where, "must be a mapping from names, with one entry at least")
        for name in value:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                self._fault(f"{where}.{name}", "a name must be of lower-case letters, digits, '_', '-' and '.'")
        return list(value.items())

    def _keys(self, where: str, value: Any, required: Sequence[str], optional: Sequence[str] = ()) -> None:
        if not isinstance(value, dict):
            self._fault(where or "the file", f"must be a mapping, not {value}")
        prefix = f"{where}." if where else ""
        for key in value:
            if key not in (*required, *optional):
                self._fault(f"{prefix}{key}", f"no such key{nearest(str(key), (*required, *optional))}")
        for key in required:
            if key not in value:
                self._fault(f"{prefix}{key}", "is missing")

    def _text(self, where: str, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            self._fault(where, f"must be text, not {value}")
        return " ".join(value.split())

    def _fault(self, where: str, what: str) -> NoReturn:
        raise InputError(f"{self.path}: {where}: {what}")


def _figure(value: Any) -> Figure:
    text = str(value).strip()
    return Figure(text.removesuffix(UNVERIFIED).strip(), not text.endswith(UNVERIFIED))


def only(table: Table, wanted: Sequence[str]) -> list[str]:
    """The names of the rows that a user asks for. Raises `InputError` for one that there is not, or that only cites."""
    known = [row.name for row in table.rows if not row.cites]
    for name in wanted:
        require(
            name in known,
            f"rows={name}: no such row to run in {table.name}{nearest(name, known)}; there are {', '.join(known)}",
        )
    return list(wanted)
