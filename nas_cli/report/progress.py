"""How a black-box search got on: its best score and its simple regret so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    points: list[Point] = []
    for index, trial in enumerate(trace.trials, start=1):
        score = number(trial.get("score"))
        if score is not None and (not points or score > points[-1][1]):
            points.append((index, score))
    return _to_the_end(points, trace)


def best_over_time(trace: Trace) -> list[Point]:
    """(seconds of judging so far, best score so far) where it rose, and at the end; none where judging takes no time.

    Seconds are those of all workers together, and of failed trials too; the search's own are not among them.
    """
    spent, points = 0.0, list[Point]()
    for trial in trace.trials:
        spent += number(trial.get("cost_seconds")) or 0.0
        score = number(trial.get("score"))
        if score is not None and (not points or score > points[-1][1]):
            points.append((spent, score))
    if spent < LEAST_SECONDS or not points:
        return []
    return [*points, (spent, points[-1][1])] if points[-1][0] < spent else points


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
    return _to_the_end(points, trace)


def _to_the_end(points: list[Point], trace: Trace) -> list[Point]:
    if points and points[-1][0] < len(trace.trials):
        points.append((len(trace.trials), points[-1][1]))
    return points


def metric(trial: Mapping[str, Any], name: str) -> float | None:
    """A metric of a trial; None where there is none."""
    metrics = trial.get("metrics")
    return number(metrics.get(name)) if isinstance(metrics, dict) else None
