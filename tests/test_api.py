"""Python use, without Hydra."""

from __future__ import annotations

from pathlib import Path

import pytest

import nas_cli
from nas_cli.errors import InputError

TINY = {"strategy.epochs": 1, "space.channels": 2, "space.cells": 3, "estimator.batch_size": 128}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_search_then_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    found = nas_cli.search("darts", dataset="digits", options=TINY, folder="found")
    assert found.folder == Path("found")
    assert 0 <= found.score <= 1
    assert (
        nas_cli.load_architecture("found") == nas_cli.load_architecture("found/architecture.json") == found.architecture
    )

    evaluated = nas_cli.evaluate(found, options={"evaluation.epochs": 1}, folder="evaluated")
    assert evaluated.architecture == found.architecture
    assert evaluated.metrics["test_accuracy"] == evaluated.score
    again = nas_cli.evaluate(
        found.architecture, options={"evaluation.epochs": 1, "space.channels": 2, "space.cells": 3}
    )
    assert again.score == evaluated.score
    assert capsys.readouterr().out == ""


def test_published_names_are_counted() -> None:
    architecture = nas_cli.load_architecture("darts_v2")
    for what in ("darts_v2", architecture):
        result = nas_cli.evaluate(what, evaluation="cifar10", options={"evaluation.epochs": 0}, folder=f"{type(what)}")
        assert result.metrics["params"] == 3349342


def test_the_same_seed_gives_the_same_result() -> None:
    options = {"strategy.evaluations": 20}
    first, second = (nas_cli.search("random", seed=3, options=options, folder=name) for name in ("a", "b"))
    assert first.architecture == second.architecture
    assert nas_cli.search("random", seed=4, options=options, folder="c").architecture != first.architecture


def test_a_bad_option_is_refused() -> None:
    with pytest.raises(InputError, match=r"strategy\.epoch: no such key \(did you mean strategy\.epochs\?\)"):
        nas_cli.search("darts", options={"strategy.epoch": 1})
    with pytest.raises(InputError, match="no such dataset"):
        nas_cli.search("darts", dataset="digit")


def test_an_experiment_is_composed() -> None:
    with pytest.raises(InputError, match="missing data/cifar-10-batches-py"):
        nas_cli.search("darts", experiment="darts/cifar10_second_order")


def test_runs_of_one_second_do_not_collide() -> None:
    folders = {nas_cli.search("grid", options={"strategy.evaluations": 2}).folder for _ in range(3)}
    assert len(folders) == 3


def test_a_path_is_an_option(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere/cifar-10-batches-py"):
        nas_cli.search("darts", dataset="cifar10", options={"dataset.root": tmp_path / "nowhere"})
