"""Where measurements run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque

from nas_cli.architecture import Architecture
from nas_cli.estimators.base import Estimator, Measurement


class Executor(ABC):
    """Runs measurements, `workers` at a time, and hands them back as they finish."""

    workers: int

    @abstractmethod
    def start(self, estimator: Estimator) -> None:
        """Get ready to run this estimator's measurements."""

    @abstractmethod
    def submit(self, index: int, architecture: Architecture, budget: float | None) -> None:
        """Take a measurement on; `index` names it."""

    @abstractmethod
    def wait(self) -> tuple[int, Measurement | Exception]:
        """The next finished measurement, or the exception that it ended with."""


class Serial(Executor):
    """In this process, one after the other."""

    workers = 1

    def __init__(self) -> None:
        self._queue: deque[tuple[int, Architecture, float | None]] = deque()
        self._estimator: Estimator | None = None

    def start(self, estimator: Estimator) -> None:
        self._estimator = estimator

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
