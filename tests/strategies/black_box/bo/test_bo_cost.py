"""Expected improvement per second."""

from __future__ import annotations

import math
from typing import Literal

import pytest
from gp_table import SE, points, process, situation, table, tensor

from nas_cli.errors import CombinationError
from nas_cli.strategies.black_box.bo.acquisitions import (
    GPUCB,
    Acquisition,
    ConfidenceBound,
    ExpectedImproving,
    LogExpectedImproving,
    Mean,
    NoisyExpectedImproving,
    ProbabilityOfImproving,
)
from nas_cli.strategies.black_box.bo.cost import NoCost, PerSecond, log_durations
from nas_cli.strategies.black_box.bo.gaussian_process import GaussianProcess
from nas_cli.strategies.black_box.bo.thompson import Thompson

MEAN = 0.924196240747


def durations(shift: float = 0.0, scale: float = 1.0) -> GaussianProcess:
    """Of 1, 2, 8 seconds, modelled in other units."""
    vector = ((MEAN - shift) / scale, 1 / scale**2, 0.01 / scale**2, 0.5)
    return process(SE, vector, targets=(log_durations([1, 2, 8]) - shift) / scale)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.7, 2.5)])
@pytest.mark.parametrize(
    ("cost_mean", "inverse"), [("median", (0.86156469, 0.22872538)), ("inverse_mean", (0.87241077, 0.23160477))]
)
def test_the_worked_example(
    cost_mean: Literal["median", "inverse_mean"], inverse: tuple[float, float], shift: float, scale: float
) -> None:
    log_cost = PerSecond(cost_mean).log_cost(durations(shift, scale), shift, scale)
    assert log_cost is not None
    assert (-log_cost(tensor(0.25, 0.75).unsqueeze(-1))).exp().flatten().tolist() == pytest.approx(inverse, abs=1e-8)
    made = ExpectedImproving().make(situation(table(SE, 0.01)), log_cost)
    found = made(points(0.25, 0.75))
    expected = [0.000918282844 * share for share in inverse]
    assert found.tolist() == pytest.approx(expected, abs=1e-10)  # a tie in EI, broken toward the cheap point
    logarithm = LogExpectedImproving().make(situation(table(SE, 0.01)), log_cost)
    assert logarithm(points(0.25, 0.75)).exp().tolist() == pytest.approx(expected, rel=1e-7)


def test_numbers_of_the_sheet() -> None:
    made = ExpectedImproving().make(situation(table(SE, 0.01)), PerSecond().log_cost(durations(), 0.0, 1.0))
    assert made(points(0.25, 0.75)).tolist() == pytest.approx([0.00079116, 0.00021003], abs=1e-8)


def test_samples_are_paired() -> None:
    """The mean over samples of EI over cost, not the mean EI over the mean cost."""
    vectors = [(0.0, 1.0, 0.01, 0.5), (0.3, 1.5, 0.02, 0.7)]
    costs = [(MEAN, 1.0, 0.01, 0.5), (0.2, 2.0, 0.05, 0.9)]
    log_cost = PerSecond().log_cost(process(SE, *costs, targets=log_durations([1, 2, 8])), 0.0, 1.0)
    found = ExpectedImproving().make(situation(process(SE, *vectors)), log_cost)(points(0.3)).item()
    parts = []
    for vector, cost in zip(vectors, costs, strict=True):
        one = PerSecond().log_cost(process(SE, cost, targets=log_durations([1, 2, 8])), 0.0, 1.0)
        parts.append(ExpectedImproving().make(situation(process(SE, vector)), one)(points(0.3)).item())
    assert found == pytest.approx(sum(parts) / 2, rel=1e-10)


def test_no_time_at_all_counts_as_a_millisecond() -> None:
    assert log_durations([0.0, 1e-9, 1.0]).tolist() == pytest.approx([math.log(1e-3)] * 2 + [0.0])


@pytest.mark.parametrize("acquisition", [ConfidenceBound(), GPUCB(), Mean(), Thompson()])
def test_what_can_be_negative_is_refused(acquisition: Acquisition) -> None:
    with pytest.raises(CombinationError, match=r"strategy/cost=per_second with strategy/acquisition"):
        PerSecond().check(acquisition)
    NoCost().check(acquisition)


@pytest.mark.parametrize(
    "acquisition",
    [ExpectedImproving(), LogExpectedImproving(), ProbabilityOfImproving(), NoisyExpectedImproving()],
)
def test_what_cannot_is_not(acquisition: Acquisition) -> None:
    PerSecond().check(acquisition)
