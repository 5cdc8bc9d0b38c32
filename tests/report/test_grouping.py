"""Only runs that differ in nothing but their seeds are one group."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_folders import write_run, write_unfinished

from nas_cli.errors import InputError
from nas_cli.report.grouping import NO_CONFIG, short_keys
from nas_cli.report.options import flatten, read_config
from nas_cli.report.runs import find_runs
from nas_cli.report.table import data_for_each, data_for_summary, draw_summary, write_csv

GRADIENTS = "nas_cli.strategies.gradient.architecture_gradient"


def config(seed: int = 0, order: str = "FirstOrder", batch_size: int = 32, **changes: Any) -> dict[str, Any]:
    return {
        "command": "search",
        "hardware": {"device": "cpu"},
        "estimator": {"batch_size": batch_size, "momentum": 0.9},
        "evaluation": {"batch_size": 32, "epochs": 20},
        "strategy": {"architecture_gradient": {"_target_": f"{GRADIENTS}.{order}"}, "betas": [0.5, 0.999]},
        "seed": seed,
        "checkpoint_seconds": 30.0,
        "names": {"strategy": "random", "evaluation": "small"},
        "config_dir": None,
    } | changes


def write(folder: Path, settings: dict[str, Any] | None, **changes: Any) -> None:
    write_run(folder, **changes)
    (folder / "config.yaml").unlink()
    if settings is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump(settings))


def test_orders_and_batch_sizes_are_told_apart(tmp_path: Path) -> None:
    settings = [config(0), config(1), config(0, "SecondOrder"), config(0, "SecondOrder", 64), config(1, "SecondOrder")]
    for number, each in enumerate(settings):
        write(tmp_path / str(number), each, seed=each["seed"])
    runs = find_runs([tmp_path])
    told = [(row["options"], row["runs"], row["seeds"]) for row in data_for_summary(runs)]
    assert told == [
        ("batch_size=32, architecture_gradient=FirstOrder", 2, 2),
        ("batch_size=32, architecture_gradient=SecondOrder", 2, 2),
        ("batch_size=64, architecture_gradient=SecondOrder", 1, 1),
    ]
    assert [row["options"] for row in data_for_each(runs)] == [told[row][0] for row in (0, 0, 1, 2, 1)]


def test_what_does_not_change_a_result_is_no_option(tmp_path: Path) -> None:
    write(tmp_path / "0", config(0))
    more = {"hardware": {"device": "cuda"}, "checkpoint_seconds": 5, "config_dir": "own", "run": "elsewhere"}
    write(tmp_path / "1", config(1, **more), seed=1)
    (row,) = data_for_summary(find_runs([tmp_path]))
    assert row["runs"] == 2
    assert "options" not in row
    assert "evaluation" not in row


def test_options_of_other_names_are_not_compared(tmp_path: Path) -> None:
    write(tmp_path / "0", config(batch_size=32))
    write(tmp_path / "1", config(batch_size=64), strategy="evolution")
    assert not any("options" in row for row in data_for_summary(find_runs([tmp_path])))


def test_only_groups_that_need_options_have_some(tmp_path: Path) -> None:
    write(tmp_path / "0", config(batch_size=32))
    write(tmp_path / "1", config(batch_size=64))
    write(tmp_path / "2", config(batch_size=96), strategy="evolution")
    rows = data_for_summary(find_runs([tmp_path]))
    assert [row["options"] for row in rows] == ["batch_size=32", "batch_size=64", None]


def test_without_a_config_only_names_count(tmp_path: Path) -> None:
    write(tmp_path / "0", None)
    write(tmp_path / "1", None, seed=1)
    (row,) = data_for_summary(find_runs([tmp_path]))
    assert (row["runs"], "options" in row) == (2, False)
    write(tmp_path / "2", config())
    rows = data_for_summary(find_runs([tmp_path]))
    assert [(row["runs"], row["options"]) for row in rows] == [(2, NO_CONFIG), (1, None)]


def test_an_option_that_only_one_has(tmp_path: Path) -> None:
    write(tmp_path / "0", config())
    write(tmp_path / "1", config(strategy=config()["strategy"] | {"epsilon": 0.01}))
    assert [row["options"] for row in data_for_summary(find_runs([tmp_path]))] == [None, "epsilon=0.01"]


def test_keys_of_the_same_end_and_classes_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    write(tmp_path / "0", config())
    other = config(batch_size=64, evaluation={"batch_size": 96, "epochs": 20})
    other["strategy"]["architecture_gradient"]["_target_"] = "mine.FirstOrder"
    write(tmp_path / "1", other)
    _, row = data_for_summary(find_runs([tmp_path]))
    assert row["options"] == "estimator.batch_size=64, evaluation.batch_size=96, architecture_gradient=mine.FirstOrder"


def test_short_keys() -> None:
    assert short_keys(["a.b.x", "c.b.x", "c.y", "y", "s.t._target_", "_target_"]) == {
        "a.b.x": "a.b.x",
        "c.b.x": "c.b.x",
        "c.y": "c.y",
        "y": "y",
        "s.t._target_": "t",
        "_target_": "_target_",
    }


def test_evaluations_show_their_recipe_and_their_architecture(tmp_path: Path) -> None:
    known: dict[str, Any] = {"command": "evaluate", "strategy": None, "estimator": None}
    for number, (recipe, told) in enumerate([("small", "x/a.json"), ("small", None), ("cifar10", None)]):
        write(
            tmp_path / str(number),
            {"run": f"run{number}", "architecture": told, "names": {"evaluation": recipe}},
            evaluation=recipe,
            seed=number,
            **known,
        )
    rows = data_for_summary(find_runs([tmp_path]))
    assert [(row["evaluation"], row["runs"]) for row in rows] == [("small", 2), ("cifar10", 1)]
    assert rows[0]["architecture"] == rows[1]["architecture"]
    (row,) = data_for_summary(find_runs([tmp_path / "0"]))
    assert row["evaluation"] == "small"


def test_searches_show_the_recipe_where_they_differ_in_it(tmp_path: Path) -> None:
    for recipe in ("small", "cifar10"):
        write(tmp_path / recipe, config(), evaluation=recipe)
    assert [row["evaluation"] for row in data_for_summary(find_runs([tmp_path]))] == ["cifar10", "small"]


def test_an_unfinished_run_joins_its_group(tmp_path: Path) -> None:
    first = write_unfinished(tmp_path / "0", seed=0, more="strategy: {epochs: 5}\n")
    write(tmp_path / "1", yaml.safe_load((first / "config.yaml").read_text()) | {"seed": 1}, seed=1)
    (row,) = data_for_summary(find_runs([tmp_path]))
    assert (row["runs"], row["unfinished"]) == (1, 1)


def test_the_table_and_the_csv_show_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "0", config(batch_size=32))
    write(tmp_path / "1", config(batch_size=64))
    rows = data_for_summary(find_runs([tmp_path]))
    write_csv(rows, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        assert [row["options"] for row in csv.DictReader(file)] == ["batch_size=32", "batch_size=64"]
    monkeypatch.setenv("COLUMNS", "250")
    head, _, first, second, *_ = draw_summary(rows).splitlines()
    assert head.index("options") == first.index("batch_size=32") == second.index("batch_size=64")
    # The column needs 13 + 2 + 5 (seeds) + 2 + 16 (valid_accuracy %) = 38; below that, options stand below the rows.
    monkeypatch.setenv("COLUMNS", "37")
    lines = draw_summary(rows).splitlines()
    assert "    batch_size=32" in lines
    assert "    batch_size=64" in lines
    assert "left out, the terminal is too narrow: options" not in "\n".join(lines)


def test_values_as_text() -> None:
    settings = {"a": {"b": None, "c": True, "d": 1.0}, "e": [1, 0.5, "x"], "f": {}, "g": "${nowhere}"}
    assert dict(flatten(settings)) == {
        "a.b": "null",
        "a.c": "true",
        "a.d": "1",
        "e": "[1, 0.5, x]",
        "f": "{}",
        "g": "${nowhere}",
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "[1, 2]",
        "",
        "a: &a [1]\nb: *a\n",
        "a: &a [*a]\n",
        "a: !!python/name:os.system\n",
        pytest.param("[" * 2000, id="deep"),
        pytest.param("a: \x00", id="zero"),
    ],
)
def test_a_damaged_config_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    write_run(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=r"config\.yaml: ") as caught:
        find_runs([tmp_path])
    assert "\n" not in str(caught.value)


def test_no_config_is_none(tmp_path: Path) -> None:
    assert read_config(tmp_path / "config.yaml") is None


def test_a_hundred_folders_are_one_row(tmp_path: Path) -> None:
    for number in range(100):
        write(tmp_path / str(number), config(number, more={f"key{n}": n / 7 for n in range(60)}), seed=number)
    (row,) = data_for_summary(find_runs([tmp_path]))
    assert row["runs"] == 100


def test_runs_of_one_label_belong_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for number, batch_size in enumerate((32, 64, 32)):
        write(tmp_path / str(number), config(number, batch_size=batch_size), seed=number)
    labels = ("one", "one", "other")
    runs = [replace(run, label=label) for run, label in zip(find_runs([tmp_path]), labels, strict=True)]
    rows = data_for_summary(runs)
    assert [(row["label"], row["runs"]) for row in rows] == [("one", 2), ("other", 1)]
    assert not any("options" in row for row in rows)
    assert draw_summary(rows).startswith("label ")
    assert [row["label"] for row in data_for_each(runs)] == list(labels)


def test_without_labels_there_is_no_column_of_them(tmp_path: Path) -> None:
    write(tmp_path, config())
    assert "label" not in data_for_summary(find_runs([tmp_path]))[0]
