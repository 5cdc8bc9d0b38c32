"""What lies in a table's folders, beside what is reported: the rows that are then drawn and written."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nas_cli.errors import InputError
from nas_cli.report.runs import Run, read_run
from nas_cli.report.trace import read_trace
from nas_cli.tables.comparison import paired_p
from nas_cli.tables.definition import Column, Figure, Row, Table
from nas_cli.tables.plan import Job
from nas_cli.tables.reductions import reduction

NOT_RUN, FAILED, UNFINISHED = "not run", "failed", "unfinished"


@dataclass(frozen=True)
class Measured:
    """Mean and sample standard deviation (None for one value) over `count` seeds, as run folders hold them."""

    mean: float
    deviation: float | None
    count: int


@dataclass(frozen=True)
class Line:
    """One row of a table with what was measured for it.

    Args:
        row: what is reported.
        measured: by column; lacks those that no run gave.
        stages: of the runs that make it at this scale.
        finished, wanted: numbers of seeds; both 0 where nothing is to be run at this scale.
        state: what to show in place of a figure that is missing: `NOT_RUN`, `FAILED`, `UNFINISHED`, or ``""``.
        datasets, devices: of its runs.
        problems: of its seeds, each a line.
    """

    row: Row
    measured: Mapping[str, Measured]
    stages: frozenset[str]
    finished: int
    wanted: int
    state: str
    datasets: tuple[str, ...]
    devices: tuple[str, ...]
    problems: tuple[str, ...]

    def reported(self, column: Column) -> Figure | None:
        return self.row.reported.get(column.name)


def data_for_table(table: Table, jobs: Sequence[Job], failed: Mapping[tuple[str, int], str]) -> list[Line]:
    """The lines of a table.

    Args:
        table: its rows are all shown.
        jobs: of all rows that have something to run.
        failed: why jobs failed just now, by row and seed.
    """
    values: dict[str, dict[str, dict[int, float]]] = {}
    lines = []
    for row in table.rows:
        line, values[row.name] = _line(table, row, [job for job in jobs if job.row == row.name], failed)
        lines.append(line)
    return [replace(line, measured=_measured(table, line, values)) for line in lines]


def data_for_page(table: Table, jobs: Sequence[Job]) -> list[Run]:
    """The searches behind the rows, finished or not, each called as its row is.

    Those that others' settings made, or that cannot be read, are left out: the table's lines tell of them.
    """
    labels = {row.name: row.label for row in table.rows}
    runs = []
    for job in jobs:
        found = [stage for stage in job.stages if stage.name == "search" and (stage.begun or stage.finished)]
        if not found or job.other_settings():
            continue
        try:
            runs.append(replace(read_run(found[0].folder), label=labels[job.row]))
        except InputError:
            continue
    return runs


def _line(
    table: Table, row: Row, jobs: Sequence[Job], failed: Mapping[tuple[str, int], str]
) -> tuple[Line, dict[str, dict[int, float]]]:
    """A row's line, with nothing measured yet, and its values by column and seed."""
    problems: list[str] = []
    done: dict[int, dict[str, Run]] = {}
    for job in jobs:
        reason = failed.get((job.row, job.seed)) or job.other_settings()
        if reason is None and job.finished:
            try:
                done[job.seed] = {stage.name: read_run(stage.folder) for stage in job.stages}
            except InputError as error:  # a damaged result
                reason = str(error)
        if reason is not None:
            problems.append(f"{row.name}, seed {job.seed}: {reason}")
    values = {}
    for column in (column for column in table.columns if column.name not in row.without):
        found = {seed: value for seed, runs in done.items() if (value := _value(column, runs)) is not None}
        if found and len(found) == len(done):
            values[column.name] = found
    runs = [run for by_stage in done.values() for run in by_stage.values()]
    line = Line(
        row=row,
        measured={},
        stages=frozenset(stage.name for job in jobs for stage in job.stages),
        finished=len(done),
        wanted=len(jobs),
        state=_state(jobs, len(done), bool(problems)),
        datasets=_different(run.dataset for run in runs),
        devices=_different(run.result.get("device") for run in runs),
        problems=tuple(problems),
    )
    return line, values


def _measured(table: Table, line: Line, values: Mapping[str, Mapping[str, Mapping[int, float]]]) -> dict[str, Measured]:
    """What is shown of a row's values, which stand by row, column and seed."""
    measured = {}
    for column in table.columns:
        ours = values[line.row.name].get(column.name)
        if ours is None:
            continue
        if column.against is None:
            deviation = statistics.stdev(ours.values()) if len(ours) > 1 else None
            measured[column.name] = Measured(statistics.fmean(ours.values()), deviation, len(ours))
        elif column.against != line.row.name:
            p = paired_p(ours, values[column.against].get(column.name, {}))
            if p is not None:
                measured[column.name] = Measured(p[0], None, p[1])
    return measured


def _state(jobs: Sequence[Job], done: int, with_problems: bool) -> str:
    if not jobs or done:
        return ""
    if with_problems:
        return FAILED
    return UNFINISHED if any(job.begun for job in jobs) else NOT_RUN


def _different(names: Iterable[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(name) for name in names if name))


def _value(column: Column, runs: Mapping[str, Run]) -> float | None:
    """A column's value of one seed: a metric of the best architecture, a number of the result, or one of its trials."""
    if column.source is None or column.source[0] not in runs:
        return None
    run, name = runs[column.source[0]], column.source[1]
    value = run.metrics.get(name, run.result.get(name))
    if value is None and (of_trials := reduction(name)) is not None:
        value = of_trials(read_trace(run.folder).trials)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return 1 - value if column.complement else value
