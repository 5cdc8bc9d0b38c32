"""What lies in the folders, as lines of a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_table import TABLE, write_table
from run_folders import write_run, write_unfinished

from nas_cli.tables import definition
from nas_cli.tables.definition import Table
from nas_cli.tables.plan import Job, jobs
from nas_cli.tables.results import FAILED, NOT_RUN, UNFINISHED, data_for_page, data_for_table


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.chdir(tmp_path)
    return definition.read("mine", write_table(tmp_path))


def finish(job: Job, error: float) -> None:
    write_run(job.stages[0].folder, {"valid_accuracy": 0.9}, wall_seconds=60.0, dataset="digits")
    evaluated = {"test_error": error, "params": 100}
    write_run(job.stages[1].folder, evaluated, command="evaluate", strategy=None, dataset="fashion_mnist")


def test_mean_and_deviation_over_the_seeds(table: Table) -> None:
    planned = jobs(table, "smoke")
    finish(planned[0], 0.02)
    finish(planned[1], 0.04)
    line = data_for_table(table, planned, {})[1]
    measured = line.measured["error"]
    assert (measured.mean, measured.count) == (pytest.approx(0.03), 2)
    assert measured.deviation == pytest.approx(0.0141421, rel=1e-5)
    assert line.measured["cost"].mean == 60.0
    assert (line.finished, line.wanted, line.state) == (2, 2, "")
    assert line.datasets == ("digits", "fashion_mnist")
    assert line.devices == ("cpu",)


def test_one_seed_has_no_deviation(table: Table) -> None:
    planned = jobs(table, "smoke")
    finish(planned[1], 0.04)
    line = data_for_table(table, planned, {})[1]
    assert line.measured["error"].deviation is None
    assert (line.finished, line.wanted) == (1, 2)


def test_what_is_missing_is_said(table: Table) -> None:
    planned = jobs(table, "smoke")
    cited, found, published = data_for_table(table, planned, {})
    assert (cited.state, found.state, published.state) == ("", NOT_RUN, NOT_RUN)
    assert (cited.wanted, cited.stages, published.stages) == (0, frozenset(), {"evaluate"})
    write_unfinished(planned[0].stages[0].folder)
    assert data_for_table(table, planned, {})[1].state == UNFINISHED
    line = data_for_table(table, planned, {("found", 1): "nas-run: no"})[1]
    assert (line.state, line.problems) == (FAILED, ("found, seed 1: nas-run: no",))


def test_a_damaged_result_fails_its_row_alone(table: Table) -> None:
    planned = jobs(table, "smoke")
    finish(planned[0], 0.02)
    (planned[0].stages[1].folder / "result.json").write_text("{")
    finish(planned[1], 0.04)
    line = data_for_table(table, planned, {})[1]
    assert line.measured["error"].mean == 0.04
    assert "cannot be read as JSON" in line.problems[0]


def test_a_metric_that_only_some_seeds_have_is_left_out(table: Table) -> None:
    planned = jobs(table, "smoke")
    finish(planned[0], 0.02)
    finish(planned[1], 0.04)
    path = planned[1].stages[1].folder / "result.json"
    result = json.loads(path.read_text())
    result["best"]["metrics"]["test_error"] = None
    path.write_text(json.dumps(result))
    line = data_for_table(table, planned, {})[1]
    assert set(line.measured) == {"params", "cost"}


def test_a_row_is_without_what_would_be_of_something_else(tmp_path: Path, table: Table) -> None:
    text = TABLE.replace("    label: ours\n", "    label: ours\n    without: [cost]\n")
    planned = jobs(table, "smoke")
    finish(planned[0], 0.02)
    assert set(data_for_table(table, planned, {})[1].measured) == {"error", "params", "cost"}
    table = definition.read("mine", write_table(tmp_path, text))
    assert set(data_for_table(table, planned, {})[1].measured) == {"error", "params"}


def test_the_page_has_every_search_that_can_be_read_by_its_row_s_label(table: Table) -> None:
    planned = jobs(table, "smoke", seeds=4)
    assert data_for_page(table, planned) == []
    finish(planned[0], 0.02)
    write_unfinished(planned[1].stages[0].folder, seed=1)
    finish(planned[2], 0.02)
    (planned[2].stages[0].folder / "result.json").write_text("{")
    (planned[3].folder / "search").mkdir(parents=True)
    assert [(run.label, run.folder, run.finished) for run in data_for_page(table, planned)] == [
        ("ours", planned[0].stages[0].folder, True),
        ("ours", planned[1].stages[0].folder, False),
    ]


def test_the_page_has_no_search_of_other_settings(table: Table) -> None:
    planned = jobs(table, "smoke", seeds=1)
    planned[0].record()
    finish(planned[0], 0.02)
    assert len(data_for_page(table, planned)) == 1
    assert data_for_page(table, jobs(table, "smoke", ["strategy.epochs=9"], seeds=1)) == []
