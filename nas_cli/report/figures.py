"""The charts of one run: what each shows, computed from its trace."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nas_cli.networks.choices import NONE
from nas_cli.report.alphas import kinds_with_probabilities, kinds_with_skips, probabilities, stage_operations
from nas_cli.report.cells import kind_title, read_graphs
from nas_cli.report.chart import Chart, Line, Point
from nas_cli.report.credit import credit_charts
from nas_cli.report.hindsight import RULE, Hindsight
from nas_cli.report.progress import best_so_far, metric, regret_so_far
from nas_cli.report.trace import Trace, number, values

EPOCHS = "epochs"
#: More trials than this are thinned out in a picture.
MOST_DOTS = 4000
REGRET_TITLE = "Simple regret"
REGRET_NOTE = "How far the best score's point is below the optimum."
_NAMES = {"train": "training", "valid": "validation", "test": "test", "derived": "derived cell, supernet's weights"}
_COLOURS = {"train": 0, "valid": 1, "derived": 2, "test": 3}
_TABLE = "table_"


def run_charts(trace: Trace, found: Hindsight | None = None) -> list[Chart]:
    """All charts of a run for which it has data; marks say where its stages begin and where DARTS+ would have ended."""
    marks = _marks(trace, found)
    makers: list[Callable[[], Chart | None]] = [
        lambda: _measured(trace, "_accuracy", "Accuracy", "accuracy, %", marks, percent=True),
        lambda: _measured(trace, "_perplexity", "Perplexity", "perplexity", marks),
        lambda: _measured(trace, "_loss", "Loss", "cross-entropy, nats", marks),
        lambda: entropy_chart(trace, marks),
        lambda: skips_chart(trace, marks),
        lambda: eigenvalue_chart(trace, marks),
        lambda: none_chart(trace, marks),
        lambda: margin_chart(trace, marks),
        lambda: change_chart(trace, marks),
    ]
    return [chart for make in makers if (chart := make()) is not None] + credit_charts(trace, marks)


def _marks(trace: Trace, found: Hindsight | None) -> list[tuple[float, str]]:
    marks: list[tuple[float, str]] = []
    for stage in range(1, trace.stages):
        if epochs := trace.stage(stage):
            marks.append((epochs[0].x - 0.5, f"stage {stage + 1}"))
    if found is not None:
        if found.final.x != trace.epochs[-1].x:
            marks.append((found.final.x, "result"))
        if found.chosen is not None:
            marks.append((found.chosen.x, "DARTS+"))
    return marks


def _measured(
    trace: Trace, ending: str, title: str, y_label: str, marks: Sequence[tuple[float, str]], percent: bool = False
) -> Chart | None:
    """One quantity on all data on which it was measured."""
    names = [name for name in trace.names if name.endswith(ending)]
    looked_up = [name for name in trace.names if name.startswith(_TABLE)] if percent else []
    lines: list[Line] = []
    for name in (*names, *looked_up):
        part = name.removesuffix(ending)
        label = f"looked up: {name.removeprefix(_TABLE).replace('_', ' ')}" if name in looked_up else _NAMES.get(part)
        colour = _COLOURS.get(part, len(_COLOURS) + len(lines)) if name in names else len(_COLOURS) + len(lines)
        dashed = name in looked_up
        lines += _lines(trace, name, label or part.replace("_", " "), colour, dashed=dashed)
    return _chart(title, y_label, lines, marks, percent=percent)


def entropy_chart(trace: Trace, marks: Sequence[tuple[float, str]] = ()) -> Chart | None:
    """The mean entropy of the operations' probabilities, by type of cell."""
    lines = _by_kind(trace, "entropy", trace.kinds("entropy"))
    note = "At the dotted line all operations of an edge are equally likely; at 0 all is decided."
    return _chart("Entropy of α", "entropy, nats", lines, marks, levels=_uniform(trace), note=note, zero=True)


def skips_chart(trace: Trace, marks: Sequence[tuple[float, str]] = ()) -> Chart | None:
    """Skip connections of the cell that would be derived, by type of cell."""
    kinds = kinds_with_skips(trace)
    lines = _by_kind(trace, "skips", kinds, style="step")
    levels = [(float(RULE.limit), f"DARTS+ ends at {RULE.limit}")] if any("normal" in kind for kind in kinds) else []
    note = "Many skip connections in the normal cell are the sign of a collapsed search."
    return _chart(
        "Skip connections of the derived cell", "number", lines, marks, whole=True, levels=levels, note=note, zero=True
    )


def eigenvalue_chart(trace: Trace, marks: Sequence[tuple[float, str]] = ()) -> Chart | None:
    """The dominant eigenvalue of the Hessian of the validation loss in α."""
    lines = _lines(trace, "eigenvalue", "dominant eigenvalue", 0)
    note = "Growth by 1.3 within a few measurements announces a collapse (RobustDARTS)."
    return _chart("Dominant eigenvalue of the Hessian in α", "eigenvalue", lines, marks, note=note)


def none_chart(trace: Trace, marks: Sequence[tuple[float, str]] = ()) -> Chart | None:
    """The mean probability of `none`, by type of cell."""

    def mass(rows: Sequence[Mapping[str, float]]) -> float | None:
        found = [row[NONE] for row in rows if NONE in row]
        return sum(found) / len(found) if found else None

    lines = _from_rows(trace, mass)
    note = "Above 50 % the edges' strengths are judged from small numbers."
    return _chart("Probability of none", "mean over edges, %", lines, marks, percent=True, note=note, zero=True)


def margin_chart(trace: Trace, marks: Sequence[tuple[float, str]] = ()) -> Chart | None:
    """How far the best operation of an edge is ahead of the second, `none` aside, by type of cell."""

    def margin(rows: Sequence[Mapping[str, float]]) -> float | None:
        found = []
        for row in rows:
            ranked = sorted((value for name, value in row.items() if name != NONE), reverse=True)
            if len(ranked) > 1:
                found.append(ranked[0] - ranked[1])
        return sum(found) / len(found) if found else None

    lines = _from_rows(trace, margin)
    note = "The best operation's probability minus the second's, none aside. Near 0 the cell depends on the seed."
    return _chart(
        "Margin of the best operation", "mean over edges, %", lines, marks, percent=True, note=note, zero=True
    )


def change_chart(trace: Trace, marks: Sequence[tuple[float, str]] = ()) -> Chart | None:
    """How many pairs (operation, source) of the derived cells differ from those an epoch before."""
    points: list[Point] = []
    before: tuple[int, set[tuple[int, int, int, str]]] | None = None
    for epoch in trace.epochs:
        graphs = read_graphs(epoch.line.get("architecture"))
        edges = {(place, *edge) for place, graph in enumerate(graphs) for edge in graph.edges}
        if graphs and before is not None and before[0] == epoch.stage:
            points.append((epoch.x, len(edges - before[1])))
        before = (epoch.stage, edges) if graphs else None
    lines = [Line("all cells", points, style="step")] if len(points) > 1 else []
    return _chart("Edges that changed since the last epoch", "number", lines, marks, whole=True, zero=True)


def trials_charts(trace: Trace, score_name: str) -> list[Chart]:
    """The score of every trial; and of a search the best so far, with its test accuracy where that is known."""
    scored = [(index, number(trial.get("score")), trial) for index, trial in enumerate(trace.trials, start=1)]
    dots = [(float(index), score) for index, score, _ in scored if score is not None]
    if not dots:
        return []
    step = math.ceil(len(dots) / MOST_DOTS)
    failed = len(scored) - len(dots)
    notes = [f"{failed} of {len(scored)} evaluations failed."] if failed else []
    if step > 1:
        notes.append(f"One dot in {step} is shown.")
    label, percent = score_name.replace("_", " "), is_fraction(score_name)
    unit = f"{label}, %" if percent else label
    dotted = Line("one evaluation", dots[::step], 0, "dots", faint=True)
    charts = [Chart("All evaluations", "evaluations", unit, [dotted], percent, note=" ".join(notes))]
    if not trace.epochs:  # where there are epochs, trials are tests of what was found
        lines = [Line(f"best {label} so far", best_so_far(trace), 1, "step")]
        tested = _tested(scored)
        if tested and score_name != "test_accuracy":
            lines.append(Line("its test accuracy", tested, 2, "step", dashed=True))
            unit = "accuracy, %" if percent else unit
        charts.insert(0, Chart("Best so far", "evaluations", unit, lines, percent))
        if regret := regret_so_far(trace):
            line = Line("regret of the best so far", regret, 1, "step")
            charts.insert(
                1, Chart(REGRET_TITLE, "evaluations", "optimum - value", [line], note=REGRET_NOTE, log_values=True)
            )
    return charts


def _tested(scored: Sequence[tuple[int, float | None, Mapping[str, Any]]]) -> list[Point]:
    """(evaluations, test accuracy of the best so far) where it changed, and at the end; empty where it is unknown."""
    best, points = -math.inf, list[Point]()
    for index, score, trial in scored:
        if score is None or score <= best:
            continue
        best, tested = score, metric(trial, "test_accuracy")
        if tested is None:
            return []
        points.append((index, tested))
    if points and points[-1][0] < len(scored):
        points.append((len(scored), points[-1][1]))
    return points


def is_fraction(name: str) -> bool:
    """Whether a quantity of that name is a fraction that people read in percent."""
    return "accuracy" in name or "error" in name


def _from_rows(trace: Trace, measure: Callable[[Sequence[Mapping[str, float]]], float | None]) -> list[Line]:
    operations = {stage: stage_operations(trace, stage) for stage in range(trace.stages)}
    lines = []
    for colour, kind in enumerate(kinds_with_probabilities(trace)):
        label = kind_title(kind)
        for stage, names in operations.items():
            measured = [(epoch.x, measure(probabilities(epoch, names, kind))) for epoch in trace.stage(stage)]
            if points := [(float(x), value) for x, value in measured if value is not None]:
                lines.append(Line(label, points, colour))
                label = ""
    return lines


def _by_kind(trace: Trace, prefix: str, kinds: Sequence[str], style: str = "line") -> list[Line]:
    lines = []
    for colour, kind in enumerate(kinds):
        lines += _lines(trace, f"{prefix}_{kind}", kind_title(kind), colour, style)
    return lines


def _lines(trace: Trace, name: str, label: str, colour: int, style: str = "line", dashed: bool = False) -> list[Line]:
    """A series, and what belongs to it on pieces that the search left again."""
    # A stage begins with weights of its own: no line leads there from the one before.
    stages = [points for stage in range(trace.stages) if (points := values(trace.stage(stage), name))]
    names = [label] + [""] * len(stages)
    lines = [Line(name, points, colour, style, dashed=dashed) for name, points in zip(names, stages, strict=False)]
    for piece in trace.left:
        if points := values(piece, name):
            lines.append(Line("", points, colour, style, faint=True, dashed=True))
    return lines


def _uniform(trace: Trace) -> list[tuple[float, str]]:
    """The entropy with which each stage begins, where all operations are equally likely."""
    levels: dict[int, str] = {}
    for stage in range(trace.stages):
        for rows in (stage_operations(trace, stage) or {}).values():
            if isinstance(rows, list) and rows and isinstance(rows[0], list) and rows[0]:
                levels.setdefault(len(rows[0]), f"log {len(rows[0])}")
    return [(math.log(count), label) for count, label in levels.items()]


def _chart(
    title: str, y_label: str, lines: Sequence[Line], marks: Sequence[tuple[float, str]], **more: Any
) -> Chart | None:
    return Chart(title, EPOCHS, y_label, lines, marks=marks, **more) if lines else None
