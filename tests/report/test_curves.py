"""Charts and panels are well formed, and numbers at axes are round."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lines import search_of

from nas_cli.report.alphas import data_for_panels
from nas_cli.report.chart import Chart, Line
from nas_cli.report.curves import HEIGHT, WIDTH, draw_chart, ticks
from nas_cli.report.panels import draw_panels
from nas_cli.report.trace import trace_of


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0, 0.93, False, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 50, True, [0, 10, 20, 30, 40, 50]),
        (0, 2, True, [0, 1, 2]),
        (-3, 7, False, [-4, -2, 0, 2, 4, 6, 8]),
        (3, 3, True, [3, 4]),
    ],
)
def test_ticks(low: float, high: float, whole: bool, expected: list[float]) -> None:
    assert ticks(low, high, whole=whole) == pytest.approx(expected)


@given(st.floats(-1e90, 1e90), st.floats(-1e90, 1e90), st.booleans())
def test_ticks_hold_what_they_are_for(one: float, other: float, whole: bool) -> None:
    low, high = sorted((one, other))
    found = ticks(low, high, whole=whole)
    slack = 1e-6 * max(abs(low), abs(high), 1e-2 if whole else 1e-9)
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    assert 2 <= len(found) <= 12
    assert found[0] < found[-1]


def parse(figure: str) -> ElementTree.Element:
    return ElementTree.fromstring(figure)


def example(**changes: object) -> Chart:
    lines = [
        Line("one", [(1, 0.5), (2, 0.75)], 0, band=[(1, 0.4, 0.6), (2, 0.7, 0.8)]),
        Line("two", [(1, 0.1), (2, 0.2), (3, 0.3)], 9, "step"),
        Line("three", [(2, 0.9)], 2, "dots"),
    ]
    return Chart("Title", "epochs", "accuracy, %", lines, **{"percent": True, **changes})  # type: ignore[arg-type]


def test_a_chart_says_what_it_shows() -> None:
    root = parse(draw_chart(example(note="How to read it.", marks=[(2, "here")], levels=[(0.6, "limit")])))
    texts = {"".join(element.itertext()) for element in root.iter("text")}
    assert {"epochs", "accuracy, %", "here", "limit", "1", "2", "3", "0", "20", "80", "100"} <= texts
    assert [element.text for element in root.iter("figcaption")] == ["Title"]
    assert ["".join(element.itertext()) for element in root.iter("li")] == ["one", "two", "three"]
    title = next(root.iter("title")).text or ""
    assert "one from 50.00 % at 1 to 75.00 % at 2" in title
    assert "How to read it." in "".join(root.itertext())


@pytest.mark.parametrize("changes", [{}, {"zero": True}, {"percent": False}, {"logarithmic": True}, {"whole": True}])
def test_everything_stands_inside(changes: dict[str, object]) -> None:
    for lines in (example().lines, [Line("x", [(5, 0.0)])], [Line("x", [(1, -2.0), (90, 1e6)])]):
        root = parse(draw_chart(Chart("t", "x", "y", lines, **changes)))  # type: ignore[arg-type]
        for element in root.iter("path"):
            for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", element.attrib["d"]):
                assert 0 <= float(x) <= WIDTH
                assert 0 <= float(y) <= HEIGHT


def test_a_band_does_not_reach_beyond_what_is_possible() -> None:
    line = Line("skips", [(1, 1.0), (2, 4.0)], band=[(1, -3.0, 5.0), (2, 3.0, 5.0)])
    root = parse(draw_chart(Chart("t", "epochs", "number", [line], zero=True)))
    numbers = [element.text for element in root.iter("text") if element.attrib.get("class") == "number"]
    assert not any(text and text.startswith("-") for text in numbers)


def test_names_are_escaped() -> None:
    bad = '</svg><script>alert("x")</script>&'
    figure = draw_chart(
        Chart(bad, bad, bad, [Line(bad, [(1, 1.0), (2, 2.0)])], marks=[(1, bad)], levels=[(1, bad)], note=bad)
    )
    assert "<script" not in figure
    parse(figure)


def test_panels_are_well_formed() -> None:
    lines = search_of([0, 1, 2])
    lines[0]["operations"]["normal"] = [["none", "<b>", "skip_connect", "sep_conv_3x3"]] * 5
    (panels, _) = data_for_panels(trace_of(lines))
    root = parse(f"<div>{draw_panels(panels)}</div>")
    assert len(list(root.iter("figure"))) == 5
    assert [(element.text or "") + (element[0].tail or "") for element in root.iter("li")] == [
        "none",
        "<b>",
        "skip_connect",
        "sep_conv_3x3",
    ]
    assert all(
        sum("line" in path.attrib["class"] for path in figure.iter("path")) == 4 for figure in root.iter("figure")
    )


def test_small_numbers_at_an_axis_are_short() -> None:
    chart = Chart("t", "x", "y", [Line("a", [(0.0, 0.0), (1.0, 3.2e-7)])])
    drawn = draw_chart(chart)
    assert [f">{number}</text>" in drawn for number in ("0", "1e-7", "2e-7", "4e-7")] == [True] * 4


def test_a_rug_stands_on_the_axis_of_x() -> None:
    chart = Chart(
        "t", "x", "y", [Line("a", [(0.0, 1.0), (4.0, 3.0)]), Line("seen", [(1.0, 1.0), (3.0, 1.0)], 1, "rug")]
    )
    (rug,) = [
        path
        for path in parse(draw_chart(chart)).iter("path")
        if path.get("class") == "rug line s1" and "L" not in path.attrib["d"] and path.attrib["d"].count("M") == 2
    ]
    assert len({y for _, y in re.findall(r"M([\d.]+) ([\d.]+)v-8", rug.attrib["d"])}) == 1
