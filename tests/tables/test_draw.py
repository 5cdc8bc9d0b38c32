"""How a table looks: reported beside measured, marks, scale in words; the same rows as Markdown and CSV."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_table import TABLE, write_table

from nas_cli.tables import definition
from nas_cli.tables.definition import Table
from nas_cli.tables.draw import draw_markdown, draw_table, write_csv
from nas_cli.tables.results import NOT_RUN, Line, Measured


def lines_of(table: Table, measured: dict[str, Measured], state: str = "") -> list[Line]:
    """A cited row, one with two seeds, and one whose evaluation alone runs."""
    cited, found, published = table.rows
    both = frozenset({"search", "evaluate"})
    return [
        Line(cited, {}, frozenset(), 0, 0, "", (), (), ()),
        Line(found, measured, both, 2 if measured else 0, 2, state, ("digits",), ("cpu",), ()),
        Line(published, {}, frozenset({"evaluate"}), 0, 1, NOT_RUN, (), (), ("published, seed 0: no data",)),
    ]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return definition.read("mine", write_table(tmp_path))


MEASURED = {
    "error": Measured(0.03, 0.0141421, 2),
    "params": Measured(59338, 0.0, 2),
    "cost": Measured(26.0, 1.0, 2),
}


def test_reported_beside_measured(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = draw_table(table, "smoke", lines_of(table, MEASURED))
    shown = {line.split("  ")[0]: line.split() for line in text.splitlines() if line}
    assert " ".join(shown["ours"]) == "ours 2.76 ± 0.09 3.00 ± 1.41 – 0.059 ± 0.000 – 26.0 ± 1.0 s 2"
    assert " ".join(shown["someone else"]) == "someone else 2.50 – 3.3 ? – 2000 ? – –"
    assert " ".join(shown["their cell"]) == "their cell 2.76 ± 0.09 not run – not run – – 0 of 1"


@pytest.mark.parametrize(("scale", "words"), [("smoke", "NOT the paper's"), ("full", "the paper's own setting")])
def test_the_scale_stands_above_in_words(table: Table, scale: str, words: str) -> None:
    for draw in (draw_table, draw_markdown):
        text = draw(table, scale, lines_of(table, MEASURED))
        above = " ".join(text.partition("someone else")[0].split())
        assert f"{scale}: " in above
        assert words in above
        assert "digits; cpu" in above


def test_a_mark_is_explained_only_where_it_stands(tmp_path: Path, table: Table) -> None:
    assert "not verified" in draw_table(table, "smoke", lines_of(table, MEASURED))
    without = definition.read("mine", write_table(tmp_path, TABLE.replace(" (u)", "")))
    assert "not verified" not in draw_table(without, "smoke", lines_of(without, MEASURED))


def test_failures_stand_below(table: Table) -> None:
    assert draw_table(table, "smoke", lines_of(table, {})).endswith("failed: published, seed 0: no data\n")


@pytest.mark.parametrize("columns", ["50", "60", "80", "200"])
def test_no_line_is_wider_than_the_terminal(table: Table, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = draw_table(table, "smoke", lines_of(table, MEASURED))
    assert max(map(len, text.splitlines())) <= int(columns)
    assert text.count("2.76 ± 0.09") == 2
    assert "3.00 ± 1.41" in text
    assert ("left out" in text) == (columns in ("50", "60"))


def test_a_row_with_nothing_to_show_is_one_line(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    cited, *others = lines_of(table, MEASURED)
    empty = replace(cited, row=replace(cited.row, reported={}))
    drawn = draw_table(table, "smoke", [empty, *others])
    (shown,) = [line for line in drawn.splitlines() if line.startswith("someone else")]
    assert set(shown.removeprefix("someone else").split()) == {"reported", "–"}


def test_a_row_that_is_run_at_other_scales_alone_says_so(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    cited, found, _ = lines_of(table, MEASURED)
    elsewhere = replace(found, measured={}, stages=frozenset(), finished=0, wanted=0, state="")
    for columns in ("80", "200"):  # below each other, and beside each other
        monkeypatch.setenv("COLUMNS", columns)
        (shown,) = [line for line in draw_table(table, "full", [cited, elsewhere]).splitlines() if "ours" in line]
        assert shown.endswith("none here"), columns


def test_a_column_that_a_row_is_without_is_not_called_missing(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _, found, _ = lines_of(table, {}, NOT_RUN)
    without = replace(found, row=replace(found.row, without=frozenset({"cost"})))
    shown = [draw_table(table, "smoke", [each]).count("not run") for each in (found, without)]
    assert shown == [3, 2]


def test_without_reported_figures_there_is_no_column_for_them(tmp_path: Path) -> None:
    text = "\n".join(line for line in TABLE.splitlines() if "reported:" not in line)
    table = definition.read("mine", write_table(tmp_path, text))
    drawn = draw_table(table, "smoke", lines_of(table, MEASURED))
    assert "reported" not in drawn.partition("test error")[2]
    assert drawn.split().count("here") == 5  # twice in the heading, and above three columns


def test_markdown_has_a_row_for_every_line(table: Table) -> None:
    rows = [line for line in draw_markdown(table, "smoke", lines_of(table, MEASURED)).splitlines() if "|" in line]
    assert len(rows) == 2 + 3
    assert len({row.count("|") for row in rows}) == 1
    assert "test error, % reported" in rows[0]
    assert rows[3].startswith("| ours | 2.76 ± 0.09 | 3.00 ± 1.41 |")


def test_csv_holds_all_digits_and_the_marks(table: Table, tmp_path: Path) -> None:
    write_csv(table, "smoke", lines_of(table, MEASURED), tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        cited, found, _ = csv.DictReader(file)
    assert cited["params (M): reported"] == "3.3"
    assert cited["params (M): verified"] == "False"
    assert cited["test error (%): here"] == ""
    assert float(found["test error (%): here"]) == 3.0
    assert float(found["test error (%): here, std"]) == pytest.approx(1.41421)
    assert float(found["params (M): here"]) == pytest.approx(0.059338)
    assert (found["row"], found["scale"], found["seeds"], found["data"]) == ("found", "smoke", "2", "digits")
