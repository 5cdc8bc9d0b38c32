"""Jobs in processes: what is done is left, what fails is told, what is interrupted is resumed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from made_up_table import FAKE_CHILD, TABLE, write_table

from nas_cli.errors import Interrupted
from nas_cli.tables import definition, execute
from nas_cli.tables.plan import Job, jobs
from nas_cli.tables.terminal import Terminal, last_line

#: Long enough for a process to start on a busy machine.
PATIENCE_SECONDS = 30.0


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execute, "CHILD", FAKE_CHILD)


def planned(tmp_path: Path, *extra: tuple[str, str]) -> list[Job]:
    """The jobs of the made-up table at smoke scale, with parts of its text replaced."""
    text = TABLE
    for old, new in extra:
        text = text.replace(old, new)
    return jobs(definition.read("mine", write_table(tmp_path, text)), "smoke")


def run(them: list[Job], parallel: int = 1) -> tuple[dict[tuple[str, int], str], str]:
    """What failed, and what was told meanwhile."""
    told = io.StringIO()
    return execute.run(them, parallel, Terminal(told)), told.getvalue()


def test_all_runs_of_a_job_are_made_in_one_process(tmp_path: Path) -> None:
    them = planned(tmp_path)
    failed, told = run(them, parallel=2)
    assert failed == {}
    assert all(job.finished for job in them)
    assert told.count("\n") == 3
    log = (them[0].folder / "log.txt").read_text().splitlines()
    assert [line.split()[0] for line in log] == ["nas-run", "nas-evaluate"]


def test_what_has_finished_is_not_run_again(tmp_path: Path) -> None:
    them = planned(tmp_path)
    run(them)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    failed, told = run(them)
    assert (failed, told) == ({}, "3 of 3 had already finished\n")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")} == before


def test_only_what_is_missing_is_run(tmp_path: Path) -> None:
    them = planned(tmp_path)
    run(them)
    (them[1].stages[1].folder / "result.json").unlink()
    run(them)
    assert (them[1].folder / "log.txt").read_text().splitlines()[2:] == [
        f"nas-evaluate resume={them[1].stages[1].folder}"
    ]


def test_a_failure_stops_no_other_job(tmp_path: Path) -> None:
    failed, _ = run(planned(tmp_path, ("search: [strategy=darts]", "search: [fake=fail]")))
    assert failed == {("found", seed): "nas-run: strategy.epoch: no such key" for seed in (0, 1)}
    assert Path("outputs/tables/mine/smoke/published/0/evaluate/result.json").exists()


def test_a_process_that_dies_is_told_with_its_signal(tmp_path: Path) -> None:
    failed, _ = run(planned(tmp_path, ("search: [strategy=darts]", "search: [fake=die]")))
    assert failed["found", 0] == "ended by signal 9"


def test_runs_of_other_settings_fail_and_are_kept(tmp_path: Path) -> None:
    them = planned(tmp_path)
    run(them)
    result = them[0].stages[0].folder / "result.json"
    before = result.read_text()
    changed = planned(tmp_path, ("search: [strategy=darts]", "search: [strategy=random]"))
    failed, _ = run(changed)
    assert set(failed) == {("found", 0), ("found", 1)}
    assert "was made with other settings" in failed["found", 0]
    assert result.read_text() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_reaches_the_runs_once(tmp_path: Path, number: signal.Signals) -> None:
    them = planned(tmp_path, ("search: [strategy=darts]", "search: [fake=wait]"))
    waiting = [job.stages[0].folder / "waiting" for job in them[:2]]

    def interrupt() -> None:
        _wait_until(lambda: all(path.exists() for path in waiting))
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    # As the command sets them; a parallel test process ignores SIGINT.
    before = {each: signal.signal(each, signal.default_int_handler) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(Interrupted):
            run(them, parallel=2)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert all("saved" in (job.folder / "log.txt").read_text() for job in them[:2])
    assert not them[2].begun
    assert them[0].stages[0].next_command() == ["nas-run", f"resume={them[0].stages[0].folder}"]


def test_a_child_does_not_outlive_its_parent(tmp_path: Path) -> None:
    """With the real child: a killed `nas-table` must not leave runs that hold their folders."""
    code = (
        "import json, os, subprocess, sys\n"
        "command = ['nas-run', 'strategy=random', 'strategy.evaluations=1000000', 'hydra.run.dir=there']\n"
        "child = subprocess.Popen([sys.executable, '-m', 'nas_cli.tables.child', str(os.getpid()),\n"
        "                          json.dumps([command])], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(execute.__file__).parents[2])}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    _wait_until(lambda: Path("there/trials.jsonl").exists())
    parent.kill()
    parent.wait()
    _wait_until(lambda: not _alive(child))
    assert not Path("there/result.json").exists()
    assert Path("there/checkpoint.pt").exists()


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def _wait_until(true: object) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_the_last_line_of_a_progress_bar(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("began\ndarts: 10%\rdarts: 20%\r\n\n")
    assert last_line(log) == "darts: 20%"
    log.write_text("")
    assert last_line(log) == "starting"
