"""Heat maps, and sheets of pictures."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nas_cli.report.chart import Chart, Line
from nas_cli.report.heat_maps import COLOURS, WIDTH, Map, colour, contour, draw_map, map_svg
from nas_cli.report.layout import text_width
from nas_cli.report.model_pictures import ModelPictures
from nas_cli.report.svg_files import write_svg_files

RAMP = Map("ramp", ("a", 0.0, 2.0), ("b", 0.0, 1.0), [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]], [(1.0, 0.5)], (2.0, 1.0))


def test_a_contour_runs_where_the_value_is() -> None:
    assert [{x for x, _ in piece} for piece in contour(RAMP.values, 0.25)] == [{0.25}]
    assert list(contour(RAMP.values, 5.0)) == []


@pytest.mark.parametrize("values", [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
def test_a_saddle_has_two_pieces_that_cut_off_its_low_corners(values: list[list[float]]) -> None:
    pieces = list(contour(values, 0.5))
    assert len(pieces) == 2
    low = [(x, y) for y in (0, 1) for x in (0, 1) if values[y][x] == 0]
    for piece in pieces:
        middle = (sum(x for x, _ in piece) / 2, sum(y for _, y in piece) / 2)
        assert min(abs(middle[0] - x) + abs(middle[1] - y) for x, y in low) == pytest.approx(0.5)


def test_colours_go_from_dark_to_light() -> None:
    assert (colour(0.0), colour(1.0), colour(9.0)) == (COLOURS[0], COLOURS[-1], COLOURS[-1])
    sums = [sum(colour(k / 10)) for k in range(11)]
    assert sums == sorted(sums)


def test_a_map_has_its_image_its_marks_and_its_axes() -> None:
    drawn = draw_map(RAMP)
    (image,) = re.findall(r"base64,([^\"]+)", drawn)
    assert base64.b64decode(image).startswith(b"\x89PNG")
    assert drawn.count("<circle") == 1
    assert "from 0 (dark) to 2 (light)" in drawn
    ElementTree.fromstring(map_svg(RAMP))


def test_a_flat_map_is_drawn() -> None:
    ElementTree.fromstring(map_svg(Map("flat", ("a", 0.0, 1.0), ("b", 0.0, 1.0), [[1.0, 1.0], [1.0, 1.0]])))


def test_sheets_stand_alone_and_only_where_there_is_something(tmp_path: Path) -> None:
    chart = Chart("A & B", "x", "y", [Line("one <", [(0.0, 1.0), (1.0, 2.0)])])
    write_svg_files(tmp_path, [], [ModelPictures("of < one", [[chart, RAMP]] * 5)])
    assert [path.name for path in tmp_path.iterdir()] == ["posterior.svg"]
    root = ElementTree.fromstring((tmp_path / "posterior.svg").read_text())
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert words.count("A & B") == 5
    assert "one <" in words
    pictures = [each for each in root if each.tag.endswith("svg") and each.get("width") != "26"]
    assert len(pictures) == 10
    assert len({each.get("y") for each in pictures}) == 4  # the fifth column stands in a second row


def test_notes_in_a_file_are_broken_into_lines(tmp_path: Path) -> None:
    note = "A note that says a little more than what one line below a picture can hold, and then some more of it."
    write_svg_files(tmp_path, [], [ModelPictures("", [[replace(RAMP, note=note)]])])
    root = ElementTree.fromstring((tmp_path / "posterior.svg").read_text())
    lines = [each.text or "" for each in root if each.get("class") == "hint"]
    assert len(lines) > 1
    assert " ".join(lines) == note
    assert all(text_width(line, 11) <= WIDTH for line in lines)
