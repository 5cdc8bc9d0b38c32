"""Numbers of a search's trials as columns of a table: the best after so many, how many a score took, what all cost."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from nas_cli.report.progress import metric
from nas_cli.report.top import top_so_far
from nas_cli.report.trace import number

Trials = Sequence[Mapping[str, Any]]

SCORE = "best"
WORKERS = "worker_seconds"
_TOP = re.compile(r"top_(\d+)(?:_at_(\d+))?")
_AT = re.compile(r"(\w+)_at_(\d+)")
_TO = re.compile(r"(evaluations|seconds)_to_(-?\d+(?:\.\d+)?)")


def reduction(name: str) -> Callable[[Trials], float | None] | None:
    """What a column's source stands for, by its name; None where it is no number of the trials.

    ``best_at_30``: the best score of the first 30 trials; ``regret_at_30``: the metric `regret` of the trial with it.
    ``top_5``: the mean score of the 5 best distinct architectures; ``top_5_at_100``: of those of the first 100 trials.
    ``evaluations_to_-0.5``: how many trials it took until a score was at least -0.5; ``seconds_to_-0.5``: what these
    cost. They are None where a run has fewer trials, or never got there.
    ``worker_seconds``: how long workers were busy with trials, all of them together, also with those that failed.
    """
    if name == WORKERS:
        return _busy
    if found := _TOP.fullmatch(name):
        return partial(_top, wanted=int(found[1]), count=int(found[2] or 0))
    if found := _AT.fullmatch(name):
        wanted, count = found[1], int(found[2])
        return lambda trials: _best(trials, wanted, count)
    if found := _TO.fullmatch(name):
        kind, score = found[1], float(found[2])
        return lambda trials: _until(trials, kind, score)
    return None


def _top(trials: Trials, wanted: int, count: int) -> float | None:
    """0 trials: all."""
    points = top_so_far(trials[: count or None], wanted) if len(trials) >= count else []
    return points[-1][1] if points else None


def _best(trials: Trials, wanted: str, count: int) -> float | None:
    if len(trials) < count:
        return None
    scored = [(score, trial) for trial in trials[:count] if (score := number(trial.get("score"))) is not None]
    if not scored:
        return None
    score, best = max(scored, key=lambda pair: pair[0])
    return score if wanted == SCORE else metric(best, wanted)


def _busy(trials: Trials) -> float | None:
    spent = [(number(trial.get("started")), number(trial.get("finished"))) for trial in trials]
    return sum(end - start for start, end in spent if start and end) if spent else None


def _until(trials: Trials, kind: str, wanted: float) -> float | None:
    seconds = 0.0
    for count, trial in enumerate(trials, start=1):
        seconds += number(trial.get("cost_seconds")) or 0.0
        score = number(trial.get("score"))
        if score is not None and score >= wanted:
            return seconds if kind == "seconds" else float(count)
    return None
