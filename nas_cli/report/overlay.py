"""The charts of many runs: one line for each group of runs that differ in nothing but their seeds."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from nas_cli.report.alphas import kinds_with_skips
from nas_cli.report.chart import Chart, Line, Point, five_numbers
from nas_cli.report.efficiency_chart import efficiency_chart
from nas_cli.report.figures import REGRET_NOTE, REGRET_TITLE, is_fraction
from nas_cli.report.grouping import group_runs
from nas_cli.report.hindsight import RULE
from nas_cli.report.progress import best_over_time, best_so_far, regret_so_far
from nas_cli.report.runs import Run
from nas_cli.report.trace import Trace

#: Values of a curve that is drawn: more can't be seen.
MOST_POINTS = 400
#: Searches of which one is so many times as long as another are shown over a logarithmic axis.
MUCH_LONGER = 20
_TABLE, _CURVES = "table_", ("_accuracy", "_perplexity")
_TITLES = {
    "train_accuracy": "Training accuracy",
    "valid_accuracy": "Validation accuracy of the supernet",
    "derived_accuracy": "Accuracy of the derived cell with the supernet's weights",
    "test_accuracy": "Test accuracy",
    "train_perplexity": "Training perplexity",
    "valid_perplexity": "Validation perplexity",
}


@dataclass(frozen=True)
class Summary:
    """What stands for many seeds.

    Args:
        name: for the legend.
        band: what the band around it is.
        of: gives (low, middle, high) of at least two values.
    """

    name: str
    band: str
    of: Callable[[Sequence[float]], tuple[float, float, float]]


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float, float]:
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    return mean - deviation, mean, mean + deviation


MEAN = Summary("mean", "± one sample standard deviation", _mean_and_deviation)
MEDIAN = Summary("median", "from quartile to quartile", lambda values: five_numbers(values)[1:4])


@dataclass(frozen=True)
class Member:
    """A run and how it went."""

    run: Run
    trace: Trace


@dataclass(frozen=True)
class Party:
    """The runs of a group, and what the legend calls them."""

    label: str
    members: Sequence[Member]


@dataclass(frozen=True)
class Facet:
    """Groups whose numbers can stand in one chart: of the same command, space and data set."""

    title: str
    parties: Sequence[Party]


def data_for_facets(members: Sequence[Member]) -> list[Facet]:
    """The runs sorted into facets and groups, in the order in which they stand."""
    by_run = {id(member.run): member for member in members}
    facets: dict[tuple[str, str | None, str | None], list[tuple[dict[str, str | None], list[Member]]]] = {}
    for group in group_runs(member.run for member in members):
        first = group.runs[0]
        key = (first.command, first.space, first.dataset)
        facets.setdefault(key, []).append((group.shown, [by_run[id(run)] for run in group.runs]))
    found = []
    for (command, space, dataset), groups in facets.items():
        what = "trained" if command == "evaluate" else "searched"
        labels = _labels([shown for shown, _ in groups])
        parties = [Party(label, its) for label, (_, its) in zip(labels, groups, strict=True)]
        found.append(Facet(f"Space {space or '?'}, {what}{f' on {dataset}' if dataset else ''}", parties))
    return found


def _labels(shown: Sequence[Mapping[str, str | None]]) -> list[str]:
    """What tells groups apart: their labels; else their strategy or architecture, and all in which they differ."""
    if all(names.get("label") for names in shown):
        return [names["label"] or "" for names in shown]
    keys = list(dict.fromkeys(key for names in shown for key in names))
    main = "strategy" if any(names.get("strategy") for names in shown) else "architecture"
    differing = [key for key in keys if key != main and len({names.get(key) for names in shown}) > 1]
    labels = []
    for names in shown:
        parts = [names.get(key) for key in (main, *differing)]
        labels.append(", ".join(part for part in parts if part) or "runs")
    return labels


def facet_charts(facet: Facet) -> list[Chart]:
    """All charts for which the runs of a facet have data."""
    names = dict.fromkeys(name for party in facet.parties for member in party.members for name in member.trace.names)
    charts = [
        overlay(facet, _title(name), "epochs", _unit(name), _measured(name), is_fraction(name) or name[:6] == _TABLE)
        for name in names
        if name.endswith(_CURVES) or name.startswith(_TABLE)
    ]
    note = "In nats, the mean over the types of cells."
    charts.append(overlay(facet, "Entropy of α", "epochs", "entropy, nats", _entropy, note=note, zero=True))
    note = "The collapse of a search and what keeps it away; DARTS+ ends at the dotted line."
    title = "Skip connections of the derived normal cell"
    charts.append(
        overlay(facet, title, "epochs", "number", _skips, note=note, zero=True, level=(float(RULE.limit), "DARTS+"))
    )
    title = "Dominant eigenvalue of the Hessian in α"
    charts.append(overlay(facet, title, "epochs", "eigenvalue", _measured("eigenvalue")))
    scores = {m.run.score_name for party in facet.parties for m in party.members if m.run.finished}
    name = scores.pop() if len(scores) == 1 else None
    label = (name or "score").replace("_", " ")
    percent = is_fraction(name or "")
    unit = f"{label}, %" if percent else label
    best, over_time, regrets = map(_of_trials, (best_so_far, best_over_time, regret_so_far))
    charts.append(overlay(facet, "Best so far", "evaluations", unit, best, percent, "step", summary=MEDIAN))
    title, x_label = "Best so far against the time that judging took", "seconds of all trials"
    charts.append(overlay(facet, title, x_label, unit, over_time, percent, "step", summary=MEDIAN))
    regret = overlay(
        facet, REGRET_TITLE, "evaluations", "optimum - value", regrets, style="step", note=REGRET_NOTE, summary=MEDIAN
    )
    charts.append(regret and replace(regret, log_values=True))
    charts += _efficiency(facet)
    return [chart for chart in charts if chart is not None]


def overlay(
    facet: Facet,
    title: str,
    x_label: str,
    y_label: str,
    series: Callable[[Trace], Sequence[Point]],
    percent: bool = False,
    style: str = "line",
    note: str = "",
    zero: bool = False,
    level: tuple[float, str] | None = None,
    summary: Summary = MEAN,
) -> Chart | None:
    """A quantity of all groups: each run pale, and over several seeds what stands for them, with a band.

    Args:
        series: a run's points.
        summary: of several seeds.
    """
    lines: list[Line] = []
    lengths: list[float] = []
    averaged, broken = False, False
    for colour, party in enumerate(facet.parties):
        runs = [(member.run.finished, points) for member in party.members if (points := series(member.trace))]
        if not runs:
            continue
        ends = sorted({end for member in party.members for end in member.trace.stage_ends[:-1]})
        broken = broken or bool(ends)
        curves = [points for _, points in runs]
        counted = [points for finished, points in runs if finished] or curves
        lengths += [points[-1][0] for points in counted]
        if len(curves) == 1:
            lines += _pieces(Line(party.label, thinned(curves[0]), colour, style, dashed=colour >= 8), ends)
            continue
        middle, band = middle_and_band(counted, style == "step", summary)
        averaged = averaged or bool(band)
        for points in curves:
            lines += _pieces(Line("", thinned(points), colour, style, faint=True), ends)
        seeds = f"{party.label}: {summary.name} of {len(counted)}" if len(counted) > 1 else party.label
        lines += _pieces(Line(seeds, middle, colour, style, band=band), ends)
    if not lines:
        return None
    notes = [note] if note else []
    if broken:
        notes.append("A line is broken where a stage begins, with weights of its own.")
    if averaged:
        notes.append(f"Band: {summary.band} over the finished runs, as far as all of them go.")
    return Chart(
        title,
        x_label,
        y_label,
        lines,
        percent,
        levels=[level] if level else [],
        note=" ".join(notes),
        zero=zero,
        logarithmic=style == "step" and max(lengths) >= MUCH_LONGER * min(lengths),
    )


def _pieces(line: Line, ends: Sequence[float]) -> list[Line]:
    """A line as it is broken behind each of these x; its first piece alone has a name, for the legend."""
    pieces: list[Line] = []
    for low, high in pairwise((-math.inf, *ends, math.inf)):
        if points := [point for point in line.points if low < point[0] <= high]:
            band = [part for part in line.band if low < part[0] <= high]
            pieces.append(replace(line, name="" if pieces else line.name, points=points, band=band))
    return pieces


def middle_and_band(
    curves: Sequence[Sequence[Point]], held: bool = False, summary: Summary = MEAN
) -> tuple[list[Point], list[tuple[float, float, float]]]:
    """What stands for curves where all have a value, and the band around it.

    Args:
        held: a curve has a value between its points too, that of the point before.
    """
    if held:
        start, end = max(points[0][0] for points in curves), min(points[-1][0] for points in curves)
        xs = sorted({x for points in curves for x, _ in points if start <= x <= end})
    else:
        xs = sorted(set.intersection(*({x for x, _ in points} for points in curves)))
    step = -(-len(xs) // MOST_POINTS) or 1
    xs = xs[::step] + ([xs[-1]] if xs and (len(xs) - 1) % step else [])
    columns = [_at(points, xs) for points in curves]
    if len(columns) == 1:
        return list(zip(xs, columns[0], strict=True)), []
    found = [(x, *summary.of(values)) for x, values in zip(xs, zip(*columns, strict=True), strict=True)]
    return [(x, middle) for x, _, middle, _ in found], [(x, low, high) for x, low, _, high in found]


def _at(points: Sequence[Point], xs: Sequence[float]) -> list[float]:
    places = [x for x, _ in points]
    return [points[bisect_right(places, x) - 1][1] for x in xs]


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most so many points as can be seen, the last one among them."""
    step = -(-len(points) // MOST_POINTS) or 1
    return points if step == 1 else [*points[:-1:step], points[-1]]


def _measured(name: str) -> Callable[[Trace], list[Point]]:
    return lambda trace: trace.series(name)


def _entropy(trace: Trace) -> list[Point]:
    return _over_kinds(trace, "entropy", trace.kinds("entropy"))


def _skips(trace: Trace) -> list[Point]:
    """Of the normal cell; where every cell has its own parameters, the mean over the normal ones."""
    kinds = kinds_with_skips(trace)
    normal = [kind for kind in kinds if kind.startswith("normal")]
    return _over_kinds(trace, "skips", normal or kinds)


def _over_kinds(trace: Trace, prefix: str, kinds: Sequence[str]) -> list[Point]:
    points = []
    for epoch in trace.epochs:
        found = [value for kind in kinds if (value := epoch.number(f"{prefix}_{kind}")) is not None]
        if found:
            points.append((float(epoch.x), statistics.fmean(found)))
    return points


def _of_trials(series: Callable[[Trace], Sequence[Point]]) -> Callable[[Trace], Sequence[Point]]:
    """Of a black-box search: others have trials that are no search."""
    return lambda trace: [] if trace.epochs else series(trace)


def _efficiency(facet: Facet) -> list[Chart]:
    """Of each group of random searches, the trials of all seeds together; a grid search beside it to compare with."""
    grids = [
        member.run.metrics["test_accuracy"]
        for party in facet.parties
        for member in party.members
        if member.run.strategy == "grid" and "test_accuracy" in member.run.metrics
    ]
    charts = []
    for party in facet.parties:
        if any(member.run.strategy != "random" for member in party.members):
            continue
        trials = [trial for member in party.members for trial in member.trace.trials]
        chart = efficiency_chart(trials, f"Random-experiment efficiency, {party.label}", grids[0] if grids else None)
        charts += [chart] if chart else []
    return charts


def _title(name: str) -> str:
    if name.startswith(_TABLE):
        return f"Looked up: {name.removeprefix(_TABLE).replace('_', ' ')}"
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def _unit(name: str) -> str:
    if name.endswith("_perplexity"):
        return "perplexity"
    return "accuracy, %"
