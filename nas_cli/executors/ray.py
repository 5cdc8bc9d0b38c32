"""Measurements on a Ray cluster."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from typing import Any

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError, require
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.executors.pool import DeadWorkerError, Pool, UnfitWorkerError, measure, prepared


@dataclass
class _Actor:
    handle: Any
    task: Any = None


class Ray(Pool[_Actor]):
    """Actors on a Ray cluster, wherever it finds room for them.

    Every machine of the cluster needs this package, and the data set in the same folder.

    Args:
        workers: how many actors.
        lives: so many actors a measurement may cost.
        address: of the cluster; ``auto``: the one that this machine belongs to; None: a new one on this machine.
        cpus: that each actor takes.
        gpus: the same; a fraction shares one among several.

    Raises `InputError` where Ray is not installed, or no cluster is at the address.
    """

    def __init__(
        self, workers: int = 2, lives: int = 3, address: str | None = None, cpus: float = 1, gpus: float = 0
    ) -> None:
        super().__init__(workers, lives)
        require(cpus >= 0, f"cpus must be at least 0, not {cpus}")
        require(gpus >= 0, f"gpus must be at least 0, not {gpus}")
        self.address = address
        self.cpus = cpus
        self.gpus = gpus
        self._is_ours = False  # the connection to the cluster
        try:
            import ray
        except ImportError:
            raise InputError("executor=ray: Ray is not installed; it comes with pip install 'nas-run[ray]'") from None
        self._ray = ray

    def start(self, estimator: Estimator) -> None:
        super().start(estimator)
        if self._ray.is_initialized():  # by whoever calls us from Python
            return
        room = self.workers * self.cpus if self.address is None else None
        try:
            self._ray.init(
                address=self.address,
                num_cpus=None if room is None else max(1, round(room)),
                include_dashboard=False,
                # A user's own classes are imported from the same folders as here.
                runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
                logging_level=logging.WARNING,
            )
        except (ConnectionError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"executor.address={self.address}: no Ray cluster there ({reason})") from None
        self._is_ours = True

    def close(self) -> None:
        super().close()
        if self._is_ours:
            self._ray.shutdown()
            self._is_ours = False

    def _begin(self, estimator: bytes) -> _Actor:
        served = self._ray.remote(num_cpus=self.cpus, num_gpus=self.gpus)(_Served)
        return _Actor(served.remote(estimator))

    def _send(self, worker: _Actor, architecture: Architecture, budget: float | None) -> None:
        worker.task = worker.handle.measure.remote(architecture, budget)

    def _next(self, workers: list[_Actor]) -> tuple[int, Measurement | Exception]:
        tasks = [worker.task for worker in workers]
        (ready,), _ = self._ray.wait(tasks, num_returns=1)
        number = tasks.index(ready)
        try:
            outcome: Measurement | Exception = self._ray.get(ready)
        except self._ray.exceptions.RayActorError as error:
            self._stop(workers[number])
            return number, DeadWorkerError(f"a Ray actor ended ({' '.join(str(error).split())[:200]})")
        return number, outcome

    def _stop(self, worker: _Actor) -> None:
        self._ray.kill(worker.handle)


class _Served:
    """The estimator in an actor."""

    def __init__(self, estimator: bytes) -> None:
        self.estimator: Estimator | UnfitWorkerError
        try:
            self.estimator = prepared(estimator)
        except UnfitWorkerError as error:  # raised here it would end the actor, and its reason with it
            self.estimator = error

    def measure(self, architecture: Architecture, budget: float | None) -> Measurement | Exception:
        if isinstance(self.estimator, UnfitWorkerError):
            return self.estimator
        return measure(self.estimator, architecture, budget)
