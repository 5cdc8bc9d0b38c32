"""Workers in processes of their own: what they hand back, and what their deaths cost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mortal import Mortal
from token_spaces import chain

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, InputError
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.executors.base import Executor
from nas_cli.executors.pool import DeadWorkerError
from nas_cli.executors.processes import Processes
from nas_cli.journal import RunFolder, Trial
from nas_cli.progress import ProgressBar
from nas_cli.runner import run
from nas_cli.spaces.functions import Brochu1d
from nas_cli.strategies.black_box.base import Candidate, Strategy
from nas_cli.strategies.black_box.controller.baseline import MovingAverage
from nas_cli.strategies.black_box.controller.growth import NoGrowth
from nas_cli.strategies.black_box.controller.policy import Controller
from nas_cli.strategies.black_box.controller.rewards import Score
from nas_cli.strategies.black_box.controller.strategy import PolicySearch
from nas_cli.strategies.black_box.controller.updates import PPO
from nas_cli.strategies.black_box.random import Random
from nas_cli.strategies.black_box.search import BlackBoxSearch


@contextmanager
def started(estimator: Estimator, **options: Any) -> Iterator[Executor]:
    executor = Processes(**options)
    executor.start(estimator)
    try:
        yield executor
    finally:
        executor.close()


def outcomes(executor: Executor, *values: float) -> dict[int, Measurement | Exception]:
    for index, value in enumerate(values):
        executor.submit(index, Architecture("x", (value,)), float(index))
    return dict(executor.wait() for _ in values)


def test_measurements_and_exceptions_come_back_with_their_index(tmp_path: Path) -> None:
    with started(Mortal(tmp_path), workers=1) as executor:
        found = outcomes(executor, 3, 13, 14, 15, 5, 16)
    assert found[0] == Measurement(6.0, {"budget": 0.0})
    assert isinstance(found[1], ValueError)
    assert isinstance(found[2], InputError)  # which ends a search, as in one process
    assert str(found[3]) == "ParticularError: 1 and 2"
    assert found[4] == Measurement(10.0, {"budget": 4.0})
    assert "pickle" in str(found[5])  # a metric that cannot be sent
    assert len(list(tmp_path.glob("prepared-*"))) == 1  # one worker served them all


def test_a_killed_worker_is_replaced_and_its_measurement_begun_again(tmp_path: Path) -> None:
    with started(Mortal(tmp_path, fatal=2.0, deaths=1), workers=2) as executor:
        found = outcomes(executor, 1, 2, 3, 4)
    assert {index: outcome.score for index, outcome in found.items() if isinstance(outcome, Measurement)} == {
        0: 2.0,
        1: 4.0,
        2: 6.0,
        3: 8.0,
    }
    assert len(list(tmp_path.glob("died-*"))) == 1


def test_a_measurement_that_kills_every_worker_fails_alone(tmp_path: Path) -> None:
    with started(Mortal(tmp_path, fatal=2.0, deaths=99), workers=1, lives=2) as executor:
        found = outcomes(executor, 2, 3)
    assert isinstance(found[0], DeadWorkerError)
    assert str(found[0]) == "a worker process ended with exit code -9, 2 times in a row"
    assert found[1] == Measurement(6.0, {"budget": 1.0})


class Stops(BlackBoxSearch):
    """Kills a worker that is at work, from outside, when three trials are told."""

    lost: int | None = None

    def tell(self, trial: Any) -> None:
        super().tell(trial)
        if self.position == 3:
            worker, job = self.executor._busy[0]  # type: ignore[attr-defined]
            worker.process.kill()
            self.lost = job.index


def stopped(strategy: Strategy, folder: Path) -> list[Trial]:
    """The trials of a search of eight, in the middle of which a worker is killed."""
    search = Stops(strategy, Mortal(folder), Processes(workers=2))
    run_folder = RunFolder(folder / "run")
    run(search, run_folder, ProgressBar("test", False))
    search.close()
    trials = run_folder.read_trials()
    assert sorted(trial.index for trial in trials) == list(range(8))
    assert {trial.status for trial in trials} == {"ok"}
    assert search.lost in range(8)
    return trials


def test_killing_a_worker_in_the_middle_of_a_search_loses_no_trial(tmp_path: Path) -> None:
    trials = stopped(Random(Brochu1d("brochu1d"), seed=0, evaluations=8), tmp_path)
    alone = Random(Brochu1d("brochu1d"), seed=0, evaluations=8).ask(8, [])
    assert {trial.architecture for trial in trials} == {candidate.architecture for candidate in alone}


def test_killing_a_worker_loses_no_sample_of_a_controller(tmp_path: Path) -> None:
    """Every trial is told once, under its own sample, in batches of which each makes an update."""
    parts = (Controller(hidden=4), PPO(), Score(), MovingAverage(), NoGrowth(), Mortal(tmp_path))
    strategy = PolicySearch(chain(1, 4), 0, *parts, evaluations=8, batch=2)
    sampled: dict[int, Architecture] = {}
    ask = strategy.ask

    def noted(count: int, pending: Sequence[Candidate]) -> Sequence[Candidate]:
        first, candidates = strategy.asked, ask(count, pending)
        sampled.update(enumerate((candidate.architecture for candidate in candidates), start=first))
        return candidates

    strategy.ask = noted  # type: ignore[method-assign]
    trials = stopped(strategy, tmp_path)
    assert {trial.index: trial.architecture for trial in trials} == sampled
    assert (strategy.asked, strategy.told, strategy.updates) == (8, 8, 4)
    assert strategy.state_dict()["pending"] == []


def test_a_worker_that_cannot_begin_ends_the_search_with_its_reason(tmp_path: Path) -> None:
    with started(Mortal(tmp_path, fit=False)) as executor:
        executor.submit(0, Architecture("x", (1,)), None)
        with pytest.raises(InputError, match="a worker cannot measure: RuntimeError: no licence here"):
            executor.wait()


def test_a_killed_parent_leaves_no_worker(tmp_path: Path) -> None:
    """The worker would sleep for an hour; the parent kills itself once it has begun."""
    program = f"""
import os, signal, sys, time
from pathlib import Path
from mortal import Mortal
from nas_cli.architecture import Architecture
from nas_cli.executors.processes import Processes
if __name__ == "__main__":
    executor = Processes(workers=1)
    executor.start(Mortal(Path({str(tmp_path)!r})))
    executor.submit(0, Architecture("x", (17,)), None)
    while not list(Path({str(tmp_path)!r}).glob("asleep-*")):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    script = tmp_path / "parent.py"
    script.write_text(program, encoding="utf-8")
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path}, check=False, timeout=120)
    (asleep,) = tmp_path.glob("asleep-*")
    pid = int(asleep.name.partition("-")[2])
    for _ in range(200):
        if not alive(pid):
            break
        time.sleep(0.05)
    assert not alive(pid)


def test_ctrl_c_while_a_worker_starts_ends_the_search_after_the_trial(tmp_path: Path) -> None:
    """It reaches the whole group; the worker, which is not yet ready to ignore it, must neither die nor say a word."""
    words = ["strategy=random", "strategy.evaluations=50", "executor=processes", "executor.workers=1"]
    program = [sys.executable, "-m", "nas_cli", *words, "hydra.run.dir=run"]
    parent = subprocess.Popen(program, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    workers: set[int] = set()
    while parent.poll() is None:
        if (found := spawned(parent.pid)) and not workers:
            os.killpg(parent.pid, signal.SIGINT)
        workers |= found
        time.sleep(0.01)
    said = parent.communicate()[1]
    assert parent.returncode == 130
    assert said.splitlines()[-1] == "nas-run: interrupted by SIGINT, state saved; go on with: nas-run resume=run"
    assert "Traceback" not in said
    assert len(workers) == 1  # another would have had to take its place
    assert [(trial.index, trial.status) for trial in RunFolder(tmp_path / "run").read_trials()] == [(0, "ok")]


def spawned(parent: int) -> set[int]:
    """The worker processes of another process."""
    found = set()
    with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile, or one of them has
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8").split():
            if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8"):
                found.add(int(child))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_cannot_be_sent_is_refused_at_once(tmp_path: Path) -> None:
    estimator = Mortal(tmp_path)
    estimator.note = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(CombinationError, match=r"Mortal cannot be sent to other processes .*; take executor=serial"):
        Processes().start(estimator)


@pytest.mark.parametrize("option", ["workers", "lives"])
def test_ranges(option: str) -> None:
    with pytest.raises(InputError, match=f"{option} must be at least 1, not 0"):
        Processes(**{option: 0})
