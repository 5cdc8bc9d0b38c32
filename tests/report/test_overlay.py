"""Curves of many runs: groups, means over seeds, and what may stand in one chart."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from lines import first, line, search_of

from nas_cli.report.chart import Chart
from nas_cli.report.overlay import MOST_POINTS, Member, data_for_facets, facet_charts, middle_and_band, thinned
from nas_cli.report.runs import Run
from nas_cli.report.trace import Trace, trace_of


def member(strategy: str, seed: int, trace: Trace, finished: bool = True, dataset: str = "digits") -> Member:
    run = Run(
        Path(f"{strategy}-{seed}"), finished, "search", strategy, "darts", dataset, "shared_weights", seed=seed,
        score_name="valid_accuracy",
    )  # fmt: skip
    return Member(run, trace)


def searched(skips: Sequence[int], shift: float = 0.0) -> Trace:
    lines = search_of(skips)
    for record in lines:
        record["valid_accuracy"] += shift
    return trace_of(lines)


def charts_of(members: Sequence[Member]) -> dict[str, Chart]:
    (facet,) = data_for_facets(members)
    return {chart.title: chart for chart in facet_charts(facet)}


def test_seeds_have_a_mean_and_a_band() -> None:
    members = [member("darts", seed, searched([0, 1, 4], shift)) for seed, shift in enumerate((0.0, 0.1, 0.2))]
    chart = charts_of(members)["Validation accuracy of the supernet"]
    mean = chart.lines[-1]
    assert mean.name == "darts: mean of 3"
    assert [x for x, _ in mean.points] == [1, 2, 3]
    assert [y for _, y in mean.points] == pytest.approx([0.5, 0.51, 0.52])
    deviation = statistics.stdev([0.4, 0.5, 0.6])
    assert list(mean.band[0]) == pytest.approx([1, 0.5 - deviation, 0.5 + deviation])
    assert [line.faint for line in chart.lines] == [True, True, True, False]
    assert "one sample standard deviation" in chart.note


def test_a_mean_goes_as_far_as_all_finished_runs() -> None:
    members = [
        member("darts_plus", 0, searched([0, 1, 2])),
        member("darts_plus", 1, searched([0, 1, 1, 1, 2])),
        member("darts_plus", 2, searched([0]), finished=False),
    ]
    chart = charts_of(members)["Skip connections of the derived normal cell"]
    assert list(chart.lines[-1].points) == [(1, 0), (2, 1), (3, 1.5)]
    assert chart.lines[-1].name == "darts_plus: mean of 2"
    assert [len(line.points) for line in chart.lines if line.faint] == [3, 5, 1]


def test_strategies_stand_in_one_chart() -> None:
    members = [member(name, 0, searched(skips)) for name, skips in (("darts", [0, 3, 6]), ("pdarts", [0, 1, 2]))]
    charts = charts_of(members)
    assert {line.name: list(line.points) for line in charts["Skip connections of the derived normal cell"].lines} == {
        "darts": [(1, 0), (2, 3), (3, 6)],
        "pdarts": [(1, 0), (2, 1), (3, 2)],
    }
    # The mean over the types of cells: 1 and 2.
    assert list(charts["Entropy of α"].lines[0].points) == [(1, 1.5), (2, 1.5), (3, 1.5)]


def test_data_sets_do_not_stand_in_one_chart() -> None:
    members = [member("darts", 0, searched([0]), dataset=name) for name in ("digits", "cifar10")]
    assert [facet.title for facet in data_for_facets(members)] == [
        "Space darts, searched on digits",
        "Space darts, searched on cifar10",
    ]


def test_runs_of_one_label_are_a_group_whatever_they_are() -> None:
    given = [("a", "darts", 0), ("a", "darts", 1), ("b", "darts", 0)]
    members = [member(strategy, seed, searched([seed])) for _, strategy, seed in given]
    members = [
        replace(each, run=replace(each.run, label=label)) for each, (label, *_) in zip(members, given, strict=True)
    ]
    lines = charts_of(members)["Entropy of α"].lines
    assert [(each.name, each.colour) for each in lines] == [("", 0), ("", 0), ("a: mean of 2", 0), ("b", 1)]


def staged(shift: float = 0.0) -> Trace:
    lines = [first(stage=0), line(1, stage=0), first(stage=1), line(1, stage=1)]
    for record in lines:
        record["valid_accuracy"] += shift
    return trace_of(lines)


def test_stages_follow_each_other_and_break_their_lines() -> None:
    members = [member("darts", 0, searched([0, 1, 2, 3])), member("pdarts", 0, staged())]
    chart = charts_of(members)["Validation accuracy of the supernet"]
    assert [(each.name, each.colour, list(each.points)) for each in chart.lines] == [
        ("darts", 0, [(1, 0.4), (2, 0.41), (3, 0.42), (4, 0.43)]),
        ("pdarts", 1, [(1, 0.4), (2, 0.41)]),
        ("", 1, [(3, 0.4), (4, 0.41)]),
    ]
    assert "broken where a stage begins" in chart.note
    assert "broken" not in charts_of(members[:1])["Validation accuracy of the supernet"].note


def test_a_mean_over_stages_is_broken_with_its_band() -> None:
    members = [member("pdarts", seed, staged(seed / 10)) for seed in range(2)]
    *pale, one, two = charts_of(members)["Validation accuracy of the supernet"].lines
    assert [len(each.points) for each in pale] == [2, 2, 2, 2]
    assert [(each.name, [x for x, _ in each.points], [x for x, *_ in each.band]) for each in (one, two)] == [
        ("pdarts: mean of 2", [1, 2], [1, 2]),
        ("", [3, 4], [3, 4]),
    ]


def test_black_box_runs_have_the_best_so_far() -> None:
    scores = ([0.1, 0.5, 0.2, 0.9], [0.3, 0.2, 0.7, 0.1])
    members = [
        member("random", seed, trace_of([], [{"index": i, "score": s} for i, s in enumerate(its)]))
        for seed, its in enumerate(scores)
    ]
    charts = charts_of(members)
    assert list(charts) == ["Best so far"]
    mean = charts["Best so far"].lines[-1]
    assert [x for x, _ in mean.points] == [1, 2, 3, 4]
    assert [y for _, y in mean.points] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert mean.style == "step"
    assert mean.name == "random: median of 2"
    assert "from quartile to quartile" in charts["Best so far"].note
    assert not charts["Best so far"].logarithmic


def test_a_much_longer_search_makes_the_axis_logarithmic() -> None:
    members = [
        member(name, 0, trace_of([], [{"index": i, "score": i} for i in range(count)]))
        for name, count in (("random", 10), ("grid", 200))
    ]
    assert charts_of(members)["Best so far"].logarithmic


def test_runs_without_any_line_have_no_chart() -> None:
    assert charts_of([member("darts", 0, trace_of([]), finished=False)]) == {}


def test_curves_without_a_common_epoch_have_no_mean() -> None:
    assert middle_and_band([[(1, 1.0)], [(2, 1.0)]]) == ([], [])


def test_long_curves_are_thinned_and_keep_their_end() -> None:
    long = [(float(x), float(x)) for x in range(1, 1002)]
    assert len(thinned(long)) <= MOST_POINTS + 1
    assert thinned(long)[-1] == long[-1]
    mean, band = middle_and_band([long, long])
    assert len(mean) == len(band) <= MOST_POINTS + 1
    assert mean[-1] == (1001, 1001)
