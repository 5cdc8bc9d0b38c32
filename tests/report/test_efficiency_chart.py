"""The efficiency of random searches as a chart."""

from __future__ import annotations

import pytest

from nas_cli.report.chart import Chart, five_numbers
from nas_cli.report.curves import draw_chart
from nas_cli.report.efficiency_chart import FEWEST_TRIALS, efficiency_chart, examples_behind


def efficiency(count: int) -> Chart | None:
    accuracies = [(0.5 + 0.01 * (i * 7 % 40), 0.45 + 0.01 * (i * 7 % 40)) for i in range(count)]
    trials = [{"score": v, "metrics": {"valid_accuracy": v, "test_accuracy": t}} for v, t in accuracies]
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
