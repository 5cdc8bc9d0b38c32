"""How a controller learnt: what its charts show."""

from __future__ import annotations

from lines import line

from nas_cli.report.chart import Chart
from nas_cli.report.controller import ENTROPY, RATIOS, REWARDS, controller_charts
from nas_cli.report.trace import trace_of

UPDATES = [
    {"update": 1, "evaluations": 10, "reward": 0.5, "baseline": 0.4, "entropy": 9.0, "ratio": 1.1, "clipped": 0.2},
    {"update": 2, "evaluations": 20, "reward": None, "baseline": 0.45, "entropy": 7.0, "ratio": 0.9, "clipped": 0.0},
]


def charts_of(lines: list[dict[str, float | None]]) -> dict[str, Chart]:
    return {chart.title: chart for chart in controller_charts(trace_of(lines))}


def test_updates_are_drawn_over_evaluations() -> None:
    charts = charts_of(UPDATES)  # type: ignore[arg-type]
    assert list(charts) == [REWARDS, ENTROPY, RATIOS]
    assert {line.name: list(line.points) for line in charts[REWARDS].lines} == {
        "mean reward of a batch": [(10, 0.5)],
        "baseline": [(10, 0.4), (20, 0.45)],
    }
    assert list(charts[ENTROPY].lines[0].points) == [(10, 9.0), (20, 7.0)]
    assert [list(line.points) for line in charts[RATIOS].lines] == [[(10, 1.1), (20, 0.9)], [(10, 0.2), (20, 0.0)]]


def test_reinforce_has_no_ratio() -> None:
    lines = [{name: value for name, value in each.items() if name not in ("ratio", "clipped")} for each in UPDATES]
    assert list(charts_of(lines)) == [REWARDS, ENTROPY]


def test_updates_are_no_epochs() -> None:
    trace = trace_of([*UPDATES, line(0)])
    assert (len(trace.updates), len(trace.epochs)) == (2, 1)
    assert "update" not in trace.names
    assert charts_of([]) == {}
