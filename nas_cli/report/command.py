"""The command `nas-report`. It imports neither torch nor Hydra: reading results must feel immediate."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nas_cli.errors import InputError, NasError
from nas_cli.report.hindsight import RULE, hindsight, told
from nas_cli.report.overlay import Member
from nas_cli.report.page import PAGE
from nas_cli.report.runs import find_runs
from nas_cli.report.sweep_page import read_members, write_page
from nas_cli.report.table import data_for_each, data_for_summary, draw_summary, write_csv

EXAMPLES = """\
examples:
  nas-report outputs                                 all runs below outputs/, seeds averaged
  nas-report outputs multirun --csv results.csv      the same and all sweeps; all digits go to results.csv
  nas-report multirun --each                         one row a run

next: nas-evaluate run=RUN_DIR trains the best architecture of a run from scratch and tests it
"""


def main(argv: Sequence[str] | None = None) -> None:
    """`nas-report`; `argv` without the program's name. Leaves with exit code 2 on bad input."""
    arguments = _parser().parse_args(argv)
    try:
        _report(arguments.paths, arguments.csv, arguments.html, arguments.each)
    except NasError as error:
        print(f"nas-report: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _report(paths: Sequence[Path], csv: Path | None, html: Path | None, each: bool) -> None:
    runs = find_runs(paths)
    rows = data_for_each(runs) if each else data_for_summary(runs)
    if csv is not None:
        try:
            write_csv(rows, csv)
        except OSError as error:
            raise InputError(f"--csv {csv}: cannot be written ({error.strerror})") from None
    members = read_members(runs)
    page = _write_page(members, paths, html)
    print(draw_summary(rows), end="")
    print("".join(f"{line}\n" for line in ["", *_hindsight(members), page]), end="")


def _write_page(members: Sequence[Member], paths: Sequence[Path], html: Path | None) -> str:
    """Write the page, and say where it is."""
    page = _page_of(paths) if html is None else html
    try:
        write_page(members, page)
    except OSError as error:
        if html is not None:
            raise InputError(f"--html {html}: cannot be written ({error.strerror})") from None
        # Results that may only be read are no reason not to show their table.
        return f"no page: {page}: cannot be written ({error.strerror}); --html FILE puts it elsewhere"
    return f"page: {page}"


def _page_of(paths: Sequence[Path]) -> Path:
    """In the folder that was named, or that which holds all that were."""
    if len(paths) == 1:
        return paths[0] / PAGE
    return Path(os.path.relpath(os.path.commonpath([path.resolve() for path in paths]))) / PAGE


def _hindsight(members: Sequence[Member]) -> list[str]:
    """A line for each gradient search: what the stopping rule of DARTS+ would have made of it."""
    lines = [
        f"  {member.run.strategy} seed {member.run.seed}: {told(found)}"
        for member in members
        if (found := hindsight(member.run, member.trace)) is not None
    ]
    rule = f"end at {RULE.limit} skips in a normal cell, from epoch {RULE.first_epoch + 1} on"
    return [f"what DARTS+ ({rule}) would have chosen", *lines, ""] if lines else []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nas-report",
        description="Show the results of searches and evaluations as one table, averaged over seeds, and as a page.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="a run folder, or any folder above some")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write the rows there too; errors as fractions")
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help=f"where the page goes; else {PAGE} in PATH, or above all of them"
    )
    parser.add_argument("--each", action="store_true", help="one row a run instead of one for all seeds")
    return parser


if __name__ == "__main__":
    main()
