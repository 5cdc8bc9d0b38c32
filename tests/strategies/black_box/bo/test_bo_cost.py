"""Expected improvement per second."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from gp_table import SE, bo, line, points, process, situation, table, tensor
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError
from nas_cli.journal import Trial
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
from nas_cli.strategies.black_box.bo.gaussian_process import GaussianProcess, Vectors
from nas_cli.strategies.black_box.bo.hyperparameters import MaximumAPosteriori, SliceSampling
from nas_cli.strategies.black_box.bo.pending import Fantasies
from nas_cli.strategies.black_box.bo.priors import Gamma
from nas_cli.strategies.black_box.bo.surrogate import standardised
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


#: Cheap under one vector where it is dear under the other.
APART = ((MEAN, 1.0, 0.01, 0.5), (-2.0, 2.0, 0.05, 0.9), (3.0, 0.5, 0.02, 0.2))


@pytest.mark.parametrize("acquisition", [ExpectedImproving(), LogExpectedImproving()], ids=["ei", "log_ei"])
def test_each_sample_of_cost_goes_with_all_fantasies_of_its_own_sample(acquisition: Acquisition) -> None:
    """Members stand in the order samples x fantasies; the mean is that of EI over cost, sample by sample."""
    vectors = [(0.0, 1.0, 0.01, 0.5), (0.3, 1.5, 0.02, 0.7), (-0.5, 0.3, 0.1, 0.2)]
    fantasies, waiting = Fantasies(4), tensor(0.25, 0.8).unsqueeze(-1)
    log_cost = PerSecond().log_cost(process(SE, *APART, targets=log_durations([1, 2, 8])), 0.0, 1.0)
    model = fantasies.condition(process(SE, *vectors), waiting, seed=3)
    found = acquisition.make(situation(model), log_cost)(points(0.3, 0.9))
    parts = []
    for vector, cost in zip(vectors, APART, strict=True):
        alone = fantasies.condition(process(SE, vector), waiting, seed=3)
        one = PerSecond().log_cost(process(SE, cost, targets=log_durations([1, 2, 8])), 0.0, 1.0)
        assert one is not None
        improvement = ExpectedImproving().make(situation(alone))(points(0.3, 0.9))
        parts.append(improvement / one(tensor(0.3, 0.9).unsqueeze(-1)).exp().squeeze(-1))
    expected = torch.stack(parts).mean(0)
    torch.testing.assert_close(found.exp() if acquisition.logarithmic else found, expected, rtol=1e-7, atol=1e-14)


def test_a_search_per_second_with_samples_and_pending_points() -> None:
    """What `strategy=bo` maximises, against a loop over its hyper-parameter samples and their fantasies."""
    space = line()
    samples = SliceSampling(samples=3, burn_in=20)
    strategy = bo(
        space,
        acquisition=ExpectedImproving(),
        cost=PerSecond(),
        hyperparameters=samples,
        pending=Fantasies(5),
        noise=None,
        standardise=False,
    )
    judged = [(0.0, 0.0, 1.0), (0.5, 1.0, 2.0), (1.0, 0.2, 8.0), (0.3, 0.4, 0.5)]
    for index, (place, score, seconds) in enumerate(judged):
        strategy.tell(Trial(index=index, architecture=_at(place), score=score, cost_seconds=seconds))
    situation_, acquisition = strategy.outlook([_at(0.7)])
    at = tensor(0.15, 0.6, 0.9).unsqueeze(-1)
    assert strategy.scores.chain is not None
    assert strategy.durations.chain is not None
    scores = tensor(*[score for _, score, _ in judged])
    logs = log_durations([seconds for _, _, seconds in judged])
    shift, scale = logs.mean(), logs.std()
    covariance = strategy.covariance
    rows = covariance.inputs.rows([_at(place) for place, _, _ in judged])
    parts: list[Tensor] = []
    for vector, cost in zip(strategy.scores.chain.vectors, strategy.durations.chain.vectors, strict=True):
        model = GaussianProcess(Vectors(covariance, vector[None]), rows, scores[None, :, None])
        model = Fantasies(5).condition(model, covariance.inputs.rows([_at(0.7)]), situation_.seed)
        durations = GaussianProcess(Vectors(covariance, cost[None]), rows, ((logs - shift) / scale)[None, :, None])
        seconds_ = (shift + scale * durations.moments(at)[0][0, :, 0]).exp()
        parts.append(ExpectedImproving().make(situation(model))(at.unsqueeze(-2)) / seconds_)
    torch.testing.assert_close(acquisition(at.unsqueeze(-2)), torch.stack(parts).mean(0), rtol=1e-9, atol=1e-14)


def test_a_noisy_log_cost_is_recovered_beside_exact_scores() -> None:
    """Durations exp(2 x) that vary by 30 %: neither the scores' noise, next to none, nor their amplitude is theirs."""
    generator = np.random.default_rng(0)
    strategy = bo(
        line(),
        hyperparameters=MaximumAPosteriori(),
        priors=Gamma(),
        cost=PerSecond(),
        noise=1e-8,
        amplitude=1e-3,
    )
    for index, x in enumerate(np.sort(generator.random(15)).tolist()):
        seconds = math.exp(2 * x + 0.3 * generator.standard_normal())
        strategy.tell(Trial(index=index, architecture=_at(x), score=math.sin(5 * x), cost_seconds=seconds))
    log_cost = strategy._log_cost()
    assert log_cost is not None
    at = torch.linspace(0, 1, 11, dtype=torch.float64)
    assert (log_cost(at[:, None])[:, 0] - 2 * at).abs().max().item() < 0.5
    assert strategy.durations.chain is not None
    _, _, scale = standardised(log_durations(strategy.observations.seconds))
    assert 0.1 < scale * math.sqrt(strategy.durations.chain.vectors[0, 2].item()) < 0.5  # 0.3 is true


def _at(place: float) -> Architecture:
    return line().decode([place])


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
