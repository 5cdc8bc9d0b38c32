"""Learning rates of every epoch (systems sheet, sections 2.6, 3 and 4)."""

from __future__ import annotations

import itertools

import pytest

from nas_cli.errors import InputError
from nas_cli.schedules import Cosine, Exponential, Halving, Linear, Schedule, Staircase, WarmUp

PC_DARTS = WarmUp(Linear(), epochs=5)
PDARTS = WarmUp(Linear(), epochs=5, multiply=True)


@pytest.mark.parametrize(("epoch", "rate"), [(0, 0.025), (25, 0.013), (49, 0.00102368), (50, 0.001)])
def test_cosine_of_dartss_search(epoch: int, rate: float) -> None:
    assert Cosine(last=0.001).rate(0.025, epoch, 50) == pytest.approx(rate, abs=5e-9)


def test_exponential_falls_by_the_same_factor_whatever_the_number_of_epochs() -> None:
    rates = [Exponential(0.97).rate(0.1, epoch, 250) for epoch in range(250)]
    assert rates[0] == 0.1
    assert all(after / before == pytest.approx(0.97) for before, after in itertools.pairwise(rates))
    assert rates[100] == pytest.approx(0.004755251)  # 0.1 · 0.97^100
    assert Exponential(0.97).rate(0.1, 3, 4) == rates[3]


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [
        *((epoch, 0.1 * (epoch + 1)) for epoch in range(5)),
        (5, 0.489796),
        (244, 0.00204082),
        (245, 0.00204082),
        (249, 0.000408163),
    ],
)
def test_pc_darts_on_imagenet(epoch: int, rate: float) -> None:
    assert PC_DARTS.rate(0.5, epoch, 250) == pytest.approx(rate, rel=2e-6)


@pytest.mark.parametrize(("epoch", "rate"), [(0, 0.1), (1, 0.199184), (4, 0.491837), (5, 0.489796), (249, 0.000408163)])
def test_pdarts_multiplies_what_the_line_has(epoch: int, rate: float) -> None:
    assert PDARTS.rate(0.5, epoch, 250) == pytest.approx(rate, rel=2e-6)


def test_the_last_five_epochs_of_the_line_share_one_step_of_the_others() -> None:
    rates = [Linear().rate(0.5, epoch, 250) for epoch in range(251)]
    steps = [before - after for before, after in itertools.pairwise(rates)]
    assert steps[:244] == pytest.approx([0.5 / 245] * 244)
    assert steps[244] == pytest.approx(0, abs=1e-12)
    assert steps[245:] == pytest.approx([0.1 / 245] * 5)
    assert rates[250] == 0


@pytest.mark.parametrize("epochs", [1, 3, 5])
def test_a_line_of_few_epochs_falls_in_equal_steps(epochs: int) -> None:
    rates = [Linear().rate(0.5, epoch, epochs) for epoch in range(epochs)]
    assert rates == pytest.approx([0.5 * (1 - epoch / epochs) for epoch in range(epochs)])
    assert PDARTS.rate(0.5, 0, epochs) == 0.1


def test_a_cosine_can_warm_up_too() -> None:
    # PC-DARTS' search on ImageNet: 0.5 (e + 1) / 5, then the cosine.
    schedule = WarmUp(Cosine(), epochs=5)
    assert [schedule.rate(0.5, epoch, 50) for epoch in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert schedule.rate(0.5, 5, 50) == Cosine().rate(0.5, 5, 50)


def test_a_staircase_falls_between_its_steps_alone() -> None:
    """NASNet on ImageNet: the factor 0.97 after every 2.4 epochs, to the step of the training."""
    rate = [Staircase().rate(2.0, step / 10, 250) for step in range(61)]
    assert rate[:24] == [2.0] * 24
    assert rate[24:48] == pytest.approx([2.0 * 0.97] * 24)
    assert rate[48:] == pytest.approx([2.0 * 0.97**2] * 13)
    with pytest.raises(InputError, match=r"^every must be above 0, not 0$"):
        Staircase(every=0)


def test_fractalnet_s_rate_falls_whenever_the_epochs_that_are_left_have_halved() -> None:
    rates = [Halving().rate(0.02, epoch, 400) for epoch in range(400)]
    falls = [epoch for epoch in range(1, 400) if rates[epoch] != rates[epoch - 1]]
    assert falls == [200, 300, 350, 375]
    assert [rates[epoch] for epoch in (0, *falls)] == pytest.approx([0.02, 2e-3, 2e-4, 2e-5, 2e-6])
    assert rates[-1] == rates[375]
    svhn = [Halving().rate(1.0, epoch, 20) for epoch in (9, 10, 15, 18, 19)]
    assert svhn == pytest.approx([1, 0.1, 1e-2, 1e-3, 1e-4])
    assert Halving(times=1).rate(1.0, 399, 400) == 0.1
    assert Halving(decay=0.5).rate(1.0, 17.5, 20) == 0.125  # also between epochs
    with pytest.raises(InputError, match=r"^times must be at least 0, not -1$"):
        Halving(times=-1)


@pytest.mark.parametrize("schedule", [Cosine(), Exponential(), Linear(), Staircase(), Halving(), PC_DARTS, PDARTS])
@pytest.mark.parametrize("epochs", [1, 2, 6, 250])
def test_rates_are_positive_and_never_above_the_first(schedule: Schedule, epochs: int) -> None:
    rates = [schedule.rate(0.5, epoch, epochs) for epoch in range(epochs)]
    assert all(0 < rate <= 0.5 for rate in rates)


def test_ranges() -> None:
    with pytest.raises(InputError, match=r"^last must be at least 0, not -0\.1$"):
        Cosine(last=-0.1)
    for decay in (0.0, 1.1):
        with pytest.raises(InputError, match=rf"^decay must be in \(0, 1\], not {decay}$"):
            Exponential(decay)
    with pytest.raises(InputError, match=r"^epochs must be at least 1, not 0$"):
        WarmUp(epochs=0)
