"""Whole runs of a search with a controller: workers, kills, and what is said."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoints import saved
from policy_searches import searcher, told, weights
from token_spaces import chain, micro, recurrent

from nas_cli.architecture import Architecture
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.executors.base import Executor
from nas_cli.journal import RunFolder, Trial
from nas_cli.progress import ProgressBar
from nas_cli.runner import run
from nas_cli.strategies.black_box.controller.growth import Steps
from nas_cli.strategies.black_box.controller.policy import Controller
from nas_cli.strategies.black_box.controller.strategy import PolicySearch
from nas_cli.strategies.black_box.controller.updates import PPO, Reinforce, Update
from nas_cli.strategies.black_box.search import BlackBoxSearch


class Later(Executor):
    """Three workers of which the one that began last ends first."""

    workers = 3

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Architecture]] = []

    def start(self, estimator: Estimator) -> None:
        self.estimator = estimator

    def submit(self, index: int, architecture: Architecture, budget: float | None) -> None:
        self.waiting.append((index, architecture))
        self.waiting.sort()

    def wait(self) -> tuple[int, Measurement | Exception]:
        index, architecture = self.waiting.pop()
        return index, self.estimator.measure(architecture)


class Shares(Estimator):
    """The share of zeros; some of them fail."""

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        made = [value for value in architecture.decisions if value is not None]
        zeros = sum(value == 0 for value in made)
        return Measurement(math.nan if zeros == 2 else zeros / len(made))


class Killed(Exception):  # noqa: N818  (no error, but what a kill is here)
    """A kill."""


@pytest.mark.parametrize("update", [Reinforce, PPO])
@pytest.mark.parametrize("after", [8, 17])  # the last trial is on the disk, and nothing else of it
@pytest.mark.parametrize("with_checkpoint", [True, False])
def test_a_killed_run_goes_on_bit_for_bit(
    tmp_path: Path, update: Callable[[], Update], after: int, with_checkpoint: bool
) -> None:
    """With several workers, pending samples and a batch under way; also its lines of metrics."""

    def search(limit: int | None = None) -> BlackBoxSearch:
        growth, small = Steps("layers", 2, 1, 6), Controller(hidden=8)
        options = {"growth": growth, "controller": small, "batch": 2, "accumulate": 2, "evaluations": 18}
        strategy = searcher(chain(1, 4), update(), **options)
        made = BlackBoxSearch(strategy, Shares(), Later())
        if limit is not None:
            original, count = made.tell, iter(range(limit))

            def tell(trial: Trial) -> None:
                if next(count, None) is None:
                    raise Killed
                original(trial)

            made.tell = tell  # type: ignore[method-assign]
        return made

    def finish(folder: RunFolder, limit: int | None = None) -> BlackBoxSearch:
        made = search(limit)
        run(made, folder, ProgressBar("test"), checkpoint_seconds=0.0 if with_checkpoint else 1e9)
        folder.release()
        return made

    whole = finish(RunFolder(tmp_path / "whole"))
    killed = RunFolder(tmp_path / "killed")
    with pytest.raises(Killed):
        finish(killed, after)
    killed.release()
    resumed = finish(RunFolder(tmp_path / "killed"))
    facts = [
        [(t.index, t.architecture, t.score) for t in RunFolder(tmp_path / name).read_trials()]
        for name in ("whole", "killed")
    ]
    assert facts[0] == facts[1]
    assert len(facts[0]) == 18
    one, other = whole.strategy, resumed.strategy
    assert isinstance(one, PolicySearch)
    assert isinstance(other, PolicySearch)
    assert torch.equal(weights(one), weights(other))
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "killed")]
    assert lines[0] == lines[1]
    assert [json.loads(line)["update"] for line in lines[0].splitlines()] == list(range(1, one.updates + 1))
    assert one.updates >= 3


def test_everything_that_matters_is_in_the_state() -> None:
    """Of a search in the middle of everything, resumed and gone on with; half of the pending are told first."""
    space = micro(1)
    first = searcher(space, PPO(), batch=3, accumulate=2)
    waiting = list(first.ask(12, []))
    for k in range(10):
        told(first, waiting.pop(k % len(waiting)), 0.1 * k)
    second = searcher(space, PPO(), batch=3, accumulate=2)
    second.load_state_dict(saved(first.state_dict()))
    second.news(), first.news()
    for made in (first, second):
        for candidate in waiting:
            told(made, candidate, 0.3)
    assert torch.equal(weights(first), weights(second))
    assert first.news() == second.news() != []
    assert first.ask(2, []) == second.ask(2, [])
    assert first.baseline.value == second.baseline.value
    assert first.lowest == second.lowest == 0.0


def test_a_search_without_an_update_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert searcher(recurrent(2), batch=2, accumulate=3, evaluations=6).caution() is None
    strategy = searcher(chain(1, 4), batch=2, accumulate=3, evaluations=5)
    folder = RunFolder(tmp_path)
    run(BlackBoxSearch(strategy, Shares(), Later()), folder, ProgressBar("test", False))
    folder.release()
    (said,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert said == "an update takes 6 results, and only 5 will be judged: the policy never learns"
