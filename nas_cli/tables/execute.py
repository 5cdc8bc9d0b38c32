"""Runs jobs in processes of their own, so many at a time, and says what became of each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nas_cli.errors import Interrupted
from nas_cli.tables.plan import Job
from nas_cli.tables.terminal import Terminal, last_line

LOG = "log.txt"
#: Is given our process id and the command lines.
CHILD = (sys.executable, "-m", "nas_cli.tables.child")
POLL_SECONDS = 0.1
#: A run of a killed `nas-table` stops by itself, after the step that it is in.
WAIT_FOR_LOCK_SECONDS = 60.0


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    began: float


def run(jobs: Sequence[Job], parallel: int, terminal: Terminal) -> dict[tuple[str, int], str]:
    """Finish all jobs; those that have finished are left as they are, those that were interrupted are resumed.

    Args:
        jobs: in the order in which they are begun.
        parallel: how many at a time.
        terminal: where progress is shown.

    Returns:
        Why jobs failed, by row and seed.

    Raises `Interrupted` after SIGINT or SIGTERM, once the runs under way have saved their state.
    """
    failed: dict[tuple[str, int], str] = {}
    waiting = [job for job in jobs if not job.finished or job.other_settings()]
    count, total = len(jobs) - len(waiting), len(jobs)
    if count:
        terminal.tell(f"{count} of {total} had already finished")
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                job = waiting.pop(0)
                reason = job.other_settings()
                if reason is None:
                    running.append(_start(job))
                else:
                    failed[job.row, job.seed] = reason
                    count += 1
                    terminal.tell(f"[{count}/{total}] {job.row}, seed {job.seed}: {reason}")
            time.sleep(POLL_SECONDS)
            terminal.show([(f"{one.job.row}, seed {one.job.seed}", one.job.folder / LOG) for one in running])
            for ended in [one for one in running if one.process.poll() is not None]:
                running.remove(ended)
                ended.log.close()
                count += 1
                took = f"{time.monotonic() - ended.began:.0f} s"
                if ended.process.returncode:
                    failed[ended.job.row, ended.job.seed] = reason = _reason(ended)
                    took = f"failed after {took}: {reason}"
                terminal.tell(f"[{count}/{total}] {ended.job.row}, seed {ended.job.seed}: {took}")
    except KeyboardInterrupt:
        _stop(running)
        raise Interrupted("interrupted, the state of what was running is saved") from None
    return failed


def _start(job: Job) -> _Running:
    job.record()
    for stage in job.stages:
        _wait_for(stage.folder / ".lock")
    commands = [command for stage in job.stages if (command := stage.next_command())]
    log = (job.folder / LOG).open("ab")
    process = subprocess.Popen(
        [*CHILD, str(os.getpid()), json.dumps(commands)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches it once, through us
    )
    return _Running(job, process, log, time.monotonic())


def _wait_for(lock: Path) -> None:
    import filelock

    if lock.exists():
        try:
            filelock.FileLock(lock, timeout=WAIT_FOR_LOCK_SECONDS).acquire().lock.release()
        except filelock.Timeout:
            return  # the run itself says who holds it


def _stop(running: Sequence[_Running]) -> None:
    """Let runs end their step and save; a second Ctrl-C stops them at once.

    By SIGTERM, since what a shell begins in the background is deaf to SIGINT until the run listens to it itself.
    """
    for one in running:
        one.process.terminate()
    for one in running:
        while True:
            try:
                one.process.wait()
                break
            except KeyboardInterrupt:
                one.process.terminate()
        one.log.close()


def _reason(ended: _Running) -> str:
    """The last line of the log, which for a foreseen failure is the one line that says it."""
    code = ended.process.returncode
    return last_line(ended.job.folder / LOG) if code > 0 else f"ended by signal {-code}"
