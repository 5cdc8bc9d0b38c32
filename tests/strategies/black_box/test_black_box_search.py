"""The black-box loop: who is asked, what is told, what wins, and what a resumed search does."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from nas_cli.architecture import Architecture
from nas_cli.errors import DivergedError, InputError, NasError
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.executors.base import Executor
from nas_cli.executors.serial import Serial
from nas_cli.journal import Trial
from nas_cli.runner import Step
from nas_cli.strategies.black_box.base import Candidate, Strategy
from nas_cli.strategies.black_box.search import BlackBoxSearch


class Counting(Strategy):
    """Asks for 0, 1, 2, …; what it asks next also depends on what it was told."""

    def __init__(self, evaluations: int | None = None, end: int = 1000) -> None:
        super().__init__(evaluations)
        self.end = end
        self.asked = 0
        self.sum = 0.0
        self.told: list[Trial] = []
        self.pending: list[list[Any]] = []

    def ask(self, count: int, pending: Sequence[Candidate]) -> Sequence[Candidate]:
        self.pending.append([candidate.architecture.decisions[0] for candidate in pending])
        numbers = range(self.asked, min(self.asked + count, self.end))
        self.asked += len(numbers)
        return [Candidate(Architecture("numbers", (k, round(self.sum, 6))), budget=k + 0.5) for k in numbers]

    def tell(self, trial: Trial) -> None:
        self.told.append(trial)
        self.sum += trial.score or 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"asked": self.asked, "sum": self.sum}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.asked, self.sum = state["asked"], state["sum"]


class Judge(Estimator):
    score_name = "goodness"

    def __init__(self, rule: Callable[[Any], float]) -> None:
        self.rule = rule
        self.measured: list[Any] = []

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        number = architecture.decisions[0]
        self.measured.append(number)
        return Measurement(self.rule(number), {"number": float(number), "budget": budget or 0.0}, cost_seconds=2.0)


class Shuffled(Executor):
    """Three workers; the one that was given work last is the first to finish."""

    workers = 3

    def __init__(self) -> None:
        self.queue: list[tuple[int, Architecture, float | None]] = []

    def start(self, estimator: Estimator) -> None:
        self.estimator = estimator

    def submit(self, index: int, architecture: Architecture, budget: float | None) -> None:
        assert len(self.queue) < self.workers
        self.queue.append((index, architecture, budget))

    def wait(self) -> tuple[int, Measurement | Exception]:
        index, architecture, budget = self.queue.pop()
        return index, self.estimator.measure(architecture, budget)


def wave(k: int) -> float:
    return math.sin(1.7 * k)


def step(search: BlackBoxSearch) -> Step:
    made = search.step()
    for trial in made.trials:
        search.tell(trial)
    return made


def finish(search: BlackBoxSearch) -> list[Trial]:
    trials: list[Trial] = []
    while not search.done:
        trials += step(search).trials
    return trials


def facts(trials: Sequence[Trial]) -> list[tuple[Any, ...]]:
    """Trials without their times."""
    return [(t.index, t.architecture, t.score, t.budget, t.status, t.error, t.metrics) for t in trials]


@pytest.mark.parametrize("executor", [Serial, Shuffled])
def test_the_limit_is_kept_and_every_index_is_told_once(executor: type[Executor]) -> None:
    strategy, judge = Counting(evaluations=10), Judge(wave)
    search = BlackBoxSearch(strategy, judge, executor())
    trials = finish(search)
    assert sorted(judge.measured) == list(range(10))
    assert sorted(trial.index for trial in trials) == list(range(10))
    assert strategy.told == trials
    assert search.evaluations == search.position == search.total == 10
    assert all(trial.budget == trial.metrics["budget"] == trial.index + 0.5 for trial in trials)
    assert all(trial.cost_seconds == 2.0 and trial.finished >= trial.started > 0 for trial in trials)


def test_the_best_is_the_largest_score() -> None:
    search = BlackBoxSearch(Counting(evaluations=10), Judge(wave), Serial())
    finish(search)
    best = search.best()
    assert best.score == max(wave(k) for k in range(10))
    assert best.metrics["number"] == 1.0
    assert search.score_name == "goodness"


def test_among_equals_the_first_wins() -> None:
    search = BlackBoxSearch(Counting(evaluations=5), Judge(lambda k: 1.0), Serial())
    finish(search)
    assert search.best().architecture.decisions[0] == 0


def test_a_strategy_that_has_nothing_more_to_ask_ends_the_search() -> None:
    search = BlackBoxSearch(Counting(end=4), Judge(wave), Serial())
    assert search.total is None
    assert len(finish(search)) == 4


def test_pending_candidates_are_told_to_the_strategy() -> None:
    strategy = Counting(evaluations=5)
    search = BlackBoxSearch(strategy, Judge(wave), Shuffled())
    step(search)
    assert strategy.pending == [[]]
    step(search)
    assert strategy.pending[1] == [0, 1]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_never_wins(bad: float) -> None:
    strategy = Counting(evaluations=4)
    search = BlackBoxSearch(strategy, Judge(lambda k: bad if k == 2 else -float(k)), Serial())
    trials = finish(search)
    assert [trial.status for trial in trials] == ["ok", "ok", "failed", "ok"]
    assert trials[2].score is None
    assert trials[2].error == f"score is {bad}"
    assert search.best().score == 0.0


@pytest.mark.parametrize("score", [None, "best", (1.0, 2.0)])
def test_a_score_that_is_nothing_like_a_number_is_a_failure(score: Any) -> None:
    search = BlackBoxSearch(Counting(evaluations=2), Judge(lambda k: score if k == 0 else 0.5), Serial())
    trials = finish(search)
    assert [trial.status for trial in trials] == ["failed", "ok"]
    assert trials[0].error == f"score is {score}"


@pytest.mark.parametrize("returned", [1.0, None])
def test_what_is_no_measurement_is_refused(returned: Any) -> None:
    class Bare(Estimator):
        def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
            return returned  # type: ignore[no-any-return]

    with pytest.raises(InputError, match=f"measure returned {returned}, which is no Measurement"):
        step(BlackBoxSearch(Counting(evaluations=2), Bare(), Serial()))


def test_a_failing_candidate_is_told_and_the_search_goes_on() -> None:
    def rule(k: int) -> float:
        if k % 2 == 0:
            raise DivergedError("the loss\nis nan")
        return -float(k)

    search = BlackBoxSearch(Counting(evaluations=4), Judge(rule), Serial())
    trials = finish(search)
    assert [trial.status for trial in trials] == ["failed", "ok", "failed", "ok"]
    assert trials[0].error == "DivergedError: the loss is nan"
    assert trials[0].score is None
    assert search.best().score == -1.0


def test_if_all_fail_the_last_error_is_told() -> None:
    search = BlackBoxSearch(Counting(evaluations=3), Judge(lambda k: math.nan), Serial())
    finish(search)
    with pytest.raises(NasError, match="none of 3 candidates could be judged; the last error: score is nan"):
        search.best()


@pytest.mark.parametrize("error", [InputError("no such folder"), OSError("disk"), KeyboardInterrupt()])
def test_bad_input_and_interrupts_end_the_search(error: BaseException) -> None:
    def rule(k: int) -> float:
        if k == 1:
            raise error
        return 0.0

    search = BlackBoxSearch(Counting(evaluations=4), Judge(rule), Serial())
    step(search)
    with pytest.raises(type(error)):
        step(search)
    assert search.evaluations == 1


@pytest.mark.parametrize("executor", [Serial, Shuffled])
@pytest.mark.parametrize("at", range(11))
def test_a_restored_search_goes_on_as_if_nothing_had_happened(executor: type[Executor], at: int) -> None:
    whole = finish(BlackBoxSearch(Counting(evaluations=10), Judge(wave), executor()))
    first = BlackBoxSearch(Counting(evaluations=10), Judge(wave), executor())
    head = [trial for _ in range(at) if not first.done for trial in step(first).trials]
    state = json.loads(json.dumps(first.state_dict()))  # plain data, not shared objects
    judge = Judge(wave)
    second = BlackBoxSearch(Counting(evaluations=10), judge, executor())
    second.load_state_dict(state)
    tail = finish(second)
    assert second.evaluations == 10
    assert second.best().score == max(wave(k) for k in range(10))
    assert len(judge.measured) == 10 - at
    if executor is Serial:  # with several workers what was under way is begun anew, so the order may differ
        assert facts(head + tail) == facts(whole)
    assert sorted(trial.index for trial in head + tail) == list(range(10))


@pytest.mark.parametrize("at", range(7))
def test_replayed_trials_are_not_measured_again(at: int) -> None:
    whole = finish(BlackBoxSearch(Counting(evaluations=6), Judge(wave), Serial()))
    judge = Judge(wave)
    second = BlackBoxSearch(Counting(evaluations=6), judge, Serial())
    assert all(second.replay(trial) for trial in whole[:at])
    assert facts(finish(second)) == facts(whole[at:])
    assert judge.measured == list(range(at, 6))
    assert second.best().score == max(trial.score or -9 for trial in whole)


def test_trials_in_the_order_in_which_workers_finished_can_be_replayed() -> None:
    whole = finish(BlackBoxSearch(Counting(evaluations=8), Judge(wave), Shuffled()))
    assert [trial.index for trial in whole] != list(range(8))
    second = BlackBoxSearch(Counting(evaluations=8), Judge(wave), Shuffled())
    assert all(second.replay(trial) for trial in whole)
    assert second.done


def test_a_foreign_trial_is_refused() -> None:
    (trial,) = finish(BlackBoxSearch(Counting(evaluations=1), Judge(wave), Serial()))
    other = Trial(index=0, architecture=Architecture("numbers", (5, 0.0)), score=1.0)
    for wrong in (other, Trial(index=3, architecture=trial.architecture, score=1.0)):
        search = BlackBoxSearch(Counting(evaluations=4), Judge(wave), Serial())
        with pytest.raises(InputError, match=f"trial {wrong.index} is not what this configuration asks for"):
            search.replay(wrong)


def test_a_strategy_may_prefer_another_than_the_highest_score() -> None:
    class Prefers(Counting):
        def preferred(self) -> Architecture | None:
            return self.told[1].architecture

    search = BlackBoxSearch(Prefers(evaluations=10), Judge(wave), Serial())
    finish(search)
    again = BlackBoxSearch(Prefers(evaluations=10), Judge(wave), Serial())
    again.load_state_dict(search.state_dict())
    again.strategy.told = search.strategy.told  # type: ignore[attr-defined]
    for each in (search, again):
        assert each.best().architecture == search.strategy.told[1].architecture  # type: ignore[attr-defined]
        assert each.best().score == search.strategy.told[1].score  # type: ignore[attr-defined]
