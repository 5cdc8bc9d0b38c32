"""Run folders are found, read, and never trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from run_folders import DECISIONS, write_run, write_unfinished

from nas_cli import published
from nas_cli.errors import InputError
from nas_cli.report.page import run_title
from nas_cli.report.runs import find_runs, read_run


def test_a_run_is_read(tmp_path: Path) -> None:
    (run,) = find_runs([write_run(tmp_path / "run", seed=3)])
    assert run.finished
    assert (run.command, run.strategy, run.space) == ("search", "random", "nasbench201")
    assert (run.dataset, run.estimator, run.seed) == ("cifar10", "table", 3)
    assert (run.score_name, run.score) == ("valid_accuracy", 0.9)
    assert run.metrics == {"valid_accuracy": 0.9, "test_accuracy": 0.93}
    assert (run.evaluations, run.wall_seconds) == (1000, 1.5)
    assert run.result["best"]["architecture"]["decisions"] == DECISIONS


def test_a_formula_has_no_data_set(tmp_path: Path) -> None:
    """The default that a function's run names was not used; neither the page nor a table may say that it was."""
    run = read_run(write_run(tmp_path / "a", estimator="function", space="branin", dataset="digits"))
    assert (run.dataset, run.estimator) == (None, "function")
    assert run_title(run) == "random on space branin"
    assert read_run(write_run(tmp_path / "b", estimator="user", space="oven", dataset="none")).dataset is None


def test_sweeps_are_walked_and_runs_are_not(tmp_path: Path) -> None:
    write_run(tmp_path / "outputs" / "random-nasbench201-cifar10" / "2026-01-02_03-04-05")
    write_run(tmp_path / "multirun" / "2026-01-02_03-04-06" / "0")
    second = write_run(tmp_path / "multirun" / "2026-01-02_03-04-06" / "1")
    write_run(second / "inside a run")
    write_unfinished(tmp_path / ".hidden")
    found = [run.folder.relative_to(tmp_path).as_posix() for run in find_runs([tmp_path])]
    assert found == [
        "multirun/2026-01-02_03-04-06/0",
        "multirun/2026-01-02_03-04-06/1",
        "outputs/random-nasbench201-cifar10/2026-01-02_03-04-05",
    ]


def test_a_run_named_twice_counts_once(tmp_path: Path) -> None:
    run = write_run(tmp_path / "sweep" / "0")
    assert len(find_runs([run, tmp_path, os.path.relpath(run)])) == 1


def test_a_folder_without_a_result_is_an_unfinished_run(tmp_path: Path) -> None:
    (run,) = find_runs([write_unfinished(tmp_path, seed=4, strategy="darts")])
    assert not run.finished
    assert (run.command, run.strategy, run.space, run.seed) == ("search", "darts", "nasbench201", 4)
    assert run.score is None
    assert run.metrics == {}


def test_an_unfinished_evaluation_is_known_by_what_it_evaluates(tmp_path: Path) -> None:
    (run,) = find_runs([write_unfinished(tmp_path, more="command: evaluate\nrun: null\narchitecture: darts_v2\n")])
    assert (run.command, run.architecture) == ("evaluate", "darts_v2")


def test_an_interpolation_is_not_resolved(tmp_path: Path) -> None:
    (run,) = find_runs([write_unfinished(tmp_path, more="secret: ${oc.env:HOME}\nbroken: ${nowhere}\n")])
    assert run.strategy == "random"


def test_a_python_object_in_a_config_is_refused(tmp_path: Path) -> None:
    write_unfinished(tmp_path, more=f"bad: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']\n")
    with pytest.raises(InputError, match=r"config\.yaml: cannot be read as YAML") as caught:
        find_runs([tmp_path])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_an_evaluation_of_a_published_architecture_has_its_name(tmp_path: Path) -> None:
    best = {"architecture": published.load("darts_v2").to_json(), "score": 0.97, "metrics": {"test_accuracy": 0.97}}
    (run,) = find_runs([write_run(tmp_path, command="evaluate", strategy=None, estimator=None, best=best)])
    assert run.architecture == "darts_v2"
    assert run.strategy is None


def test_an_unknown_architecture_has_a_name_that_depends_on_its_decisions(tmp_path: Path) -> None:
    names = []
    for index, decisions in enumerate([DECISIONS, DECISIONS, DECISIONS[::-1]]):
        best = {"architecture": {"space": "nasbench201", "decisions": decisions}, "score": 0.9, "metrics": {}}
        (run,) = find_runs([write_run(tmp_path / str(index), command="evaluate", strategy=None, best=best)])
        names.append(run.architecture)
    assert names[0] == names[1] != names[2]
    assert [len(name or "") for name in names] == [8, 8, 8]


def test_what_is_no_finite_number_is_left_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path, metrics={"a": float("nan"), "b": None, "c": 1})
    assert "NaN" in (folder / "result.json").read_text()
    (run,) = find_runs([folder])
    assert run.metrics == {"c": 1}
    assert run.score is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"schema": 1, "best"',
        "[1, 2]",
        '{"best": [1]}',
        '{"best": {"score": "high"}}',
        '{"best": {"score": true}}',
        '{"best": {"metrics": [0.9]}}',
        '{"best": {"metrics": {"test_accuracy": "0.9"}}}',
        '{"strategy": {"_target_": "os.system"}}',
        '{"command": "evaluate", "best": {"architecture": {"space": 1}}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_result_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(InputError, match=r"result\.json: ") as caught:
        find_runs([tmp_path])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_result_that_is_no_text_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        find_runs([tmp_path])


def test_paths_without_a_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="holds no run"):
        find_runs([tmp_path])
    file = write_run(tmp_path / "run") / "result.json"
    with pytest.raises(InputError, match="not a folder"):
        find_runs([file])


def test_the_jobs_of_a_sweep_stand_in_their_order(tmp_path: Path) -> None:
    for number in range(12):
        write_run(tmp_path / str(number), seed=number)
    assert [run.seed for run in find_runs([tmp_path])] == list(range(12))
