"""From a table at a scale to the commands that make it, and the folders that they write."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_cli.config import TOP_LEVEL
from nas_cli.errors import nearest, require
from nas_cli.journal import read_json, write_json
from nas_cli.report.runs import CONFIG, RESULT
from nas_cli.tables.definition import Row, Table

ROOT = Path("outputs", "tables")
PROGRAMS = {"search": "nas-run", "evaluate": "nas-evaluate"}
#: What is told to `nas-table` itself; anything else is an override of its runs.
OPTIONS = ("scale", "show", "rows", "seeds", "jobs")
SET_BY_ROWS = {"run", "architecture", "decisions", "command", "config_dir", "names"}
RECORD = "overrides.json"
#: They say where a run computes and finds its data, and change no figure.
ASIDE = ("hardware.", "dataset.root=", "dataset.download=", "checkpoint_seconds=")


@dataclass(frozen=True)
class Stage:
    """One run: a search or an evaluation.

    Args:
        name: ``search`` or ``evaluate``.
        folder: the run folder.
        overrides: what is told to its program, without the folder.
        flags: before them.
    """

    name: str
    folder: Path
    overrides: tuple[str, ...]
    flags: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        return (self.folder / RESULT).exists()

    @property
    def begun(self) -> bool:
        return (self.folder / CONFIG).exists()

    def command(self) -> list[str]:
        """The command line that begins this run."""
        return [PROGRAMS[self.name], *self.flags, *self.overrides, f"hydra.run.dir={self.folder}"]

    def next_command(self) -> list[str] | None:
        """The command line that finishes it from whatever its folder holds; None where it has finished."""
        if self.finished:
            return None
        return [PROGRAMS[self.name], f"resume={self.folder}"] if self.begun else self.command()


@dataclass(frozen=True)
class Job:
    """All that one seed of one row needs, one run after the other."""

    row: str
    seed: int
    folder: Path
    stages: tuple[Stage, ...]

    @property
    def finished(self) -> bool:
        return all(stage.finished for stage in self.stages)

    @property
    def begun(self) -> bool:
        return any(stage.begun for stage in self.stages)

    def other_settings(self) -> str | None:
        """Why the runs that lie there are none of this job, or None: they were made by other overrides."""
        path = self.folder / RECORD
        if not path.exists():
            return None
        recorded = read_json(path)
        for stage in self.stages:
            if stage.begun and recorded.get(stage.name) != _told(stage.overrides):
                return f"{stage.folder} was made with other settings; move it away to run this row anew"
        return None

    def record(self) -> None:
        """Keep what the runs are about to be told."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / RECORD, {stage.name: _told(stage.overrides) for stage in self.stages})


def _told(overrides: Iterable[str]) -> list[str]:
    return [override for override in overrides if not override.startswith((*ASIDE, "run="))]


def folder_of(table: Table, scale: str) -> Path:
    """Where all runs of a table at a scale are, and the written tables."""
    return ROOT / table.name / scale


def jobs(
    table: Table, scale: str, extra: Sequence[str] = (), seeds: int | None = None, config_dir: Path | None = None
) -> list[Job]:
    """The jobs of all rows that have something to run at a scale, row by row.

    Args:
        table, scale: which.
        extra: a user's overrides; each goes to the runs whose program knows its section.
        seeds: how many instead of the table's own number.
        config_dir: a user's folder of further groups, given on to the runs.
    """
    beyond = shared_out(extra)
    flags = () if config_dir is None else ("--config-dir", str(config_dir))
    return [
        _job(folder_of(table, scale) / row.name / str(seed), row, scale, seed, beyond, flags)
        for row in table.rows
        if row.work[scale].runs
        for seed in range(seeds or row.work[scale].seeds)
    ]


def _job(folder: Path, row: Row, scale: str, seed: int, extra: Mapping[str, list[str]], flags: tuple[str, ...]) -> Job:
    work = row.work[scale]
    stages = []
    if work.search is not None:
        told = (*work.search, *extra["search"], f"seed={seed}")
        stages.append(Stage("search", folder / "search", told, flags))
    if work.evaluate is not None:
        found = () if work.search is None else (f"run={folder / 'search'}",)
        told = (*found, *work.evaluate, *extra["evaluate"], f"seed={seed}")
        stages.append(Stage("evaluate", folder / "evaluate", told, flags))
    return Job(row.name, seed, folder, tuple(stages))


def shared_out(overrides: Sequence[str]) -> dict[str, list[str]]:
    """A user's overrides by stage. Raises `InputError` for one of a section that no program knows, or that rows set."""
    shares: dict[str, list[str]] = {stage: [] for stage in PROGRAMS}
    for override in overrides:
        section = override.partition("=")[0].lstrip("+~").replace("/", ".").partition(".")[0]
        require(section != "seed", f"{override}: the seeds of a row are counted from 0; say how many with seeds=")
        known = {key for keys in TOP_LEVEL.values() for key in keys} - SET_BY_ROWS
        require(section in known, f"{section}: no such key{nearest(section, (*known, *OPTIONS))}")
        for stage in PROGRAMS:
            if section in TOP_LEVEL[stage]:
                shares[stage].append(override)
    return shares


def listing(jobs: Iterable[Job]) -> str:
    """The command lines, ready for a shell, in the order in which they are run."""
    return "\n".join(shlex.join(stage.command()) for job in jobs for stage in job.stages)
