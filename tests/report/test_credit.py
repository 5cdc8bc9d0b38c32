"""What the diagnostic `credit` writes down, as curves."""

from __future__ import annotations

import pytest
from lines import first, line

from nas_cli.report.credit import credit_charts
from nas_cli.report.figures import run_charts
from nas_cli.report.trace import trace_of

EDGES = [0.1, -0.2, 0.3, -0.4, 0.5]  # of a cell with two inputs and two nodes


def test_every_edge_has_a_curve_with_its_name() -> None:
    lines = [first(credit_normal=EDGES), line(1), line(2, credit_normal=[2 * value for value in EDGES])]
    (chart,) = credit_charts(trace_of(lines))
    assert chart.title == "Credit of the edges, normal cell"
    assert {each.name: list(each.points) for each in chart.lines} == {
        "0 → 2": [(1, 0.1), (3, 0.2)],
        "1 → 2": [(1, -0.2), (3, -0.4)],
        "0 → 3": [(1, 0.3), (3, 0.6)],
        "1 → 3": [(1, -0.4), (3, -0.8)],
        "2 → 3": [(1, 0.5), (3, 1.0)],
    }
    assert len({each.colour for each in chart.lines}) == len(EDGES)


def test_a_curve_is_broken_where_a_stage_begins() -> None:
    lines = [first(stage=0, credit_normal=[0.1]), first(stage=1, credit_normal=[0.2])]
    (chart,) = credit_charts(trace_of(lines))
    assert [(each.name, each.colour, list(each.points)) for each in chart.lines] == [
        ("0 → 1", 0, [(1, 0.1)]),
        ("", 0, [(2, 0.2)]),
    ]


def test_each_type_of_cell_has_a_chart_in_the_page_of_its_run() -> None:
    titles = [each.title for each in run_charts(trace_of([first(credit_normal=EDGES, credit_reduce=EDGES)]))]
    assert titles[-2:] == ["Credit of the edges, normal cell", "Credit of the edges, reduction cell"]
    assert not any("Credit" in each.title for each in run_charts(trace_of([first(), line(1)])))


def test_edges_of_an_unknown_cell_are_counted() -> None:
    (chart,) = credit_charts(trace_of([first(credit_normal=EDGES[:4])]))
    assert [each.name for each in chart.lines] == ["edge 1", "edge 2", "edge 3", "edge 4"]


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [[]], [None], ["a"], [1e308]])
def test_malformed_values_are_left_out(value: object) -> None:
    assert credit_charts(trace_of([first(credit_normal=value)])) == []
