"""Where measurements run."""

from __future__ import annotations

from abc import ABC, abstractmethod

from nas_cli.architecture import Architecture
from nas_cli.estimators.base import Estimator, Measurement


class Executor(ABC):
    """Runs measurements, `workers` at a time, and hands them back as they finish."""

    workers: int

    @abstractmethod
    def start(self, estimator: Estimator) -> None:
        """Get ready to run this estimator's measurements."""

    def prepare(self) -> None:  # noqa: B027  (a hook, not a gap)
        """Let the estimator read its data, where this process measures; workers do when they begin.

        Raises `InputError` where no architecture can be judged.
        """

    @abstractmethod
    def submit(self, index: int, architecture: Architecture, budget: float | None) -> None:
        """Take a measurement on; `index` names it."""

    @abstractmethod
    def wait(self) -> tuple[int, Measurement | Exception]:
        """The next finished measurement, or the exception that it ended with."""

    def close(self) -> None:  # noqa: B027  (a hook, not a gap)
        """Let go of whatever still runs; measurements under way are lost."""
