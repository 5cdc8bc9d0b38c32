"""The best few distinct candidates, and what a search found beyond random search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas_cli.report.chart import Chart
from nas_cli.report.overlay import Member, data_for_facets
from nas_cli.report.runs import Run
from nas_cli.report.top import IMPROVEMENT, later, learning_charts, top_so_far
from nas_cli.report.trace import trace_of


def trials(*scored: tuple[str, float | None]) -> list[dict[str, Any]]:
    return [
        {"index": k, "architecture": {"space": "s", "decisions": [name]}, "score": score}
        for k, (name, score) in enumerate(scored)
    ]


def test_the_mean_of_the_best() -> None:
    found = trials(("a", 0.5), ("b", None), ("c", 0.1), ("d", 0.3), ("e", 0.2), ("f", 0.9), ("g", 0.0))
    assert top_so_far(found, 2) == [(3, pytest.approx(0.3)), (4, pytest.approx(0.4)), (6, pytest.approx(0.7)),
                                    (7, pytest.approx(0.7))]  # fmt: skip
    assert top_so_far(found, 1) == [(1, 0.5), (6, 0.9), (7, 0.9)]
    assert top_so_far(found, 7) == []


def test_one_that_comes_again_counts_once_with_its_best() -> None:
    found = trials(("a", 0.5), ("a", 0.5), ("b", 0.1), ("a", 0.7), ("b", 0.0), ("c", 0.2), ("b", 0.3))
    assert [x for x, _ in top_so_far(found, 2)] == [3, 4, 6, 7]
    assert [y for _, y in top_so_far(found, 2)] == pytest.approx([0.3, 0.4, 0.45, 0.5])


def test_curves_leave_the_beginning_out() -> None:
    found = trials(*((str(k), k / 100) for k in range(30)))
    assert later(found, 1)[:2] == [(3, 0.02), (4, 0.03)]
    assert later(found, 5)[0] == (5, pytest.approx(0.02))
    assert later([], 1) == []


def member(strategy: str, seed: int, scores: list[float], updates: bool) -> Member:
    run = Run(Path(f"{strategy}{seed}"), True, "search", strategy, "s", "d", "table", seed=seed,
              score_name="valid_accuracy")  # fmt: skip
    lines = [{"update": 1, "evaluations": 2, "entropy": 3.0}] if updates else []
    return Member(run, trace_of(lines, trials(*((f"{strategy}{k}", score) for k, score in enumerate(scores)))))


def charts_of(*members: Member) -> dict[str, Chart]:
    (facet,) = data_for_facets(members)
    return {chart.title: chart for chart in learning_charts(facet)}


def test_the_improvement_is_taken_seed_by_seed() -> None:
    charts = charts_of(
        member("ppo", 0, [0.1, 0.5, 0.5, 0.5, 0.5, 0.6], True),
        member("ppo", 1, [0.3, 0.2, 0.2, 0.2, 0.2, 0.9], True),
        member("ppo", 7, [0.9] * 6, True),  # random search has no such seed
        member("random", 0, [0.2, 0.3, 0.1, 0.1, 0.1, 0.1], False),
        member("random", 1, [0.1, 0.4, 0.1, 0.1, 0.1, 0.1], False),
    )
    chart = charts[IMPROVEMENT]
    assert [line.name for line in chart.lines] == ["ppo: top 1", "ppo: top 5"]  # nobody has 15
    best = dict(chart.lines[0].points)
    assert best == pytest.approx({1: 0.05, 2: 0.05, 6: 0.4})  # means of -0.1 and 0.2, of 0.2 and -0.1, of 0.3 and 0.5
    assert dict(chart.lines[1].points)[6] == pytest.approx(((2.6 - 0.8) / 5 + (1.8 - 0.8) / 5) / 2)
    assert chart.percent
    assert {"Mean of the 5 best", "Entropy of the policy"} <= set(charts)


def test_without_random_search_or_a_controller_there_is_no_such_chart() -> None:
    assert IMPROVEMENT not in charts_of(member("ppo", 0, [0.1] * 6, True), member("tpe", 0, [0.2] * 6, False))
    assert charts_of(member("tpe", 0, [0.1] * 6, False), member("random", 0, [0.2] * 6, False)) == {}
