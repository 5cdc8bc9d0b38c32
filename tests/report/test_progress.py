"""Simple regret of searches."""

from __future__ import annotations

from typing import Any

from nas_cli.report.curves import draw_chart
from nas_cli.report.figures import trials_charts
from nas_cli.report.progress import LEAST_REGRET, best_over_time, regret_so_far
from nas_cli.report.trace import trace_of


def trial(index: int, score: float | None, **metrics: float) -> dict[str, Any]:
    return {"index": index, "score": score, "metrics": metrics}


def test_regret_is_that_of_the_best_score_so_far() -> None:
    scores = [(-4.0, 4.0), (-5.0, 5.0), (None, None), (-1.0, 1.0), (-2.0, 2.0)]
    trials = [trial(i, s, **({} if r is None else {"regret": r})) for i, (s, r) in enumerate(scores)]
    assert regret_so_far(trace_of([], trials)) == [(1, 4.0), (4, 1.0), (5, 1.0)]


def test_the_best_over_time_counts_every_trial_s_seconds() -> None:
    costs = [(0.5, 2.0), (None, 3.0), (0.4, 1.0), (0.9, 4.0), (0.7, 5.0)]
    trials = [{**trial(i, score), "cost_seconds": cost} for i, (score, cost) in enumerate(costs)]
    assert best_over_time(trace_of([], trials)) == [(2.0, 0.5), (10.0, 0.9), (15.0, 0.9)]
    assert best_over_time(trace_of([], trials[:4]))[-1] == (10.0, 0.9)
    quick = [{**each, "cost_seconds": 1e-5} for each in trials]
    assert best_over_time(trace_of([], quick)) == []
    assert best_over_time(trace_of([], trials[1:2])) == []


def test_regret_under_noise_can_rise_and_never_is_zero() -> None:
    trials = [trial(0, 1.0, regret=0.0), trial(1, 1.5, regret=0.25)]
    assert regret_so_far(trace_of([], trials)) == [(1, LEAST_REGRET), (2, 0.25)]


def test_regret_is_drawn_over_powers_of_ten() -> None:
    trials = [trial(i, -r, regret=r) for i, r in enumerate((30.0, 2.0, 0.04))]
    chart = trials_charts(trace_of([], trials), "value")[1]
    assert chart.log_values
    drawn = draw_chart(chart)
    assert all(f">{number}</text>" in drawn for number in ("0.01", "0.1", "1", "10", "100"))
    # Equal factors are equal lengths: 30 to 2 and 2 to 2/15.
    assert "Simple regret" in drawn


def test_a_search_without_an_optimum_has_no_regret() -> None:
    charts = trials_charts(trace_of([], [trial(0, 0.5), trial(1, 0.7)]), "valid_accuracy")
    assert "Simple regret" not in [chart.title for chart in charts]
