"""TPE: who is good, what is proposed, and odd histories; the densities are in test_parzen.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nas_cli.errors import InputError
from nas_cli.journal import Trial
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Real, When
from nas_cli.spaces.functions import Branin, FunctionSpace, Hartmann6
from nas_cli.strategies.black_box.base import Candidate, Strategy
from nas_cli.strategies.black_box.parzen import density
from nas_cli.strategies.black_box.random import Random
from nas_cli.strategies.black_box.tpe import TPE, _Nodes

FORMS: list[dict[str, Any]] = [
    {},
    {"parzen": "paper", "forgetting": None},
    {"parzen": "hyperopt", "joint": False, "split": "sqrt", "gamma": 0.25},
]
forms = pytest.mark.parametrize("options", FORMS, ids=lambda options: options.get("parzen", "multivariate"))


class Tree(Space):
    """Two kinds with a number each, and a small whole number."""

    decisions: tuple[Decision, ...] = (
        Categorical("kind", ("a", "b")),
        Real("x", 0.0, 1.0, when=When("kind", ("a",))),
        Real("y", 0.0, 1.0, when=When("kind", ("b",))),
        Integer("n", 1, 4),
    )


class Small(Space):
    decisions = (Categorical("c", ("a", "b", "c")), Integer("i", 1, 2))


TREE, SMALL, BRANIN = Tree("tree"), Small("small"), Branin("branin")


def tell(strategy: Strategy, space: Space, values: tuple[Any, ...], score: float | None) -> None:
    status = "ok" if score is not None else "failed"
    strategy.tell(Trial(0, space.decode(values), score, status=status))


def run(strategy: Strategy, space: FunctionSpace, count: int) -> float:
    """The simple regret after so many trials."""
    best = -np.inf
    for index in range(count):
        (candidate,) = strategy.ask(1, [])
        value = space.value(candidate.architecture)
        best = max(best, value)
        strategy.tell(Trial(index, candidate.architecture, value))
    return space.optimum - best


@pytest.mark.parametrize(
    ("n", "linear", "root"), [(1, 1, 1), (20, 5, 2), (50, 13, 2), (100, 25, 3), (400, 100, 5), (10000, 2500, 25)]
)
def test_how_many_are_good(n: int, linear: int, root: int) -> None:
    trials = [((k / n, 0.0), float(k)) for k in range(n)]
    for split, most in (("linear", linear), ("sqrt", root)):
        good, bad = TPE(BRANIN, seed=0, gamma=0.25, split=split).parts(trials)  # type: ignore[arg-type]
        assert len(good) == most
        assert len(bad) == n - most
        assert good == [values for values, _ in trials[n - most :]]


def test_the_highest_scores_are_good_in_order_of_time_and_failed_never() -> None:
    scores = [3.0, None, 9.0, None, 9.0, 1.0, None, 2.0]
    trials = [((k,), score) for k, score in enumerate(scores)]
    strategy = TPE(BRANIN, seed=0, gamma=0.26)
    assert strategy.parts(trials) == ([(0,), (2,), (4,)], [(1,), (3,), (5,), (6,), (7,)])
    assert strategy.parts([((k,), None) for k in range(8)])[0] == []
    assert strategy.parts([((k,), 1.0) for k in range(8)])[0] == [(0,), (1,), (2,)]  # of equals, the older


@pytest.mark.parametrize("form", ["paper", "hyperopt"])
def test_where_a_decision_is_inactive_a_trial_does_not_change_its_densities(form: Any) -> None:
    good = [("a", 0.2, None, 1), ("b", None, 0.5, 2)]
    more = [*good, ("b", None, 0.9, 3)]
    bad = [("a", 0.8, None, 4)]
    points = [0.1, 0.5, 0.9]
    few, many = (_Nodes(TREE.decisions, trials, bad, form, 1.0, 25) for trials in (good, more))
    assert few._pair(1)[0].log(points).tolist() == many._pair(1)[0].log(points).tolist()
    assert few._pair(2)[0].log(points).tolist() != many._pair(2)[0].log(points).tolist()
    assert few._pair(1)[0].log(points).tolist() == density(TREE.decisions[1], [0.2], form, 1.0, 25).log(points).tolist()


@forms
def test_it_learns_the_branch_and_its_child(options: dict[str, Any]) -> None:
    strategy = TPE(TREE, seed=0, evaluations=80, **options)
    found = []
    for _ in range(80):
        (candidate,) = strategy.ask(1, [])
        kind, x, y, n = TREE.encode(candidate.architecture)
        assert (x is None, y is None) == (kind == "b", kind == "a")
        found.append((kind, y))
        value = -abs(y - 0.7) if isinstance(y, float) else -1.0
        tell(strategy, TREE, (kind, x, y, n), value)
    late = found[40:]
    assert sum(kind == "b" for kind, _ in late) > 25
    assert np.median([abs(y - 0.7) for _, y in late if isinstance(y, float)]) < 0.15


@forms
def test_the_first_are_draws_from_the_prior(options: dict[str, Any]) -> None:
    one, other = (TPE(BRANIN, seed=3, n_startup=4, **options) for _ in range(2))
    for k in range(5):
        (first,), (second,) = one.ask(1, []), other.ask(1, [])
        assert (first == second) == (k < 4)  # told different things, they part with the first proposal
        tell(one, BRANIN, first.architecture.decisions, float(k))
        tell(other, BRANIN, first.architecture.decisions, float(-k))


@forms
def test_a_finite_space_is_exhausted_without_repetition(options: dict[str, Any]) -> None:
    strategy = TPE(SMALL, seed=0, n_startup=2, **options)
    found: list[tuple[Any, ...]] = []
    while asked := strategy.ask(1, []):
        assert len(found) < 6
        found.append(asked[0].architecture.decisions)
        tell(strategy, SMALL, asked[0].architecture.decisions, None if len(found) == 3 else 1.0)
    assert sorted(found) == sorted((c, i) for c in "abc" for i in (1, 2))
    assert len(TPE(SMALL, seed=0, **options).ask(100, [])) == 6


@forms
@pytest.mark.parametrize("scores", [[0.0], [1.0] * 12, [None] * 12, [None, 1.0] * 6, [1e300, -1e300] * 6])
def test_odd_histories(options: dict[str, Any], scores: list[float | None]) -> None:
    strategy = TPE(TREE, seed=0, n_startup=1, **options)
    for score in scores:
        tell(strategy, TREE, ("a", 0.25, None, 2), score)  # always the same point
    for candidate in strategy.ask(5, []):
        assert candidate.architecture.decisions != ("a", 0.25, None, 2)
        TREE.encode(candidate.architecture)


@forms
def test_pending_points_count_as_bad(options: dict[str, Any]) -> None:
    """With a crowd pending at the best point, the next ones keep away from it."""
    strategy = TPE(BRANIN, seed=0, n_startup=2, **options)
    generator = np.random.default_rng(0)
    for _ in range(20):
        x1, x2 = generator.uniform(-5, 10), generator.uniform(0, 15)
        tell(strategy, BRANIN, (x1, x2), -abs(x1))
    crowd = [Candidate(BRANIN.decode((float(x1), 7.0))) for x1 in np.linspace(-0.5, 0.5, 30)]
    state = strategy.state_dict()
    near = []
    for pending in ([], crowd):
        strategy.load_state_dict(state)
        drawn = [strategy._next([c.architecture.decisions for c in pending]) for _ in range(30)]
        near.append(np.mean([values is not None and abs(float(values[0] or 0)) < 1 for values in drawn]))
    assert near[1] < near[0] - 0.1


@pytest.mark.slow
@pytest.mark.parametrize("options", FORMS[::2])
def test_it_is_better_than_random_on_hartmann6(options: dict[str, Any]) -> None:
    space = Hartmann6("hartmann6")
    regrets = [run(TPE(space, seed=seed, evaluations=150, n_startup=20, **options), space, 150) for seed in range(3)]
    random = [run(Random(space, seed=seed), space, 150) for seed in range(11)]
    assert np.median(regrets) < np.median(random)


def test_the_default_comes_near_the_optimum_of_branin() -> None:
    assert np.median([run(TPE(BRANIN, seed=seed), BRANIN, 60) for seed in range(3)]) < 0.3


def test_it_says_where_it_is_no_more_than_random_search() -> None:
    assert TPE(BRANIN, seed=0, evaluations=11, n_startup=10).caution() is None
    said = TPE(BRANIN, seed=0, evaluations=10, n_startup=10).caution()
    assert said is not None
    assert "evaluations=10 with strategy.n_startup=10" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 0.0}, "gamma must be between 0 and 1, not 0.0"),
        ({"n_startup": 0}, "n_startup must be at least 1, not 0"),
        ({"n_candidates": 0}, "n_candidates must be at least 1, not 0"),
        ({"prior_weight": 0.0}, "prior_weight must be above 0 and finite, not 0.0"),
        ({"prior_weight": math.inf}, "prior_weight must be above 0 and finite, not inf"),
        ({"forgetting": 0}, "forgetting must be at least 1 or null, not 0"),
        ({"joint": False}, "parzen=multivariate needs joint=true"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TPE(BRANIN, seed=0, **options)
