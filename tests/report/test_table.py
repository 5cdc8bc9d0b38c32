"""Groups, statistics and formats of the summary."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from nas_cli.report.runs import Run
from nas_cli.report.table import data_for_each, data_for_summary, draw_summary, write_csv


def run(seed: int = 0, score: float | None = 0.9, finished: bool = True, **changes: Any) -> Run:
    known: dict[str, Any] = {"command": "search", "strategy": "random", "space": "nasbench201", "dataset": "cifar10"}
    known["estimator"] = "table"
    if finished:
        metrics = {} if score is None else {"valid_accuracy": score}
        known |= {"score_name": "valid_accuracy", "metrics": metrics, "evaluations": 100, "wall_seconds": 2.0}
        known["score"] = score
    return Run(folder=Path(f"run{seed}"), finished=finished, seed=seed, **(known | changes))


def test_mean_and_sample_deviation() -> None:
    # 0.90, 0.92, 0.97: mean 2.79 / 3 = 0.93; squares 0.0009 + 0.0001 + 0.0016 = 0.0026; / (3 - 1) = 0.0013.
    (row,) = data_for_summary([run(0, 0.90), run(1, 0.92), run(2, 0.97, evaluations=130, wall_seconds=8.0)])
    assert row["score_mean"] == pytest.approx(0.93)
    assert row["score_std"] == pytest.approx(0.0013**0.5)
    assert row["valid_accuracy_mean"] == row["score_mean"]
    # (100 + 100 + 130) / 3 = 110; 100 + 100 + 400 = 600; / 2 = 300.
    assert row["evaluations_mean"] == pytest.approx(110)
    assert row["evaluations_std"] == pytest.approx(300**0.5)
    assert row["seconds_mean"] == pytest.approx(4)
    assert (row["seeds"], row["runs"], row["unfinished"]) == (3, 3, 0)


def test_one_run_has_no_deviation() -> None:
    (row,) = data_for_summary([run()])
    assert row["score_mean"] == 0.9
    assert row["score_std"] is None


def test_groups_keep_parts_apart_and_seeds_together() -> None:
    rows = data_for_summary(
        [
            run(0),
            run(0, strategy="evolution"),
            run(1),
            run(0, dataset="cifar100"),
            run(0, space="darts"),
            run(0, estimator="train"),
            run(0, command="evaluate"),
        ]
    )
    assert [row["runs"] for row in rows] == [2, 1, 1, 1, 1, 1]
    assert rows[1]["strategy"] == "evolution"


def test_architectures_that_no_strategy_found_are_kept_apart() -> None:
    evaluated: dict[str, Any] = {"command": "evaluate", "strategy": None}
    rows = data_for_summary(
        [
            run(0, architecture="darts_v1", **evaluated),
            run(0, architecture="darts_v2", **evaluated),
            run(1, architecture="darts_v1", **evaluated),
        ]
    )
    assert [(row["architecture"], row["runs"]) for row in rows] == [("darts_v1", 2), ("darts_v2", 1)]
    # What one strategy finds with several seeds is one sample of what it can find.
    found = [run(seed, architecture=str(seed), command="evaluate") for seed in range(3)]
    assert [row["runs"] for row in data_for_summary(found)] == [3]


def test_unfinished_runs_are_counted_and_nothing_else() -> None:
    (row,) = data_for_summary([run(0, 0.8), run(1, finished=False), run(2, 0.9), run(3, finished=False)])
    assert (row["seeds"], row["runs"], row["unfinished"]) == (2, 2, 2)
    assert row["score_mean"] == pytest.approx(0.85)
    (row,) = data_for_summary([run(1, finished=False)])
    assert (row["seeds"], row["runs"], row["unfinished"]) == (0, 0, 1)
    assert row["score_mean"] is None


def test_a_seed_that_ran_twice_is_one_seed() -> None:
    (row,) = data_for_summary([run(0), run(0), run(1)])
    assert (row["seeds"], row["runs"]) == (2, 3)


def test_only_shared_metrics_have_a_mean() -> None:
    (row,) = data_for_summary([run(0, metrics={"a": 1.0, "b": 2.0}), run(1, metrics={"b": 4.0, "c": 5.0})])
    assert row["metrics"] == ["b"]
    assert row["b_mean"] == 3
    assert "a_mean" not in row
    assert "c_mean" not in row


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf")])
def test_a_missing_score_leaves_the_mean_empty(missing: float | None) -> None:
    (row,) = data_for_summary([run(0, 0.9), run(1, missing, metrics={})])
    assert row["score_mean"] is None
    assert row["score_std"] is None
    assert row["runs"] == 2


def test_scores_of_different_names_have_no_mean() -> None:
    (row,) = data_for_summary([run(0), run(1, 30.0, score_name="negative_perplexity")])
    assert row["score_name"] is None
    assert row["score_mean"] is None


def test_a_metric_cannot_overwrite_a_column_of_the_run() -> None:
    (row,) = data_for_summary([run(metrics={"seconds": 99.0, "score": 7.0})])
    assert row["seconds_mean"] == 2
    assert row["score_mean"] == 0.9


def test_each_run_alone() -> None:
    rows = data_for_each([run(3, 0.8), run(5, 0.9)])
    assert [(row["seed"], row["folder"], row["score_mean"]) for row in rows] == [(3, "run3", 0.8), (5, "run5", 0.9)]


def test_percent_counts_and_plain_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    metrics = {"test_error": 0.0276, "params": 3_349_342, "macs": 1_528_359_040, "perplexity": 57.3456}
    # 0.9334 and 0.9406: mean 0.937, deviation 0.0072 / sqrt(2) = 0.00509.
    rows = data_for_summary([run(0, 0.9334, metrics=metrics), run(1, 0.9406, metrics=metrics)])
    head, _, line, *_ = draw_summary(rows).splitlines()
    assert "valid_accuracy %" in head
    assert "test_error %" in head
    assert "93.70 ± 0.51" in line
    assert "2.76 ± 0.00" in line
    assert "3.35M ± 0" in line
    assert "1.53G ± 0" in line
    assert "57.35 ± 0" in line


def test_columns_are_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    rows = data_for_summary([run(0, 0.05), run(0, 0.95, strategy="evolution"), run(1, 0.94, strategy="evolution")])
    head, rule, first, second, *_ = draw_summary(rows).splitlines()
    end = head.index("valid_accuracy %") + len("valid_accuracy %")
    assert first[:end].endswith(" 5.00")
    assert second[:end].endswith(" 94.50 ± 0.71")
    assert rule[end - 1 : end + 1] == "─ "
    assert first.index("nasbench201") == second.index("nasbench201") == head.index("space")


def test_the_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = {f"metric_{index}": 1.0 for index in range(6)}
    rows = data_for_summary([run(0, metrics=metrics), run(0, metrics=metrics, strategy="evolution")])
    for width in (70, 90, 120, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        text = draw_summary(rows)
        table = [line for line in text.splitlines() if not line.startswith("left out")]
        assert max(map(len, table)) <= width
        assert "evolution" in text
        assert "nasbench201" in text
        assert "90.00" in text
        # Every metric is shown or named as left out.
        assert all(name in text for name in metrics)
    assert "left out" not in text


def test_empty_columns_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    finished, unfinished = data_for_summary([run()]), data_for_summary([run(), run(1, finished=False)])
    assert "unfinished" not in draw_summary(finished)
    assert "unfinished" in draw_summary(unfinished)
    assert "architecture" not in draw_summary(finished)


def test_unfinished_runs_are_drawn_where_nothing_is_finished() -> None:
    text = draw_summary(data_for_summary([run(finished=False), run(1, finished=False)]))
    assert "unfinished" in text
    assert "random" in text
    assert "unfinished" in draw_summary(data_for_each([run(finished=False)]))


def test_different_scores_are_named_in_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    text = draw_summary(data_for_summary([run(), run(strategy="bo", score=-0.4, score_name="value", metrics={})]))
    assert "90.00" in text
    assert "-0.4" in text
    assert "value" in text


def test_csv_read_back(tmp_path: Path) -> None:
    third = 1 / 3
    rows = data_for_summary([run(0, third), run(0, 0.5, strategy="evolution", metrics={"params": 10}), run(1, third)])
    write_csv(rows, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["strategy"] == "random"
    assert float(first["score_mean"]) == third
    assert float(first["valid_accuracy_std"]) == 0
    assert first["params_mean"] == ""
    assert float(second["params_mean"]) == 10
    assert second["score_std"] == ""
    assert second["valid_accuracy_mean"] == ""
    assert (first["seeds"], second["seeds"]) == ("2", "1")
