"""The black-box loop: a strategy that asks, an executor that runs, an estimator that judges."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError, NasError
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.executors.base import Executor
from nas_cli.journal import Trial
from nas_cli.runner import Best, Search, Step
from nas_cli.strategies.black_box.base import Candidate, Strategy

log = logging.getLogger(__name__)


@dataclass
class _Pending:
    candidate: Candidate
    started: float | None = None  # None: asked for, not yet given to the executor


class BlackBoxSearch(Search):
    """Keeps the executor's workers busy with what the strategy asks for; one step is one finished trial.

    A candidate that cannot be judged becomes a failed trial and the search goes on; bad input (missing data) ends it.
    """

    def __init__(self, strategy: Strategy, estimator: Estimator, executor: Executor) -> None:
        self.strategy = strategy
        self.executor = executor
        self.score_name = estimator.score_name
        self._asked = 0
        self._told = 0
        self._pending: dict[int, _Pending] = {}
        self._best: Trial | None = None
        self._judged: dict[Architecture, Trial] = {}  # the best trial of each
        self._last_error: str | None = None
        executor.start(estimator)

    def prepare(self) -> None:
        self.executor.prepare()

    @property
    def total(self) -> int | None:
        return self.strategy.evaluations

    @property
    def position(self) -> int:
        return self._told

    @property
    def evaluations(self) -> int:
        return self._told

    @property
    def done(self) -> bool:
        if self._pending:
            return False
        self._ask()
        return not self._pending

    def _ask(self) -> None:
        """Ask until every worker has something to do, or the strategy has nothing to ask."""
        limit = self.strategy.evaluations
        while True:
            free = self.executor.workers - len(self._pending)
            if limit is not None:
                free = min(free, limit - self._asked)
            if free <= 0:
                return
            candidates = self.strategy.ask(free, [pending.candidate for pending in self._pending.values()])
            if not candidates:
                return
            for candidate in candidates:
                self._pending[self._asked] = _Pending(candidate)
                self._asked += 1

    def step(self) -> Step:
        if self._told == 0 and (caution := self.strategy.caution()) is not None:
            log.warning("%s", caution)
        self._ask()
        for index, pending in self._pending.items():
            if pending.started is None:
                pending.started = time.time()
                self.executor.submit(index, pending.candidate.architecture, pending.candidate.budget)
        index, outcome = self.executor.wait()
        trial = _judge(index, self._pending[index], outcome)
        best = max((t.score for t in (self._best, trial) if t and t.score is not None), default=math.nan)
        return Step(trials=(trial,), figures={f"best_{self.score_name}": best})

    def tell(self, trial: Trial) -> None:
        del self._pending[trial.index]
        self._told += 1
        if trial.score is None:
            self._last_error = trial.error
        else:
            self._keep(trial)
        self.strategy.tell(trial)

    def _keep(self, trial: Trial) -> None:
        """Take note of a judged trial where it is the best of its architecture, and where it is the best of all."""
        if _is_higher(trial, self._judged.get(trial.architecture)):
            self._judged.pop(trial.architecture, None)  # they stand in the order in which they became the best
            self._judged[trial.architecture] = trial
        if _is_higher(trial, self._best):
            self._best = trial

    def news(self) -> Sequence[Mapping[str, Any]]:
        return self.strategy.news()

    def replay(self, trial: Trial) -> bool:
        self._ask()
        pending = self._pending.get(trial.index)
        if pending is None or pending.candidate.architecture != trial.architecture:
            raise InputError(
                f"trials.jsonl: trial {trial.index} is not what this configuration asks for; cannot resume"
            )
        self.tell(trial)
        return True

    def close(self) -> None:
        self.executor.close()

    def best(self) -> Best:
        if self._best is None or self._best.score is None:
            raise NasError(f"none of {self._told} candidates could be judged; the last error: {self._last_error}")
        preferred = self.strategy.preferred()
        best = self._best if preferred is None else self._judged[preferred]
        assert best.score is not None
        return Best(best.architecture, best.score, best.metrics)

    def state_dict(self) -> dict[str, Any]:
        return {
            "strategy": self.strategy.state_dict(),
            "asked": self._asked,
            "told": self._told,
            "pending": [
                {"index": index, "architecture": p.candidate.architecture.to_json(), "budget": p.candidate.budget}
                for index, p in self._pending.items()
            ],
            "judged": [trial.to_json() for trial in self._judged.values()],
            "last_error": self._last_error,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.strategy.load_state_dict(state["strategy"])
        self._asked = state["asked"]
        self._told = state["told"]
        self._pending = {
            entry["index"]: _Pending(Candidate(Architecture.from_json(entry["architecture"]), entry["budget"]))
            for entry in state["pending"]
        }
        self._best, self._judged = None, {}
        for each in state["judged"]:
            self._keep(Trial.from_json(each))
        self._last_error = state["last_error"]


def _is_higher(trial: Trial, other: Trial | None) -> bool:
    """Whether a judged trial has a higher score than another, or there is no other."""
    return other is None or (trial.score is not None and other.score is not None and trial.score > other.score)


def _judge(index: int, pending: _Pending, outcome: Measurement | Exception) -> Trial:
    """The trial that an outcome makes; exceptions, and scores that are no finite number, are failures.

    Raises `InputError` for what is no measurement at all.
    """
    common: dict[str, Any] = {
        "index": index,
        "architecture": pending.candidate.architecture,
        "budget": pending.candidate.budget,
        "started": pending.started or 0.0,
        "finished": time.time(),
    }
    if isinstance(outcome, InputError | OSError):
        raise outcome
    if isinstance(outcome, Exception):
        reason = " ".join(f"{type(outcome).__name__}: {outcome}".split())
        return Trial(score=None, status="failed", error=reason, **common)
    if not isinstance(outcome, Measurement):
        raise InputError(f"estimator: measure returned {outcome!r}, which is no Measurement")
    rest: dict[str, Any] = {"metrics": dict(outcome.metrics), "cost_seconds": outcome.cost_seconds}
    try:
        score = float(outcome.score)
    except (TypeError, ValueError):  # an objective of a user's own
        score = math.nan
    if not math.isfinite(score):
        return Trial(score=None, status="failed", error=f"score is {outcome.score}", **rest, **common)
    return Trial(score=score, **rest, **common)
