"""The command `nas-report`. It imports neither torch nor Hydra: reading results must feel immediate."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nas_cli.errors import InputError, NasError
from nas_cli.report.runs import find_runs
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
        _report(arguments.paths, arguments.csv, arguments.each)
    except NasError as error:
        print(f"nas-report: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _report(paths: Sequence[Path], csv: Path | None, each: bool) -> None:
    runs = find_runs(paths)
    rows = data_for_each(runs) if each else data_for_summary(runs)
    if csv is not None:
        try:
            write_csv(rows, csv)
        except OSError as error:
            raise InputError(f"--csv {csv}: cannot be written ({error.strerror})") from None
    print(draw_summary(rows), end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nas-report",
        description="Show the results of searches and evaluations as one table, averaged over seeds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="a run folder, or any folder above some")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write the rows there too; errors as fractions")
    parser.add_argument("--each", action="store_true", help="one row a run instead of one for all seeds")
    return parser


if __name__ == "__main__":
    main()
