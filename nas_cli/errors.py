"""What can go wrong, each kind with its exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NasError(Exception):
    """A failure that is told in one line, without a traceback."""

    exit_code = 1


class InputError(NasError):
    """A bad configuration or bad input: an unknown key, a missing file, a corrupt checkpoint."""

    exit_code = 2


class CombinationError(InputError):
    """Parts that do not go together; the message names them all."""


class DivergedError(NasError):
    """A loss became NaN or infinite; the last good state is kept in the run folder."""


class Interrupted(NasError):  # noqa: N818  (stopping is no error)
    """The run was stopped by a signal, with its state saved."""

    exit_code = 130


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A hint `` (did you mean x?)`` for a misspelt name, or an empty string where nothing is near."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def require(condition: bool, message: str) -> None:
    """Raise `InputError` with `message` unless `condition` holds."""
    if not condition:
        raise InputError(message)
