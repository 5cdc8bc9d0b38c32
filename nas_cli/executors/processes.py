"""Measurements in processes of their own on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from nas_cli.architecture import Architecture
from nas_cli.estimators.base import Measurement
from nas_cli.executors.pool import DeadWorkerError, Pool, UnfitWorkerError, measure, prepared


@dataclass(frozen=True)
class _Process:
    process: SpawnProcess
    pipe: Connection
    place: int  # among the workers; its successor has the same


class Processes(Pool[_Process]):
    """Worker processes on this machine; with several GPUs each worker sees one of them (`hardware.device=cuda`).

    In which order measurements finish depends on how long they take, so that a strategy which learns from them need
    not ask the same in two runs; a run that is resumed keeps to the order of its journal.

    Args:
        workers: how many processes. `hardware.threads` is of each of them.
        lives: so many workers a measurement may cost.
    """

    def __init__(self, workers: int = 2, lives: int = 3) -> None:
        super().__init__(workers, lives)

    def _begin(self, estimator: bytes) -> _Process:
        context = multiprocessing.get_context("spawn")  # a fork would share locks and CUDA's state
        ours, theirs = context.Pipe()
        taken = {worker.place for worker in [*self._idle, *(worker for worker, _ in self._busy)]}
        place = next(place for place in range(self.workers) if place not in taken)
        process = context.Process(target=_serve, args=(theirs, estimator, place), daemon=True)
        # A worker begins deaf to Ctrl-C: it reaches the whole group, and the parent decides what it means.
        resource_tracker.ensure_running()  # which ends in unblocking signals, so not within what follows
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()  # so that its end is seen here as the end of the pipe
        return _Process(process, ours, place)

    def _send(self, worker: _Process, architecture: Architecture, budget: float | None) -> None:
        with contextlib.suppress(OSError):  # it has died while idle
            worker.pipe.send((architecture, budget))

    def _next(self, workers: list[_Process]) -> tuple[int, Measurement | Exception]:
        pipes = [worker.pipe for worker in workers]
        ready = connection.wait(pipes)[0]
        number = pipes.index(ready)  # type: ignore[arg-type]
        try:
            outcome: Measurement | Exception = pipes[number].recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            self._stop(workers[number])
            code = workers[number].process.exitcode
            return number, DeadWorkerError(f"a worker process ended with exit code {code}")
        return number, outcome

    def _stop(self, worker: _Process) -> None:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()


def _serve(pipe: Connection, estimator: bytes, place: int) -> None:
    """A worker's life: measure what comes through the pipe until it is closed or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _take_gpu(place)
    with contextlib.suppress(EOFError, OSError):  # the parent has closed the pipe
        try:
            made = prepared(estimator)
        except UnfitWorkerError as error:
            pipe.send(error)
            return
        while True:
            architecture, budget = pipe.recv()
            pipe.send(measure(made, architecture, budget))


def _end_with_parent() -> None:
    """A parent that was killed cannot stop its workers, whose measurements no one would read."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _take_gpu(place: int) -> None:
    """Let this process see one of several GPUs; before CUDA starts, which reads the variable only once."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    every = visible.split(",") if visible else [str(gpu) for gpu in range(torch.cuda.device_count())]
    if len(every) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = every[place % len(every)]
