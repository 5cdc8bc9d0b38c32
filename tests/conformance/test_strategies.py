"""What every strategy under configs/strategy must do; a new one is held to this without an edit here."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import saved
from made_up import CPU, MadeUp, space

from nas_cli import config as configuration
from nas_cli.architecture import Architecture
from nas_cli.build import build, resolve
from nas_cli.data.augmentation import Augmentation
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.estimators.shared_images import SharedImageWeights
from nas_cli.executors.serial import Serial
from nas_cli.journal import Trial
from nas_cli.runner import Search
from nas_cli.session import ROLES
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.base import Candidate, Strategy
from nas_cli.strategies.black_box.search import BlackBoxSearch
from nas_cli.strategies.gradient.meta_search import MetaSearch

NAMES = configuration.choices()["strategy"]
SECTIONS = {name: configuration.compose("search", [f"strategy={name}"]) for name in NAMES}


def is_gradient(name: str) -> bool:
    """Whether it trains shared weights, as its own choice of estimator says."""
    return bool(SECTIONS[name]["names"]["estimator"] == "shared_weights")


BLACK_BOX = [name for name in NAMES if not is_gradient(name)]
#: What learns over few-shot tasks needs other data, and is held to as much in tests of its own.
META = [name for name in NAMES if issubclass(resolve(SECTIONS[name]["strategy"]["_target_"]), MetaSearch)]
GRADIENT = [name for name in NAMES if is_gradient(name) and name not in META]


class RandomScores(Estimator):
    """Scores out of nothing but the architecture, some of them none at all."""

    def __init__(self, bad: bool = True) -> None:
        self.bad = bad
        self.measured = 0

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        self.measured += 1
        draw = random.Random(str(architecture)).random()
        if self.bad and draw < 0.15:
            raise ValueError("this one cannot be built")
        if self.bad and draw > 0.85:
            return Measurement(math.nan if draw > 0.92 else math.inf)
        return Measurement(draw, {"draw": draw}, cost_seconds=1.0)


def space_of(name: str) -> Space:
    config = SECTIONS[name]
    return build(config["space"], "space", Space, name=config["names"]["space"])


def strategy(name: str, seed: int = 0, **options: Any) -> Strategy:
    made = build(
        {**SECTIONS[name]["strategy"], **options},
        "strategy",
        ROLES["strategy"],
        space=space_of(name),
        seed=seed,
        estimator=RandomScores(),
        dataset=MadeUp(),
        hardware=CPU,
    )
    assert isinstance(made, Strategy)
    return made


def answer(index: int, candidate: Candidate) -> Trial:
    """The trial that random scores make of a candidate."""
    common: dict[str, Any] = {"index": index, "architecture": candidate.architecture, "budget": candidate.budget}
    try:
        score = RandomScores().measure(candidate.architecture).score
    except ValueError as error:
        return Trial(score=None, status="failed", error=str(error), **common)
    if not math.isfinite(score):
        return Trial(score=None, status="failed", error=f"score is {score}", **common)
    return Trial(score=score, **common)


def asks(made: Strategy, rounds: int, first: int = 0) -> list[Candidate]:
    """Ask and tell, one at a time, so many times."""
    found: list[Candidate] = []
    for index in range(first, first + rounds):
        asked: Sequence[Candidate] = made.ask(1, [])
        assert len(asked) <= 1
        for candidate in asked:
            found.append(candidate)
            made.tell(answer(index, candidate))
    return found


def test_there_are_as_many_as_there_were() -> None:
    assert {"grid", "random"} <= set(BLACK_BOX)
    assert {"bayesnas", "darts", "darts_plus", "gdas", "pc_darts", "pdarts", "robust_darts", "snas"} <= set(GRADIENT)


@pytest.mark.parametrize("name", BLACK_BOX)
class TestBlackBox:
    ROUNDS = 12

    def test_what_it_asks_for_is_in_the_space(self, name: str) -> None:
        where = space_of(name)
        found = asks(strategy(name), self.ROUNDS)
        assert found
        for candidate in found:
            where.encode(candidate.architecture)  # raises for a foreign one
            assert candidate.architecture.space == where.name
            assert candidate.budget is None or candidate.budget > 0

    def test_the_same_seed_asks_the_same_and_touches_nothing_global(self, name: str) -> None:
        torch.manual_seed(2)
        before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
        first = asks(strategy(name, seed=7), self.ROUNDS)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert random.getstate() == before[1]
        assert np.random.get_state()[1].tolist() == before[2]  # type: ignore[index,union-attr]
        torch.manual_seed(3)
        random.seed(3)
        assert asks(strategy(name, seed=7), self.ROUNDS) == first

    @pytest.mark.parametrize("at", range(0, ROUNDS + 1, 3))
    def test_a_state_saved_at_any_step_gives_the_same_next_asks(self, name: str, at: int) -> None:
        whole = asks(strategy(name), self.ROUNDS)
        first, second = strategy(name), strategy(name)
        head = asks(first, at)
        second.load_state_dict(saved(first.state_dict()))
        assert head + asks(second, self.ROUNDS - at, first=at) == whole

    @pytest.mark.parametrize("workers", [2, 5])
    def test_many_at_once_and_told_in_any_order(self, name: str, workers: int) -> None:
        made = strategy(name)
        where, pending, index = space_of(name), {}, itertools.count()
        for turn in range(10):
            asked = made.ask(workers - len(pending), list(pending.values()))
            assert len(asked) <= workers - len(pending)
            for candidate in asked:
                where.encode(candidate.architecture)
                pending[next(index)] = candidate
            if pending:
                told = sorted(pending)[turn % len(pending)]
                made.tell(answer(told, pending.pop(told)))

    def test_a_search_with_random_scores(self, name: str) -> None:
        """The limit is kept, and neither a failed nor a NaN trial wins."""
        judge = RandomScores()
        search = BlackBoxSearch(strategy(name, evaluations=20), judge, Serial())
        trials: list[Trial] = []
        while not search.done:
            for trial in search.step().trials:
                trials.append(trial)
                search.tell(trial)
        assert judge.measured == len(trials) == search.evaluations <= 20
        scores = [trial.score for trial in trials if trial.status == "ok"]
        assert all(trial.score is None for trial in trials if trial.status == "failed")
        assert search.best().score == max(score for score in scores if score is not None)
        assert math.isfinite(search.best().score)

    @pytest.mark.parametrize("at", [0, 1, 7, 14])
    def test_a_search_restored_or_replayed_goes_on_alike(self, name: str, at: int) -> None:
        def search() -> BlackBoxSearch:
            return BlackBoxSearch(strategy(name, evaluations=15), RandomScores(), Serial())

        def go(made: BlackBoxSearch, steps: int) -> list[Trial]:
            trials: list[Trial] = []
            while not made.done and len(trials) < steps:
                for trial in made.step().trials:
                    trials.append(trial)
                    made.tell(trial)
            return trials

        def facts(trials: list[Trial]) -> list[Any]:
            return [(t.index, t.architecture, t.score, t.budget, t.error) for t in trials]

        whole = go(search(), 100)
        first, restored, replayed = search(), search(), search()
        head = go(first, at)
        restored.load_state_dict(saved(first.state_dict()))
        assert facts(head + go(restored, 100)) == facts(whole)
        for trial in head:
            assert replayed.replay(Trial.from_json(json.loads(json.dumps(trial.to_json()))))
        assert facts(head + go(replayed, 100)) == facts(whole)
        assert restored.best() == replayed.best()


EPOCHS, STEPS = 2, 3  # twelve of 24 images in batches of 4
CHANNELS = 8  # the fewest of which a quarter is even, for partial channels


def gradient_search(name: str, order: str, seed: int = 0) -> Search:
    """The strategy on a tiny supernet and two dozen made-up images, for two epochs."""
    overrides = [f"strategy={name}"]
    if "architecture_gradient" in SECTIONS[name]["strategy"]:
        overrides.append(f"strategy/architecture_gradient={order}")
    section = configuration.compose("search", overrides)["strategy"]
    dataset = MadeUp(images=24, augmentation=Augmentation(crop_padding=1, flip=True))
    where = space(channels=CHANNELS, cells=3)
    shared = SharedImageWeights(where, dataset, CPU, seed, batch_size=4)
    given = {"space": where, "dataset": dataset, "hardware": CPU, "seed": seed, "estimator": shared}
    made = build({**section, "epochs": EPOCHS}, "strategy", ROLES["strategy"], **given)
    assert isinstance(made, Search)
    return made


def finish(made: Search, steps: int = 1000) -> list[Any]:
    """What so many steps report, without times."""
    found: list[Any] = []
    while not made.done and steps > 0:
        step = made.step()
        steps -= 1
        found.append((step.metrics, [(t.architecture, t.score, t.metrics) for t in step.trials]))
        for trial in step.trials:
            made.tell(trial)
    return found


def tensors(state: Any, prefix: str = "") -> dict[str, Any]:
    """Every leaf of a state by its path, times left out."""
    if isinstance(state, dict):
        found: dict[str, Any] = {}
        for key, value in state.items():
            if key not in ("started", "finished", "cost_seconds", "spent"):
                found |= tensors(value, f"{prefix}/{key}")
        return found
    if isinstance(state, list | tuple):
        return tensors(dict(enumerate(state)), prefix)
    return {prefix: state}


def same(a: Search, b: Search) -> bool:
    first, second = tensors(a.state_dict()), tensors(b.state_dict())
    return first.keys() == second.keys() and all(
        torch.equal(value, second[key]) if isinstance(value, torch.Tensor) else value == second[key]
        for key, value in first.items()
    )


@pytest.mark.parametrize("order", ["first_order", "second_order"])
@pytest.mark.parametrize("name", GRADIENT)
class TestGradient:
    def test_resumed_at_several_steps_it_is_the_same_bit_for_bit(self, name: str, order: str) -> None:
        torch.manual_seed(8)
        before = torch.get_rng_state()
        whole, reports, states = gradient_search(name, order), [], {}
        for at in (1, 3, whole.total - 1):
            reports += finish(whole, at - len(reports))
            states[at] = saved(whole.state_dict())
        reports += finish(whole)
        assert whole.total == len(reports)
        assert whole.total % (EPOCHS * STEPS) == 0  # a stage or several
        assert torch.equal(torch.get_rng_state(), before)
        for at, state in states.items():
            torch.manual_seed(at)  # whatever the process has drawn since must not matter
            second = gradient_search(name, order)
            second.load_state_dict(state)
            assert second.position == at
            assert finish(second) == reports[at:]
            assert same(second, whole)
            assert second.best() == whole.best()

    def test_it_derives_an_architecture_of_the_space(self, name: str, order: str) -> None:
        made = gradient_search(name, order, seed=1)
        finish(made)
        best = made.best()
        where = space(channels=CHANNELS, cells=3)
        assert best.architecture.space == "darts"
        assert where.describe(best.architecture)  # some methods keep other numbers of edges than its own cells have
        assert 0 <= best.score <= 1
        network = where.build(best.architecture, (1, 8, 8), 3)
        assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
