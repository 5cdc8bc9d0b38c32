"""An estimator whose process is killed in the middle of a measurement; in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.estimators.base import Estimator, Measurement


class Mortal(Estimator):
    """Twice the value; at `fatal` it kills its own process, as often as `deaths` says in all.

    Args:
        notes: a folder where each death and each preparation leaves a file.
        fit: whether it can get ready.
    """

    def __init__(self, notes: Path, fatal: float | None = None, deaths: int = 1, fit: bool = True) -> None:
        self.notes = notes
        self.fatal = fatal
        self.deaths = deaths
        self.fit = fit

    def prepare(self) -> None:
        if not self.fit:
            raise RuntimeError("no licence\nhere")
        (self.notes / f"prepared-{os.getpid()}").touch()

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        value = float(architecture.decisions[0])  # type: ignore[arg-type]
        if value == 13:
            raise ValueError("unlucky")
        if value == 14:
            raise InputError("no data")
        if value == 15:
            raise ParticularError(1, 2)
        if value == self.fatal and len(list(self.notes.glob("died-*"))) < self.deaths:
            (self.notes / f"died-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if value == 17:
            (self.notes / f"asleep-{os.getpid()}").touch()
            time.sleep(3600)
        if value == 16:
            return Measurement(1.0, {"what": lambda: 1.0})  # type: ignore[dict-item]
        return Measurement(2 * value, {"budget": budget or 0.0})


class ParticularError(Exception):
    """It has two arguments and one text, so that it cannot be pickled and made anew."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")
