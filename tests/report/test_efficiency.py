"""Statistics of random search: worked numbers, and what must hold of any."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_cli.report.efficiency import Loss, best_model, efficiency_curve, expected_best, weights

VALID = [Loss.zero_one(error, 2000) for error in (0.10, 0.11, 0.15)]
TEST = [Loss.zero_one(error, 50000) for error in (0.12, 0.105, 0.16)]


def test_the_worked_example() -> None:
    assert [loss.variance for loss in VALID] == pytest.approx([4.5022511e-5, 4.8974487e-5, 6.3781891e-5], rel=1e-7)
    found = weights(VALID)
    assert found == pytest.approx([0.848832122, 0.151167764, 1.138e-7], abs=1e-9)
    assert found[2] == pytest.approx(1.138e-7, rel=1e-3)
    best = best_model(VALID, TEST)
    assert best.mean == pytest.approx(0.117732488093, abs=1e-11)
    assert math.sqrt(best.variance) == pytest.approx(0.005563111882, abs=1e-11)


def test_two_trials_have_a_closed_form() -> None:
    first, second = Loss(0.3, 0.01), Loss(0.35, 1e-6)
    expected = 0.5 * (1 + math.erf(0.05 / math.sqrt(2 * (0.01 + 1e-6))))
    assert weights([first, second]) == pytest.approx([expected, 1 - expected], abs=1e-9)


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([1e-4, 1e-3, 1e-2])), min_size=1, max_size=6))
def test_weights_are_probabilities_whatever_the_order(losses: list[tuple[float, float]]) -> None:
    valid = [Loss(mean, variance) for mean, variance in losses]
    found = weights(valid)
    assert min(found) >= 0
    assert sum(found) == pytest.approx(1)
    assert weights(valid[::-1]) == pytest.approx(found[::-1], abs=1e-9)


def test_weights_are_shares_of_wins() -> None:
    valid = [Loss(0.2, 4e-4), Loss(0.21, 1e-4), Loss(0.23, 9e-4), Loss(0.25, 1e-4)]
    generator = np.random.default_rng(0)
    draws = generator.normal([loss.mean for loss in valid], [math.sqrt(loss.variance) for loss in valid], (100_000, 4))
    wins = np.bincount(draws.argmin(axis=1), minlength=4) / len(draws)
    assert weights(valid) == pytest.approx(list(wins), abs=0.006)


def test_losses_without_variance() -> None:
    assert weights([Loss(0.1, 0), Loss(0.0, 0), Loss(0.0, 0)]) == [0, 0.5, 0.5]
    # Half of the time the uncertain loss is below the certain one of the same mean.
    assert weights([Loss(0.2, 0), Loss(0.2, 1e-4)]) == pytest.approx([0.5, 0.5], abs=1e-3)
    assert weights([Loss(0.2, 0), Loss(0.2, 1e-4), Loss(0.9, 1e-4)])[2] == pytest.approx(0, abs=1e-9)
    assert weights([Loss(0.2, 0), Loss(0.9, 1e-4)]) == pytest.approx([1, 0], abs=1e-9)
    assert weights([Loss(0.3, 0)]) == [1]


def test_equals_share() -> None:
    assert weights([Loss(0.2, 1e-4)] * 4) == pytest.approx([0.25] * 4)


def test_the_efficiency_curve_splits_into_disjoint_experiments() -> None:
    valid = [Loss.zero_one(0.1 + 0.05 * (k % 5), 1000) for k in range(11)]
    test = [Loss.zero_one(0.1 + 0.05 * (k % 5), 1000) for k in range(11)]
    curve = efficiency_curve(valid, test)
    assert [(s, len(found)) for s, found in curve] == [(1, 11), (2, 5), (4, 2), (8, 1)]
    assert curve[0][1] == pytest.approx([loss.mean for loss in test])
    assert curve[2][1][1] == best_model(valid[4:8], test[4:8]).mean
    medians = [float(np.median(found)) for _, found in curve]
    assert medians == sorted(medians, reverse=True)


SCORES = (0.9, 0.8, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1)


@pytest.mark.parametrize(
    ("trials", "without", "with_replacement"),
    [(1, 0.4875, 0.4875), (2, 0.664285714, 0.6421875), (4, 0.812857143, 0.770581055), (8, 0.9, 0.850539941)],
)
def test_order_statistics(trials: int, without: float, with_replacement: float) -> None:
    assert expected_best(SCORES[::-1], trials) == pytest.approx(without, abs=1e-9)
    assert expected_best(SCORES, trials, replacement=True) == pytest.approx(with_replacement, abs=1e-9)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6), st.data())
def test_expected_best_is_the_mean_over_all_subsets(scores: list[float], data: st.DataObject) -> None:
    trials = data.draw(st.integers(1, len(scores)))
    subsets = [max(subset) for subset in itertools.combinations(scores, trials)]
    assert expected_best(scores, trials) == pytest.approx(float(np.mean(subsets)), abs=1e-9)
    tuples = [max(drawn) for drawn in itertools.product(scores, repeat=min(trials, 3))]
    assert expected_best(scores, min(trials, 3), replacement=True) == pytest.approx(float(np.mean(tuples)), abs=1e-9)
