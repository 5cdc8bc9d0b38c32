"""Names of points keep clear of each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nas_cli.report.chart import Chart, Line
from nas_cli.report.curves import draw_chart
from nas_cli.report.labels import FONT, HEIGHT, Place, places
from nas_cli.report.layout import text_width

FRAME = (0.0, 0.0, 400.0, 200.0)


def box(place: Place, name: str) -> tuple[float, float, float, float]:
    x, y, anchor = place
    width = text_width(name, FONT)
    left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
    return left, y - HEIGHT, left + width, y


def apart(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_right_of_its_point_where_there_is_room_and_left_at_the_edge() -> None:
    first, last = places([(50, 100), (395, 20)], ["Inception V1", "SENet"], FRAME)
    assert first == (56.0, 103.5, "start")
    assert last == (389.0, 23.5, "end")


def test_names_of_near_points_do_not_meet() -> None:
    names = ["one network", "another network", "a third", "a fourth"]
    found = places([(200, 100), (204, 100), (200, 104), (208, 102)], names, FRAME)
    boxes = [box(place, name) for place, name in zip(found, names, strict=True)]
    assert all(apart(a, b) for k, a in enumerate(boxes) for b in boxes[:k])


@given(st.lists(st.tuples(st.floats(0, 400), st.floats(0, 200)), min_size=1, max_size=12))
def test_every_point_gets_one_place(points: list[tuple[float, float]]) -> None:
    assert len(places(points, ["a name"] * len(points), FRAME)) == len(points)


def test_a_chart_writes_the_names_of_its_dots() -> None:
    named = Line("networks", [(1.0, 70.0), (2.0, 75.0)], style="dots", labels=("A & B", ""))
    drawn = draw_chart(Chart("t", "x", "y", [named, Line("others", [(1.5, 72.0)], 1, style="dots")]))
    assert drawn.count(">A &amp; B</text>") == 1
