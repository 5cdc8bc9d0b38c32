"""What the next proposal is made by: what its acquisition is told, and which data and sweeps its models had."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gp_table import bo, line
from torch import Tensor

from nas_cli.journal import Trial
from nas_cli.strategies.black_box.bo import cost, hyperparameters, priors
from nas_cli.strategies.black_box.bo.acquisitions import Averaged, LogExpectedImproving, Situation
from nas_cli.strategies.black_box.bo.cost import PerSecond
from nas_cli.strategies.black_box.bo.hyperparameters import SliceSampling
from nas_cli.strategies.black_box.bo.slice_sampler import sweep
from nas_cli.strategies.black_box.bo.strategy import BayesianOptimisation


class Listening(LogExpectedImproving):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Situation] = []

    def of_members(self, situation: Situation) -> Any:
        self.heard.append(situation)
        return super().of_members(situation)


def tell(strategy: BayesianOptimisation, index: int, place: float, score: float, seconds: float = 1.0) -> None:
    architecture = strategy.space.decode([place] * len(strategy.space.decisions))
    strategy.tell(Trial(index=index, architecture=architecture, score=score, cost_seconds=seconds))


def test_proposals_are_numbered_from_one_to_all_that_follow_the_design() -> None:
    acquisition = Listening()
    strategy = bo(line(2), acquisition=acquisition, evaluations=20, noise=1e-3)
    strategy.ask(3, [])  # the design
    for index in range(3):
        tell(strategy, index, 0.2 + 0.3 * index, float(index == 1))
    strategy.ask(1, [])
    tell(strategy, 3, 0.6, 0.5)
    strategy.ask(2, [])
    assert [situation.proposal for situation in acquisition.heard] == [1, 2, 3]
    assert {situation.proposals for situation in acquisition.heard} == {17}
    assert {(situation.dimension, situation.size) for situation in acquisition.heard} == {(2, None)}
    assert len({situation.seed for situation in acquisition.heard}) == 3


def test_the_incumbent_is_the_best_posterior_mean_or_the_best_score_of_each_member() -> None:
    found = {}
    for incumbent in ("best_observed", "best_posterior_mean"):
        samples = SliceSampling(samples=3, burn_in=5)
        strategy = bo(line(), hyperparameters=samples, noise=0.3, incumbent=incumbent, standardise=False)
        for index, (place, score) in enumerate([(0.1, 0.0), (0.5, 1.0), (0.55, 0.2), (0.9, 0.1)]):
            tell(strategy, index, place, score)
        situation, _ = strategy.outlook([])
        means = situation.model.moments(situation.model.rows)[0]
        assert means.shape == (3, 4, 1)
        found[incumbent] = situation.incumbent, means.amax((1, 2))
    observed, _ = found["best_observed"]
    assert observed.unique().tolist() == [1.0]
    expected, means = found["best_posterior_mean"]
    assert torch.equal(expected, means)
    assert expected.max() < 0.95  # noise explains some of the score
    assert len(expected.unique()) == 3


def test_of_too_many_the_model_of_costs_keeps_those_of_the_best_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for where the scores promise something, not where trials took longest."""
    monkeypatch.setattr("nas_cli.strategies.black_box.bo.surrogate.MOST", 4)
    strategy = bo(line(), cost=cost.PerSecond(), noise=1e-3)
    for index in range(20):
        tell(strategy, index, index / 20, score=float(index), seconds=100.0 - index)
    _, acquisition = strategy.outlook([])
    assert isinstance(acquisition, Averaged)
    durations: Any = acquisition.log_cost
    kept = durations.durations.rows.flatten().tolist()
    assert len(kept) == 4
    assert kept[-2:] == pytest.approx([18 / 20, 19 / 20])


@pytest.mark.parametrize("treatment", [cost.NoCost(), PerSecond()], ids=["scores", "scores and durations"])
def test_a_chain_burns_in_once(monkeypatch: pytest.MonkeyPatch, treatment: cost.Cost) -> None:
    calls = 0

    def counted(*given: Any) -> Tensor:
        nonlocal calls
        calls += 1
        return sweep(*given)

    monkeypatch.setattr(hyperparameters, "sweep", counted)
    samples = SliceSampling(samples=2, burn_in=5)
    strategy = bo(line(), hyperparameters=samples, priors=priors.Spearmint(), cost=treatment, noise=1e-3)
    models = 1 + treatment.is_modelled
    for index, expected in enumerate([7, 2, 2]):
        tell(strategy, index, 0.2 + 0.3 * index, float(index == 1), 1.0 + index)
        calls = 0
        strategy.outlook([])
        assert calls == expected * models
    calls = 0
    strategy.outlook([])  # with nothing new
    assert calls == 0
