"""What a score is worth, what it is compared with, and a decision that grows."""

from __future__ import annotations

import math

import pytest

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, InputError
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.journal import Trial
from nas_cli.strategies.black_box.controller.baseline import MovingAverage
from nas_cli.strategies.black_box.controller.growth import NoGrowth, Steps
from nas_cli.strategies.black_box.controller.rewards import Auto, Perplexity, Power, Score


def trial(score: float, **metrics: float) -> Trial:
    return Trial(0, Architecture("a", ()), score, metrics)


def test_rewards() -> None:
    assert Score().of(0.5, trial(0.5)) == 0.5
    assert Power().of(0.5, trial(0.5)) == 0.125
    assert Power(0.5).of(-0.25, trial(-0.25)) == -0.5  # no complex number, and the order stays
    assert Perplexity().of(-4.0, trial(-4.0, valid_perplexity=80.0)) == pytest.approx(0.0125)
    assert Perplexity().of(-4.0, trial(-4.0, valid_perplexity=64.0)) == pytest.approx(0.01953125)
    assert Perplexity(exponent=1.0).of(-4.0, trial(-4.0, valid_perplexity=64.0)) == pytest.approx(1.25)


def test_rewards_of_numbers_whose_powers_are_too_large() -> None:
    """A network that has hardly learnt: its perplexity is e^700, and has no square."""
    perplexity = math.exp(700)
    assert Perplexity().of(-perplexity, trial(-perplexity, valid_perplexity=perplexity)) == 0.0
    assert Auto().of(-perplexity, trial(-perplexity, valid_perplexity=perplexity)) == 0.0
    assert (Power().of(1e200, trial(1e200)), Power().of(-1e200, trial(-1e200))) == (math.inf, -math.inf)


def test_auto_is_the_score_unless_there_is_a_perplexity() -> None:
    assert Auto().of(0.5, trial(0.5)) == 0.5
    assert Auto(c=80.0).of(-64.0, trial(-64.0, valid_perplexity=64.0)) == 0.01953125


def test_a_perplexity_that_there_is_not() -> None:
    class Accuracy(Estimator):
        score_name = "valid_accuracy"

        def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
            raise NotImplementedError

    class Text(Accuracy):
        score_name = "negative_valid_perplexity"

    with pytest.raises(CombinationError, match="candidates are judged by valid_accuracy, which is none; take auto"):
        Perplexity().check(Accuracy())
    Perplexity().check(Text())
    Auto().check(Accuracy())


def test_the_moving_average() -> None:
    average = MovingAverage(0.95)
    average.value = 0.0
    found = []
    for reward in (0.5, 0.7, 0.6):
        average.advantages([reward])
        found.append(average.value)
    assert found == pytest.approx([0.025, 0.05875, 0.0858125])


def test_a_batch_is_compared_with_what_was_before_it() -> None:
    average = MovingAverage(0.9)
    assert average.advantages([0.5, 0.7]) == pytest.approx([0, 0.2])  # starts at the first reward
    assert average.value == pytest.approx(0.52)
    assert average.advantages([0.5, 0.7]) == pytest.approx([-0.02, 0.18])
    assert average.value == pytest.approx(0.9 * (0.9 * 0.52 + 0.05) + 0.07)


def test_the_number_of_layers() -> None:
    growth = Steps()
    assert [growth.value(n) for n in (0, 1599, 1600, 12_799)] == [6, 6, 8, 20]
    assert growth.decision == "layers"
    assert NoGrowth().decision is None


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Power(0.0), "exponent"),
        (lambda: Power(math.inf), "exponent"),
        (lambda: Perplexity(c=math.inf), "c"),
        (lambda: Perplexity(exponent=math.inf), "exponent"),
        (lambda: Auto(c=math.inf), "c"),
        (lambda: Perplexity(c=0.0), "c"),
        (lambda: Perplexity(exponent=-1.0), "exponent"),
        (lambda: MovingAverage(1.0), "decay"),
        (lambda: Steps(every=0), "every"),
    ],
)
def test_options_that_are_refused(make: object, name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be"):
        make()  # type: ignore[operator]
