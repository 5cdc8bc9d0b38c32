"""What a person sees while a table's runs work: a line for each that ends, and below it what the running ones say."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

REFRESH_SECONDS = 1.0
#: Enough of a log's end to hold a whole progress bar.
TAIL_BYTES = 2000


class Terminal:
    """Writes to standard error, so that the table alone goes into a pipe or a file."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = 0.0

    def tell(self, line: str) -> None:
        """A line that stays."""
        self._write(f"{line}\n")

    def show(self, running: Sequence[tuple[str, Path]]) -> None:
        """In a terminal, what each of some logs (with its title) said last, in one line that does not stay."""
        if not self._stream.isatty() or time.monotonic() - self._shown < REFRESH_SECONDS:
            return
        self._shown = time.monotonic()
        width = shutil.get_terminal_size().columns - 1
        said = (f"{title}: {last_line(log)}" for title, log in running)
        self._write("   ".join(part[: width // max(1, len(running)) - 3] for part in said)[:width])

    def _write(self, text: str) -> None:
        clear = "\r\x1b[K" if self._stream.isatty() else ""
        print(f"{clear}{text}", end="", file=self._stream, flush=True)


def last_line(log: Path) -> str:
    """The last line of a log that says something; a progress bar ends its lines with a carriage return."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    return lines[-1] if lines else "starting"
