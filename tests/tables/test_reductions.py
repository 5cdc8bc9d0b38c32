"""Numbers of a search's trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_up_table import TABLE, write_table
from run_folders import write_run

from nas_cli.tables import definition
from nas_cli.tables.plan import jobs
from nas_cli.tables.reductions import reduction
from nas_cli.tables.results import data_for_table

SCORES = (-3.0, None, -1.0, -2.0, -0.5)
TRIALS: list[dict[str, Any]] = [
    {
        "index": i,
        "score": s,
        "cost_seconds": 2.0,
        "metrics": {} if s is None else {"regret": -s},
        "started": 100.0 + i,
        "finished": 103.5 + i,
    }
    for i, s in enumerate(SCORES)
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("best_at_1", -3.0),
        ("best_at_4", -1.0),
        ("regret_at_4", 1.0),
        ("best_at_5", -0.5),
        ("best_at_6", None),
        ("loss_at_4", None),
        ("evaluations_to_-1", 3),
        ("evaluations_to_-0.75", 5),
        ("evaluations_to_0", None),
        ("seconds_to_-1", 6.0),
        ("worker_seconds", 17.5),  # of trials that overlap, one of them failed
    ],
)
def test_what_a_name_stands_for(name: str, value: float | None) -> None:
    found = reduction(name)
    assert found is not None
    assert found(TRIALS) == value


def test_the_mean_of_the_best_few() -> None:
    trials = [{**trial, "architecture": {"decisions": [k % 4]}} for k, trial in enumerate(TRIALS)]
    values = {name: found(trials) for name in ("top_1", "top_2", "top_2_at_3", "top_3", "top_4", "top_2_at_6")
              if (found := reduction(name)) is not None}  # fmt: skip
    # The fifth is the first once more, and better.
    assert values == {"top_1": -0.5, "top_2": -0.75, "top_2_at_3": -2.0, "top_3": -3.5 / 3, "top_4": None,
                      "top_2_at_6": None}  # fmt: skip


def test_workers_without_a_trial_cost_nothing_that_is_known() -> None:
    found = reduction("worker_seconds")
    assert found is not None
    assert found([]) is None


@pytest.mark.parametrize("name", ["wall_seconds", "best_at_", "evaluations_to_x", "at_3", "regret"])
def test_other_names_are_no_reductions(name: str) -> None:
    assert reduction(name) is None


def test_a_column_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = TABLE.replace("from: search.wall_seconds", "from: search.regret_at_4")
    table = definition.read("mine", write_table(tmp_path, text))
    for job in jobs(table, "smoke"):
        for stage in job.stages:
            folder = write_run(stage.folder, {"test_error": 0.1})
            (folder / "trials.jsonl").write_text("".join(json.dumps(trial) + "\n" for trial in TRIALS))
    assert data_for_table(table, jobs(table, "smoke"), {})[1].measured["cost"].mean == 1.0
