"""A table's rows as points: what is reported, and what was counted here."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_table import TABLE, write_table

from nas_cli.errors import InputError
from nas_cli.tables import definition
from nas_cli.tables.definition import Plot, Table
from nas_cli.tables.plots import data_for_plots, plots_section
from nas_cli.tables.results import Line, Measured

PLOTS = TABLE.replace("rows:", "plots:\n  - {x: params, y: error}\nrows:", 1)


def table(folder: Path, text: str = PLOTS) -> Table:
    return definition.read("mine", write_table(folder, text))


def lines(made: Table, **measured: dict[str, float]) -> list[Line]:
    """As if rows had given these values, as run folders hold them."""
    return [
        Line(
            row=row,
            measured={name: Measured(value, None, 1) for name, value in measured.get(row.name, {}).items()},
            stages=frozenset(),
            finished=0,
            wanted=0,
            state="",
            datasets=(),
            devices=(),
            problems=(),
        )
        for row in made.rows
    ]


def test_rows_are_points_where_the_paper_and_where_we_have_them(tmp_path: Path) -> None:
    text = PLOTS.replace("reported: {error: 2.76 ± 0.09}", "reported: {error: 2.76 ± 0.09, params: 3.4}")
    made = table(tmp_path, text)
    assert made.plots == (Plot("params", "error"),)
    (chart,) = data_for_plots(made, lines(made, found={"params": 3_349_342}))
    assert (chart.x_label, chart.y_label) == ("params, M", "test error, %")
    points = {line.name: (list(line.points), tuple(line.labels)) for line in chart.lines}
    assert points == {
        "others, as reported": ([(3.3, 2.5)], ("someone else",)),
        "built here, as reported": ([(3.4, 2.76), (3.4, 2.76)], ("ours", "their cell")),
        "built here, our own figures": ([(3.349342, 2.76)], ("",)),
    }


def test_what_was_measured_replaces_what_is_reported(tmp_path: Path) -> None:
    made = table(tmp_path)
    (chart,) = data_for_plots(made, lines(made, found={"params": 3_000_000, "error": 0.031}))
    assert [(line.name, list(line.points)) for line in chart.lines[1:]] == [
        ("built here, our own figures", [(3.0, pytest.approx(3.1))])
    ]


def test_a_table_without_plots_has_no_section(tmp_path: Path) -> None:
    made = table(tmp_path, TABLE)
    assert plots_section(made, lines(made)) == []


@pytest.mark.parametrize(
    ("plots", "fault"),
    [
        ("{x: params, y: error}", "plots: must be a list"),
        ("[{x: params}]", "plots.0.y: is missing"),
        ("[{x: param, y: error}]", r"plots\.0\.x=param: must be one of the columns .* \(did you mean params\?\)"),
        ("[{x: params, y: error, z: cost}]", "plots.0.z: no such key"),
    ],
)
def test_faults(tmp_path: Path, plots: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        table(tmp_path, TABLE.replace("rows:", f"plots: {plots}\nrows:", 1))


@pytest.mark.parametrize("name", ["nasnet-imagenet", "nasnet-mobile"])
def test_the_lectures_two_plots(name: str) -> None:
    """NASNet (fig. 5): accuracy against multiply-adds and against parameters, of all networks of the table."""
    made = definition.read(name)
    charts = data_for_plots(made, lines(made))
    assert [chart.x_label for chart in charts] == ["params, M", "multiply-adds, M"]
    for chart in charts:
        assert sum(len(line.points) for line in chart.lines) == len(made.rows)
