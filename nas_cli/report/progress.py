"""How a black-box search got on: its best score and its simple regret so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from nas_cli.report.chart import Point
from nas_cli.report.trace import Trace, number

REGRET = "regret"
#: Judging that took fewer seconds than this altogether is no matter of time: a formula, or a table.
LEAST_SECONDS = 1.0
#: Where smaller regrets are drawn: an axis of powers of ten has no 0.
LEAST_REGRET = 1e-8


def best_so_far(trace: Trace) -> list[Point]:
    """(evaluations, best score so far) where it rose, and at the end."""
    return _rises(trace, range(1, len(trace.trials) + 1))


def best_over_time(trace: Trace) -> list[Point]:
    """(seconds of judging so far, best score so far) where it rose, and at the end; none where judging takes no time.

    Seconds are those of all workers together, and of failed trials too; the search's own are not among them.
    """
    spent = list(accumulate(number(trial.get("cost_seconds")) or 0.0 for trial in trace.trials))
    return _rises(trace, spent) if spent and spent[-1] >= LEAST_SECONDS else []


def _rises(trace: Trace, places: Sequence[float]) -> list[Point]:
    """(place of the trial, best score so far) where it rose, and at the end."""
    points: list[Point] = []
    for place, trial in zip(places, trace.trials, strict=True):
        score = number(trial.get("score"))
        if score is not None and (not points or score > points[-1][1]):
            points.append((place, score))
    return _to(places[-1], points) if points else []


def regret_so_far(trace: Trace) -> list[Point]:
    """(evaluations, regret of the trial with the best score so far) where it changed, and at the end.

    It is known where the space knows its optimum. Under noise it can rise: the best score need not be the best point's.
    """
    best, points = -math.inf, list[Point]()
    for index, trial in enumerate(trace.trials, start=1):
        score, regret = number(trial.get("score")), metric(trial, REGRET)
        if score is not None and score > best and regret is not None:
            best = score
            points.append((index, max(regret, LEAST_REGRET)))
    return _to(len(trace.trials), points) if points else []


def _to(end: float, points: list[Point]) -> list[Point]:
    """Points, at least one, with their last value held until the end."""
    return [*points, (end, points[-1][1])] if points[-1][0] < end else points


def metric(trial: Mapping[str, Any], name: str) -> float | None:
    """A metric of a trial; None where there is none."""
    metrics = trial.get("metrics")
    return number(metrics.get(name)) if isinstance(metrics, dict) else None
