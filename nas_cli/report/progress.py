"""How a black-box search got on: its simple regret, and what fewer random trials would have found."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from nas_cli.report.chart import Box, Chart, Line, Point
from nas_cli.report.trace import Trace, number

REGRET = "regret"
#: Where smaller regrets are drawn: an axis of powers of ten has no 0.
LEAST_REGRET = 1e-8
EXPERIMENTS = "experiment size, trials"
FEWEST_TRIALS = 16  # of which an efficiency curve says something
MOST_EXAMPLES = 10**6  # more than any data set has: a common denominator beyond is none


def best_so_far(trace: Trace) -> list[Point]:
    """(evaluations, best score so far) where it rose, and at the end."""
    points: list[Point] = []
    for index, trial in enumerate(trace.trials, start=1):
        score = number(trial.get("score"))
        if score is not None and (not points or score > points[-1][1]):
            points.append((index, score))
    return _to_the_end(points, trace)


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


def efficiency_chart(
    trials: Sequence[Mapping[str, Any]], title: str = "Random-experiment efficiency", grid: float | None = None
) -> Chart | None:
    """Test accuracies that experiments of 1, 2, 4, … of some independent trials find, as boxes; None for too few.

    Args:
        trials: those without a validation and a test accuracy are left out.
        grid: the test accuracy that a grid search found, to compare with.

    Reference: Bergstra & Bengio, JMLR 13, 2012, sec. 2 and figure 2.
    """
    both = ((metric(trial, "valid_accuracy"), metric(trial, "test_accuracy")) for trial in trials)
    pairs = [(valid, test) for valid, test in both if valid is not None and test is not None]
    if len(pairs) < FEWEST_TRIALS:
        return None
    # Imported here: reading other results needs no SciPy.
    from nas_cli.report.efficiency import Loss, efficiency_curve

    def losses(accuracies: Sequence[float], examples: int | None) -> list[Loss]:
        errors = [min(max(1 - accuracy, 0.0), 1.0) for accuracy in accuracies]
        return [Loss(error, 0.0) if examples is None else Loss.zero_one(error, examples) for error in errors]

    valid, test = zip(*pairs, strict=True)
    of_valid, of_test = examples_behind(valid), examples_behind(test)
    curve = efficiency_curve(losses(valid, of_valid), losses(test, of_test))
    boxes = [_box(s, [1 - loss for loss in found]) for s, found in curve]
    seen = "exactly" if of_valid is None else f"on {of_valid} examples"
    note = (
        f"{len(pairs)} trials in disjoint experiments: boxes between the quartiles, whiskers to the extremes. Each "
        f"gives the mean test accuracy by how probably each trial is the best, validation being known {seen}."
    )
    return Chart(
        title,
        EXPERIMENTS,
        "test accuracy of its best, %",
        [Line("median experiment", [(box.x, box.middle) for box in boxes])],
        percent=True,
        note=note,
        logarithmic=True,
        boxes=boxes,
        levels=[] if grid is None else [(grid, "grid")],
    )


def examples_behind(accuracies: Sequence[float]) -> int | None:
    """On how many examples accuracies were measured: the least count of which all are shares; None: on too many."""
    count = math.lcm(*(Fraction(accuracy).limit_denominator(100_000).denominator for accuracy in accuracies))
    return count if 1 < count <= MOST_EXAMPLES else None


def _box(s: int, values: Sequence[float]) -> Box:
    low, lower, middle, upper, high = five_numbers(values)
    return Box(float(s), low, lower, middle, upper, high)


def five_numbers(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Least, lower quartile, median, upper quartile and greatest."""
    if len(values) == 1:
        return (values[0],) * 5
    lower, middle, upper = statistics.quantiles(values, n=4, method="inclusive")
    return min(values), lower, middle, upper, max(values)
