"""The runner, with searches that are small enough to check by eye."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_cli.architecture import Architecture
from nas_cli.errors import DivergedError, InputError, Interrupted
from nas_cli.journal import RunFolder, Trial
from nas_cli.progress import ProgressBar
from nas_cli.runner import Best, Search, Step, run

STEPS = 12


class Walk(Search):
    """Every step moves a state in a way that depends on all earlier steps; every third makes a trial, every second a
    line of metrics. `before` is called at the beginning of each step, with its number."""

    score_name = "height"

    def __init__(self, folder: Path | None = None, before: Callable[[int], None] = lambda step: None) -> None:
        self.folder = folder
        self.before = before
        self.steps = 0
        self.height = torch.zeros(())
        self.told: list[Trial] = []
        self.measured: list[int] = []
        self.restored = False
        self.confirmed: dict[str, Any] | None = None

    @property
    def total(self) -> int:
        return STEPS

    @property
    def position(self) -> int:
        return self.steps

    @property
    def done(self) -> bool:
        return self.steps >= STEPS

    def step(self) -> Step:
        self.before(self.steps)
        draw = np.random.default_rng(self.steps).normal()
        self.height = 0.9 * self.height + draw + 0.1 * len(self.told)
        self.steps += 1
        metrics = {"step": self.steps, "height": self.height.item()} if self.steps % 2 == 0 else None
        trials = ()
        if self.steps % 3 == 0:
            index = self.steps // 3 - 1
            self.measured.append(index)
            trials = (Trial(index=index, architecture=Architecture("walk", (index,)), score=self.height.item()),)
        return Step(trials=trials, metrics=metrics, figures={"height": self.height.item()})

    def tell(self, trial: Trial) -> None:
        if self.folder is not None and not self.restored:
            on_disk = (self.folder / "trials.jsonl").read_bytes().splitlines()
            assert len(on_disk) == len(self.told) + 1, "told before it was on the disk"
        self.told.append(trial)

    @property
    def evaluations(self) -> int:
        return len(self.told)

    def best(self) -> Best:
        best = max(self.told, key=lambda trial: trial.score or 0.0)
        return Best(best.architecture, best.score or 0.0, {})

    def confirm(self, state: dict[str, Any]) -> None:
        self.confirmed = state

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "height": self.height, "told": [trial.to_json() for trial in self.told]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.restored = True
        self.steps = state["steps"]
        self.height = state["height"]
        self.told = [Trial.from_json(record) for record in state["told"]]


class Draws(Walk):
    """A search of trials alone, like the black-box loop: told a trial, it stands where the trial was made."""

    def step(self) -> Step:
        self.before(self.steps)
        index = len(self.told)
        self.measured.append(index)
        return Step(trials=(Trial(index=index, architecture=Architecture("walk", (index,)), score=index * 0.1),))

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        self.steps += 1

    def replay(self, trial: Trial) -> bool:
        self.restored = True
        self.tell(trial)
        return True


QUIET = ProgressBar("walk", show=False)


def go(search: Search, folder: Path, checkpoint_seconds: float = 1e9) -> float:
    held = RunFolder(folder)
    try:
        return run(search, held, QUIET, checkpoint_seconds)
    finally:
        held.release()


def outcome(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float]:
    held = RunFolder(folder)
    state = held.load_checkpoint()
    held.release()
    assert state is not None
    return held.trials.read(), held.metrics.read(), state["search"]["height"].item()


@pytest.fixture
def uninterrupted(tmp_path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float]:
    go(Walk(), tmp_path / "whole")
    return outcome(tmp_path / "whole")


def send(number: int, at: int) -> Callable[[int], None]:
    return lambda step: os.kill(os.getpid(), number) if step == at else None


def fail(at: int, error: BaseException) -> Callable[[int], None]:
    def before(step: int) -> None:
        if step == at:
            raise error

    return before


def test_a_whole_run(tmp_path: Path) -> None:
    search = Walk(tmp_path)
    seconds = go(search, tmp_path)
    trials, metrics, height = outcome(tmp_path)
    assert [trial["index"] for trial in trials] == [0, 1, 2, 3]
    assert [line["step"] for line in metrics] == [2, 4, 6, 8, 10, 12]
    assert height == search.height.item() == metrics[-1]["height"]
    assert search.confirmed is not None
    assert search.confirmed["steps"] == STEPS
    assert 0 < seconds < 60


@pytest.mark.parametrize("at", range(STEPS))
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_state_and_the_run_goes_on(
    tmp_path: Path, uninterrupted: Any, number: signal.Signals, at: int
) -> None:
    with pytest.raises(Interrupted, match=f"interrupted by {number.name}, state saved"):
        go(Walk(tmp_path, send(number, at)), tmp_path)
    steps = outcome(tmp_path)
    assert len(steps[0]) == (at + 1) // 3  # the step under way was finished
    second = Walk()
    go(second, tmp_path)
    assert second.measured == list(range((at + 1) // 3, 4))
    assert outcome(tmp_path) == uninterrupted


@pytest.mark.parametrize("at", range(STEPS))
def test_after_a_fault_the_steps_since_the_checkpoint_are_done_again(
    tmp_path: Path, uninterrupted: Any, at: int
) -> None:
    """Also those that had made a trial: nothing but doing them again brings their state back."""
    with pytest.raises(RuntimeError, match="boom"):
        go(Walk(tmp_path, fail(at, RuntimeError("boom"))), tmp_path)
    go(Walk(), tmp_path)
    assert outcome(tmp_path) == uninterrupted


@pytest.mark.parametrize("at", range(STEPS // 2 + 1))
def test_a_kill_before_a_checkpoint_is_written(
    tmp_path: Path, uninterrupted: Any, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    saved: list[int] = []

    def save(self: RunFolder, state: dict[str, Any]) -> None:
        if len(saved) == at:
            raise RuntimeError("killed")
        saved.append(at)
        original(self, state)

    original = RunFolder.save_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save_checkpoint", save)
        with pytest.raises(RuntimeError, match="killed"):
            go(Walk(tmp_path), tmp_path)
    go(Walk(), tmp_path)
    assert outcome(tmp_path) == uninterrupted


@pytest.mark.parametrize("checkpoint_seconds", [0.0, 1e9])
@pytest.mark.parametrize("at", range(STEPS))
def test_trials_after_the_checkpoint_are_replayed_and_never_measured_again(
    tmp_path: Path, at: int, checkpoint_seconds: float
) -> None:
    first = Draws(tmp_path, fail(at, RuntimeError("boom")))
    with pytest.raises(RuntimeError, match="boom"):
        go(first, tmp_path, checkpoint_seconds)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["evaluations"]
    assert saved == (at if checkpoint_seconds == 0 else 0)  # the state before the first step is always there
    second = Draws()
    go(second, tmp_path)
    assert first.measured == list(range(at))
    assert second.measured == list(range(at, STEPS))
    assert [trial.index for trial in second.told] == list(range(STEPS))
    assert [trial["index"] for trial in outcome(tmp_path)[0]] == list(range(STEPS))


def test_metrics_after_the_checkpoint_are_cut(tmp_path: Path, uninterrupted: Any) -> None:
    with pytest.raises(Interrupted):
        go(Walk(tmp_path, send(signal.SIGTERM, 4)), tmp_path)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 6, "height": 99.0}\n{"step": 8, "hei')
    go(Walk(), tmp_path)
    assert outcome(tmp_path) == uninterrupted


def test_without_a_checkpoint_all_metrics_are_cut(tmp_path: Path, uninterrupted: Any) -> None:
    tmp_path.joinpath("metrics.jsonl").write_bytes(b'{"step": 2, "height": 99.0}\n')
    go(Walk(), tmp_path)
    assert outcome(tmp_path) == uninterrupted


def test_a_torn_trial_is_measured_again(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        go(Draws(tmp_path, fail(5, RuntimeError("boom"))), tmp_path)
    path = tmp_path / "trials.jsonl"
    os.truncate(path, path.stat().st_size - 3)
    second = Draws()
    go(second, tmp_path)
    assert second.measured == list(range(4, STEPS))
    assert [trial["index"] for trial in outcome(tmp_path)[0]] == list(range(STEPS))


def test_a_diverged_run_keeps_the_last_epochs_state(tmp_path: Path) -> None:
    with pytest.raises(DivergedError):
        go(Walk(tmp_path, fail(7, DivergedError("the loss is nan"))), tmp_path)
    held = RunFolder(tmp_path)
    state = held.load_checkpoint()
    held.release()
    assert state is not None
    assert state["search"]["steps"] == 6  # the last step that wrote metrics


def test_checkpoint_seconds_zero_saves_after_every_step(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        go(Walk(tmp_path, fail(7, RuntimeError("boom"))), tmp_path, checkpoint_seconds=0.0)
    assert outcome(tmp_path)[2] != 0
    held = RunFolder(tmp_path)
    state = held.load_checkpoint()
    held.release()
    assert state is not None
    assert state["search"]["steps"] == 7


@pytest.mark.parametrize("swallowing", [False, True])
def test_a_second_signal_stops_at_once(tmp_path: Path, swallowing: bool) -> None:
    """Also where a measurement catches every Exception, as those of the black-box loop do."""
    after: list[int] = []

    def before(step: int) -> None:
        if step == 4:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
                after.append(step)
            except Exception:
                if not swallowing:
                    raise

    search = Walk(tmp_path, before)
    with pytest.raises(Interrupted, match="stopped at once"):
        go(search, tmp_path)
    assert after == []
    assert search.steps == 4


@pytest.mark.parametrize("ending", ["done", "signal", "error"])
def test_signal_handlers_are_restored(tmp_path: Path, ending: str) -> None:
    def mine(number: int, frame: Any) -> None:
        raise AssertionError

    before = {"done": lambda step: None, "signal": send(signal.SIGINT, 2), "error": fail(2, ValueError("no"))}
    previous = signal.signal(signal.SIGINT, mine)
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        try:
            go(Walk(tmp_path, before[ending]), tmp_path)
        except (Interrupted, ValueError):
            assert ending != "done"
        assert signal.getsignal(signal.SIGINT) is mine
        assert signal.getsignal(signal.SIGTERM) is terminate
    finally:
        signal.signal(signal.SIGINT, previous)


def test_outside_the_main_thread_it_runs_without_touching_signals(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: go(Walk(), tmp_path))
    thread.start()
    thread.join()
    assert len(outcome(tmp_path)[0]) == 4
    assert signal.getsignal(signal.SIGINT) is before


def test_more_trials_in_the_checkpoint_than_in_the_journal(tmp_path: Path) -> None:
    go(Walk(), tmp_path)
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match="4 trials were saved, only 3 are there"):
        go(Walk(), tmp_path)


@pytest.mark.parametrize("state", [{"search": {}}, {"search": 3}, {}, {"search": None, "evaluations": 0}])
def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, state: dict[str, Any]) -> None:
    folder = RunFolder(tmp_path)
    folder.save_checkpoint(state)
    folder.release()
    with pytest.raises(InputError, match=r"checkpoint\.pt: does not fit") as caught:
        go(Walk(), tmp_path)
    assert "\n" not in str(caught.value)


def test_seconds_of_all_sittings_are_added(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        go(Walk(tmp_path, lambda step: (time.sleep(0.05), send(signal.SIGINT, 1)(step))[1]), tmp_path)
    assert go(Walk(), tmp_path) > 0.1


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    go(Walk(), tmp_path)
    before = outcome(tmp_path)
    again = Walk()
    go(again, tmp_path)
    assert again.measured == []
    assert outcome(tmp_path) == before
