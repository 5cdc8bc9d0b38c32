"""The random-experiment efficiency curve of a random search: what it would have found with fewer trials, as boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from nas_cli.report.chart import Box, Chart, Line
from nas_cli.report.progress import metric

EXPERIMENTS = "experiment size, trials"
FEWEST_TRIALS = 16  # of which an efficiency curve says something
MOST_EXAMPLES = 10**6  # more than any data set has: a common denominator beyond is none


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
    boxes = [Box.of(s, [1 - loss for loss in found]) for s, found in curve]
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
