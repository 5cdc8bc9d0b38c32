"""The best few distinct candidates of a search, over its evaluations, and what learning made of them beside chance.

Reference: Zoph & Le, Neural architecture search with reinforcement learning, ICLR 2017, arXiv:1611.01578, figure 6.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from nas_cli.report.chart import Chart, Line, Point
from nas_cli.report.controller import ENTROPY, ENTROPY_NOTE, EVALUATIONS, of_updates
from nas_cli.report.figures import is_fraction
from nas_cli.report.overlay import Facet, Party, middle_and_band, overlay
from nas_cli.report.ranking import rises

#: How many: the figure's.
COUNTS = (1, 5, 15)
IMPROVEMENT = "Improvement over random search"
BASELINE = "random"
#: Curves leave out one in so many evaluations, the first ones: the scale of what follows would be theirs.
BEGINNING = 10
LEFT_OUT = "The first tenth is left out."


def top_so_far(trials: Sequence[Mapping[str, Any]], count: int) -> list[Point]:
    """(evaluations, mean score of the `count` best distinct architectures so far) where it rose, and at the end.

    An architecture that was judged again counts once, with its best score. Empty where there are fewer than `count`.
    """
    best: list[float] = []
    points: list[Point] = []
    for index, _, _, score, before in rises(trials):
        if before is not None and before in best:
            best.remove(before)
        insort(best, score)
        if len(best) > count:
            best.pop(0)
        if len(best) == count:
            mean = statistics.fmean(best)
            if not points or mean > points[-1][1]:
                points.append((index, mean))
    if points and points[-1][0] < len(trials):
        points.append((len(trials), points[-1][1]))
    return points


def later(trials: Sequence[Mapping[str, Any]], count: int) -> list[Point]:
    """`top_so_far` without its beginning."""
    points, start = top_so_far(trials, count), len(trials) // BEGINNING
    if not points or points[0][0] >= start:
        return points
    return [(start, _held(points, start)), *(point for point in points if point[0] > start)]


def learning_charts(facet: Facet) -> list[Chart]:
    """Of searches by controllers and what stands beside them; none where there is no controller."""
    members = [member for party in facet.parties for member in party.members]
    if not any(member.trace.updates for member in members):
        return []
    names = {member.run.score_name for member in members if member.run.finished}
    name = names.pop() if len(names) == 1 else None
    percent, label = is_fraction(name or ""), (name or "score").replace("_", " ")
    unit = f"{label}, %" if percent else label
    charts = [
        overlay(facet, ENTROPY, EVALUATIONS, "entropy, nats", lambda trace: of_updates(trace, "entropy"), zero=True,
                note=ENTROPY_NOTE),
        *(
            overlay(facet, f"Mean of the {count} best", EVALUATIONS, unit,
                    lambda trace, count=count: later(trace.trials, count),  # type: ignore[misc]
                    percent, "step", note=f"Of distinct candidates. {LEFT_OUT}")
            for count in COUNTS[1:]
        ),
        improvement_chart(facet, unit, percent),
    ]  # fmt: skip
    return [chart for chart in charts if chart is not None]


def improvement_chart(facet: Facet, unit: str, percent: bool) -> Chart | None:
    """The means of the best few less those of random search with the same seeds; None where there is no such."""
    chance = [party for party in facet.parties if all(each.run.strategy == BASELINE for each in party.members)]
    if not chance:
        return None
    lines = []
    for colour, party in enumerate(facet.parties):
        if party is chance[0]:
            continue
        for count in COUNTS:
            curves = _differences(party, chance[0], count)
            if curves:
                points, _ = middle_and_band(curves, held=True)
                lines.append(Line(f"{party.label}: top {count}", points, colour, "step", dashed=count == COUNTS[-1],
                                  faint=count == COUNTS[0]))  # fmt: skip
    if not lines:
        return None
    note = "Mean over the seeds of: the mean of the best distinct candidates less that of random search after as many. "
    note += LEFT_OUT
    return Chart(IMPROVEMENT, EVALUATIONS, f"difference of {unit}", lines, percent, levels=[(0.0, "random")], note=note)


def _differences(party: Party, chance: Party, count: int) -> list[list[Point]]:
    """A curve for each seed that both have."""
    others = {member.run.seed: later(member.trace.trials, count) for member in chance.members}
    curves = []
    for member in party.members:
        ours, theirs = later(member.trace.trials, count), others.get(member.run.seed)
        if ours and theirs:
            curves.append(_difference(ours, theirs))
    return [curve for curve in curves if curve]


def _difference(ours: Sequence[Point], theirs: Sequence[Point]) -> list[Point]:
    """One step curve less another, where both have a value."""
    start, end = max(ours[0][0], theirs[0][0]), min(ours[-1][0], theirs[-1][0])
    xs = [x for x, _ in groupby(sorted(x for x, _ in (*ours, *theirs))) if start <= x <= end]
    return [(x, _held(ours, x) - _held(theirs, x)) for x in xs]


def _held(points: Sequence[Point], x: float) -> float:
    return points[bisect_right([place for place, _ in points], x) - 1][1]
