"""What executors with several workers have in common: who works on what, and what happens when a worker dies."""

from __future__ import annotations

import pickle
from abc import abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, InputError, require
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.executors.base import Executor

Worker = TypeVar("Worker")


class DeadWorkerError(Exception):
    """A worker ended in the middle of a measurement."""


class UnfitWorkerError(Exception):
    """A worker could not get ready to measure, and none will."""


@dataclass
class _Job:
    index: int
    architecture: Architecture
    budget: float | None
    deaths: int = field(default=0, compare=False)


class Pool(Executor, Generic[Worker]):
    """Workers that each hold a copy of the estimator and measure one architecture at a time.

    A worker that dies (killed, out of memory) is replaced, and its measurement begun again; nothing that was finished
    is lost. A measurement that has cost so many workers their lives is a failed one.

    Args:
        workers: how many measurements run at once.
        lives: so many workers a measurement may cost.
    """

    def __init__(self, workers: int, lives: int) -> None:
        require(workers >= 1, f"workers must be at least 1, not {workers}")
        require(lives >= 1, f"lives must be at least 1, not {lives}")
        self.workers = workers
        self.lives = lives
        self._estimator = b""
        self._waiting: deque[_Job] = deque()
        self._idle: list[Worker] = []
        self._busy: list[tuple[Worker, _Job]] = []

    def start(self, estimator: Estimator) -> None:
        try:
            self._estimator = pickle.dumps(estimator)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise CombinationError(
                f"estimator: {type(estimator).__name__} cannot be sent to other processes ({error}); "
                "take executor=serial"
            ) from None

    def submit(self, index: int, architecture: Architecture, budget: float | None) -> None:
        self._waiting.append(_Job(index, architecture, budget))
        self._distribute()

    def wait(self) -> tuple[int, Measurement | Exception]:
        while True:
            number, outcome = self._next([worker for worker, _ in self._busy])
            worker, job = self._busy.pop(number)
            if isinstance(outcome, UnfitWorkerError):
                raise InputError(f"a worker cannot measure: {outcome}") from None
            if not isinstance(outcome, DeadWorkerError):
                self._idle.append(worker)
                self._distribute()
                return job.index, outcome
            job.deaths += 1
            if job.deaths == self.lives:
                self._distribute()
                return job.index, DeadWorkerError(f"{outcome}, {job.deaths} times in a row")
            self._waiting.appendleft(job)
            self._distribute()

    def close(self) -> None:
        for worker in [*self._idle, *(worker for worker, _ in self._busy)]:
            self._stop(worker)
        self._idle, self._busy = [], []
        self._waiting.clear()

    def _distribute(self) -> None:
        """Give what waits to workers that are free, begun only when there is something for them to do."""
        while self._waiting and len(self._busy) < self.workers:
            worker = self._idle.pop() if self._idle else self._begin(self._estimator)
            job = self._waiting.popleft()
            self._busy.append((worker, job))
            self._send(worker, job.architecture, job.budget)

    @abstractmethod
    def _begin(self, estimator: bytes) -> Worker:
        """A new worker, with its copy of the pickled estimator."""

    @abstractmethod
    def _send(self, worker: Worker, architecture: Architecture, budget: float | None) -> None:
        """Let an idle worker measure; that it has died meanwhile comes to light in `_next`."""

    @abstractmethod
    def _next(self, workers: list[Worker]) -> tuple[int, Measurement | Exception]:
        """Wait until one of these busy workers has finished: its place among them, and what came out.

        That is `DeadWorkerError` where the worker has come to its end, `UnfitWorkerError` where it could not begin.
        """

    @abstractmethod
    def _stop(self, worker: Worker) -> None:
        """End a worker, whatever it does."""


def measure(estimator: Estimator, architecture: Architecture, budget: float | None) -> Measurement | Exception:
    """What a worker does: measure, and hand back any exception; both can be sent to another process."""
    try:
        measured = estimator.measure(architecture, budget)
        pickle.dumps(measured)  # a user's metrics can be anything
        return measured
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an exception with arguments of its own cannot be made anew from its text
            return RuntimeError(f"{type(error).__name__}: {error}")
        return error


def prepared(estimator: bytes) -> Estimator:
    """The estimator in a worker, ready to measure. Raises `UnfitWorkerError`, with the reason in one line."""
    try:
        made: Estimator = pickle.loads(estimator)
        made.prepare()
    except InputError as error:
        raise UnfitWorkerError(str(error)) from None
    except Exception as error:  # a user's class can fail in any way
        raise UnfitWorkerError(" ".join(f"{type(error).__name__}: {error}".split())) from None
    return made
