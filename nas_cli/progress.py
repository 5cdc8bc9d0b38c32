"""What a person sees while a run works: one bar with the figures that matter, and log lines above it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm


class Bar:
    """A progress bar over steps."""

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar

    def advance(self, position: int, figures: Mapping[str, float]) -> None:
        """Move to `position`; show `figures` (fractions named …accuracy… or …error are shown in percent)."""
        if figures:
            self._bar.set_postfix_str(", ".join(_figure(*item) for item in figures.items()), refresh=False)
        self._bar.update(position - self._bar.n)


class ProgressBar:
    """Makes progress bars on standard error; `show=False` makes silent ones."""

    def __init__(self, label: str, show: bool = True) -> None:
        self.label = label
        self.show = show

    @contextmanager
    def bar(self, total: int | None, position: int) -> Iterator[Bar]:
        """A bar for the block's duration, which starts at `position` where a run is resumed."""
        with tqdm(
            total=total,
            initial=position,
            desc=self.label,
            disable=not self.show,
            dynamic_ncols=True,
            mininterval=0.5 if sys.stderr.isatty() else 10.0,  # a log file should not fill with redrawn bars
        ) as bar:
            yield Bar(bar)


def _figure(name: str, value: float) -> str:
    if "accuracy" in name or name.endswith("error"):
        return f"{name.replace('_', ' ')} {100 * value:.2f}%"
    return f"{name.replace('_', ' ')} {value:.4g}"


class _AboveTheBar(logging.Handler):
    """Writes log lines through tqdm, so that they do not cut through a bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


@contextmanager
def logging_to(folder: Path, show: bool = True) -> Iterator[None]:
    """Send the package's log to `run.log` in the folder and, with `show`, to the terminal, for the block's duration."""
    logger = logging.getLogger("nas_cli")
    file = logging.FileHandler(folder / "run.log", encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handlers: list[logging.Handler] = [file]
    if show:
        terminal = _AboveTheBar()
        terminal.setFormatter(logging.Formatter("%(message)s"))
        handlers.append(terminal)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(level)
        logger.propagate = propagate
