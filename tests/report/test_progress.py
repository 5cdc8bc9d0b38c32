"""Simple regret of searches, and the efficiency of random ones."""

from __future__ import annotations

from typing import Any

import pytest

from nas_cli.report.chart import Chart
from nas_cli.report.curves import draw_chart
from nas_cli.report.figures import trials_charts
from nas_cli.report.progress import (
    FEWEST_TRIALS,
    LEAST_REGRET,
    efficiency_chart,
    examples_behind,
    five_numbers,
    regret_so_far,
)
from nas_cli.report.trace import trace_of


def trial(index: int, score: float | None, **metrics: float) -> dict[str, Any]:
    return {"index": index, "score": score, "metrics": metrics}


def test_regret_is_that_of_the_best_score_so_far() -> None:
    scores = [(-4.0, 4.0), (-5.0, 5.0), (None, None), (-1.0, 1.0), (-2.0, 2.0)]
    trials = [trial(i, s, **({} if r is None else {"regret": r})) for i, (s, r) in enumerate(scores)]
    assert regret_so_far(trace_of([], trials)) == [(1, 4.0), (4, 1.0), (5, 1.0)]


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


def efficiency(count: int) -> Chart | None:
    accuracies = [(0.5 + 0.01 * (i * 7 % 40), 0.45 + 0.01 * (i * 7 % 40)) for i in range(count)]
    trials = [trial(i, v, valid_accuracy=v, test_accuracy=t) for i, (v, t) in enumerate(accuracies)]
    return efficiency_chart(trials, grid=0.8)


def test_larger_experiments_find_more_and_vary_less() -> None:
    chart = efficiency(64)
    assert chart is not None
    assert [box.x for box in chart.boxes] == [1, 2, 4, 8, 16, 32, 64]
    middles = [box.middle for box in chart.boxes]
    assert middles == sorted(middles)
    assert chart.boxes[0].high - chart.boxes[0].low > chart.boxes[4].high - chart.boxes[4].low
    assert chart.boxes[0].low == pytest.approx(0.45)
    assert chart.levels == [(0.8, "grid")]
    assert "on 100 examples" in chart.note
    assert draw_chart(chart).count('class="band') == 7


def test_few_trials_have_no_efficiency() -> None:
    assert efficiency(FEWEST_TRIALS - 1) is None
    assert efficiency(FEWEST_TRIALS) is not None


def test_the_number_of_examples_is_the_least_that_explains_all_accuracies() -> None:
    assert examples_behind([k / 700 for k in (1, 350, 697)]) == 700
    assert examples_behind([1 / 99991, 1 / 99989]) is None
    assert examples_behind([1.0, 0.0]) is None


def test_five_numbers() -> None:
    assert five_numbers([4.0, 1.0, 2.0, 3.0, 5.0]) == (1, 2, 3, 4, 5)
    assert five_numbers([2.0]) == (2, 2, 2, 2, 2)
