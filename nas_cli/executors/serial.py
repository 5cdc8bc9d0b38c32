"""Measurements in this process."""

from __future__ import annotations

from collections import deque

from nas_cli.architecture import Architecture
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.executors.base import Executor


class Serial(Executor):
    """In this process, one after the other."""

    workers = 1

    def __init__(self) -> None:
        self._queue: deque[tuple[int, Architecture, float | None]] = deque()
        self._estimator: Estimator | None = None

    def start(self, estimator: Estimator) -> None:
        self._estimator = estimator

    def prepare(self) -> None:
        if self._estimator is None:
            raise RuntimeError("prepare() before start()")
        self._estimator.prepare()

    def submit(self, index: int, architecture: Architecture, budget: float | None) -> None:
        self._queue.append((index, architecture, budget))

    def wait(self) -> tuple[int, Measurement | Exception]:
        if self._estimator is None:
            raise RuntimeError("wait() before start()")
        index, architecture, budget = self._queue.popleft()
        try:
            return index, self._estimator.measure(architecture, budget)
        except Exception as error:  # whatever a user's network raises: the search decides what it means
            return index, error
