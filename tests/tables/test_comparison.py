"""How sure it is that two rows differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_table import TABLE, write_table
from run_folders import write_run

from nas_cli.errors import InputError
from nas_cli.tables import definition
from nas_cli.tables.comparison import paired_p
from nas_cli.tables.plan import jobs
from nas_cli.tables.results import data_for_table
from nas_cli.tables.units import written


def test_the_p_value() -> None:
    """All of n signs alike: 2 / 2^n. One of them, the smallest, another way: 4 / 2^n."""
    better = {seed: 1.0 + seed for seed in range(6)}
    assert paired_p(better, dict.fromkeys(range(6), 0.0)) == (pytest.approx(2 / 64), 6)
    assert paired_p({**better, 0: -0.5}, dict.fromkeys(range(6), 0.0)) == (pytest.approx(4 / 64), 6)
    assert paired_p(better, better) == (1.0, 6)


def test_seeds_are_paired() -> None:
    assert paired_p({0: 1.0, 1: 2.0, 5: 9.0}, {1: 2.0, 0: 1.0}) == (1.0, 2)
    assert paired_p({0: 1.0, 1: 2.0}, {0: 1.0}) is None


def test_how_it_is_written() -> None:
    assert written("p", 1.9073e-06, None) == "1.9e-06"
    assert written("p", 0.5, None) == "0.5"


def column(against: str) -> str:
    text = TABLE.replace("from: search.wall_seconds}", f"from: search.best_at_1, against: {against}}}")
    return text.replace("evaluate: [architecture=darts_v2]\n    full: null", "search: [strategy=random]")


def test_a_column_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, other = (row.name for row in definition.read("mine", write_table(tmp_path, TABLE)).rows if not row.cites)
    table = definition.read("mine", write_table(tmp_path, column(first)))
    planned = jobs(table, "smoke", seeds=3)
    for job in planned:
        for stage in job.stages:
            folder = write_run(stage.folder, {"test_error": 0.1})
            score = job.seed + (0.5 if job.row == other else 0.0)
            (folder / "trials.jsonl").write_text(json.dumps({"index": 0, "score": score}) + "\n")
    lines = {line.row.name: line for line in data_for_table(table, planned, {})}
    measured = lines[other].measured["cost"]
    assert (measured.mean, measured.deviation, measured.count) == (0.25, None, 3)
    assert "cost" not in lines[first].measured


def test_a_row_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"columns.cost.against=nobody: must be one of the rows"):
        definition.read("mine", write_table(tmp_path, column("nobody")))
