"""The command `nas-table`. Listing and showing import neither torch nor Hydra; rows run in processes of their own."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_cli.errors import InputError, Interrupted, NasError, nearest, require
from nas_cli.journal import write_atomically
from nas_cli.report.page import PAGE
from nas_cli.report.sweep_page import read_members, write_page
from nas_cli.tables import definition
from nas_cli.tables.definition import SCALES, Table
from nas_cli.tables.draw import draw_markdown, draw_table, write_csv
from nas_cli.tables.execute import run
from nas_cli.tables.plan import Job, folder_of, jobs, listing
from nas_cli.tables.plots import plots_page, plots_section
from nas_cli.tables.results import data_for_page, data_for_table
from nas_cli.tables.terminal import Terminal

SHOW = ("run", "results", "commands")
HELP = """\
nas-table - runs the rows of a paper's table and prints what is reported beside what was measured

Usage: nas-table [NAME] [option=value] ...
  nas-table                                        lists the tables
  nas-table darts-cifar10                          tiny runs that show that every row works
  nas-table differentiable-small jobs=2            runs at that table's own scale, small
  nas-table darts-cifar10 scale=full show=commands
  nas-table darts-cifar10 scale=full dataset.root=/data hardware.device=cuda

Options:
  scale=smoke                        smoke: seconds; small: minutes to hours; full: the paper's own setting;
                                     tables of ours may begin with small: the list says so
  show=run                           results: only what lies there already; commands: only what would be run
  rows=a,b                           only these rows (their folders' names)
  seeds=N                            instead of the table's own number
  jobs=1                             rows that are run at a time
  any other key=value                is told to every run that knows such a key
  --config-dir DIR                   your own tables, in DIR/table, and your own groups and classes

What has finished is not run again and what was interrupted goes on, so a table can be stopped at any time.
Runs, table.md, table.csv and report.html, the page of all searches, are in outputs/tables/NAME/SCALE/.
Exit code 1: a row failed; the others are shown.
"""


@dataclass(frozen=True)
class _Options:
    scale: str | None
    show: str
    rows: list[str]
    seeds: int | None
    jobs: int
    extra: list[str]


def main(argv: Sequence[str] | None = None) -> None:
    """`nas-table`; `argv` without the program's name."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C
    try:
        code = _main(list(sys.argv[1:] if argv is None else argv))
    except NasError as error:
        print(f"nas-table: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print("nas-table: interrupted", file=sys.stderr)
        code = Interrupted.exit_code
    except OSError as error:
        print(f"nas-table: {error.filename}: {error.strerror}", file=sys.stderr)
        code = InputError.exit_code
    sys.exit(code)


def _main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="nas-table", add_help=False, allow_abbrev=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--config-dir", "-cd", type=Path)
    flags, words = parser.parse_known_args(arguments)
    if flags.help:
        print(HELP, end="")
        return 0
    config_dir = flags.config_dir and flags.config_dir.resolve()
    require(config_dir is None or config_dir.is_dir(), f"--config-dir {flags.config_dir}: no such folder")
    unknown = [word for word in words if word.startswith("-")]
    require(not unknown, f"{' '.join(unknown)}: no such flag; see nas-table --help")
    named = [word for word in words if "=" not in word]
    require(len(named) <= 1, f"{' '.join(named)}: one table at a time")
    options = _options([word for word in words if "=" in word])
    if not named:
        print(_listed(config_dir))
        return 0
    table = definition.read(named[0], config_dir)
    scale = options.scale or table.scale
    planned = jobs(table, scale, options.extra, options.seeds, config_dir)
    wanted = definition.only(table, options.rows) if options.rows else [row.name for row in table.rows]
    to_run = [job for job in planned if job.row in wanted]
    if options.show == "commands":
        print(listing(to_run))
        return 0
    again = " ".join(["nas-table", *arguments])
    return _run_and_show(table, scale, planned, to_run if options.show == "run" else [], options.jobs, again)


def _run_and_show(table: Table, scale: str, planned: list[Job], to_run: list[Job], parallel: int, again: str) -> int:
    failed: dict[tuple[str, int], str] = {}
    interrupted = None
    try:
        failed = run(to_run, parallel, Terminal())
    except Interrupted as stop:
        interrupted = Interrupted(f"{stop}; go on with: {again}")
    lines = data_for_table(table, planned, failed)
    print(draw_table(table, scale, lines), end="")
    folder = folder_of(table, scale)
    if folder.exists():
        write_atomically(folder / "table.md", draw_markdown(table, scale, lines).encode())
        write_csv(table, scale, lines, folder / "table.csv")
        print(f"\nFiles: {folder}/table.md, table.csv, and a folder for each row")
        title, plots = f"{table.title} (scale {scale})", plots_section(table, lines)
        if searches := data_for_page(table, planned):
            write_page(read_members(searches), folder / PAGE, title, plots)
        elif plots:
            write_atomically(folder / PAGE, plots_page(title, plots).encode())
        if searches or plots:
            print(f"page: {folder / PAGE}")
    if interrupted is not None:
        raise interrupted
    return 1 if any(line.problems for line in lines) else 0


def _options(words: Sequence[str]) -> _Options:
    given = {key: value for key, _, value in (word.partition("=") for word in words)}
    return _Options(
        _choice("scale", given.pop("scale"), tuple(SCALES)) if "scale" in given else None,
        _choice("show", given.pop("show", "run"), SHOW),
        [name for name in given.pop("rows", "").split(",") if name],
        _count("seeds", given.pop("seeds")) if "seeds" in given else None,
        _count("jobs", given.pop("jobs", "1")),
        [f"{key}={value}" for key, value in given.items()],
    )


def _choice(key: str, value: str, allowed: Sequence[str]) -> str:
    require(value in allowed, f"{key}={value}: must be one of {', '.join(allowed)}{nearest(value, allowed)}")
    return value


def _count(key: str, value: str) -> int:
    require(value.isdecimal() and int(value) >= 1, f"{key}={value}: must be a whole number of at least 1")
    return int(value)


def _listed(config_dir: Path | None) -> str:
    tables = [definition.read(name, config_dir) for name in definition.names(config_dir)]
    width = max(len(table.name) for table in tables)
    lines = [f"{table.name:<{width}}  {table.scale:<5}  {table.title}" for table in tables]
    return "\n".join([*lines, "", "nas-table NAME runs one at the scale beside its name; nas-table --help says more"])


if __name__ == "__main__":
    main()
