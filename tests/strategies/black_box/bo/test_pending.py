"""Pending points: Snoek's fantasies, joint improvement, constant liars, and what goes with what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gp_table import SE, points, process, situation, table, tensor
from torch import Tensor

from nas_cli.errors import CombinationError, InputError
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
from nas_cli.strategies.black_box.bo.pending import Auto, ConstantLiar, Fantasies, Ignore, Joint, Pending
from nas_cli.strategies.black_box.bo.thompson import Thompson


def fantasised(noise: float, pending: float, fantasies: int, *at: float) -> Tensor:
    model = Fantasies(fantasies).condition(table(SE, noise), tensor(pending).unsqueeze(0), seed=0)
    return ExpectedImproving().make(situation(model))(points(*at))


def test_spearmints_fantasies() -> None:
    """Section 8; the standard error of 1e5 draws is 1.5e-5, of another kind of draw .0007 away."""
    assert fantasised(0.01, 0.25, 100_000, 0.75, 0.3).tolist() == pytest.approx([0.0007585696, 0.0018345609], abs=6e-5)
    assert fantasised(0.01, 0.8, 100_000, 0.75).item() == pytest.approx(0.0003483787, abs=6e-5)
    assert ExpectedImproving().make(situation(table(SE, 0.01)))(points(0.3)).item() == pytest.approx(
        0.0040649889, abs=1e-9
    )


def test_without_noise_they_are_joint_improvement_up_to_a_constant() -> None:
    alone = ExpectedImproving().make(situation(table(SE, 0.0)))(points(0.25)).item()
    found = fantasised(0.0, 0.25, 100_000, 0.3).item()
    assert found == pytest.approx(0.0017055300, abs=6e-5)
    assert found + alone == pytest.approx(0.0020389734, abs=6e-5)


def test_the_same_normals_for_all_points_and_the_best_of_each_fantasy() -> None:
    model = Fantasies(7).condition(process(SE, (0, 1, 0.01, 0.5), (0.3, 1.5, 0.02, 0.7)), tensor(0.25)[None], seed=1)
    assert model.batch_shape == torch.Size([14])
    assert model.targets.shape == (2, 4, 7)
    assert torch.equal(model.targets[:, :3], tensor(0, 1, 0)[None, :, None].expand(2, 3, 7))
    acquisition = ExpectedImproving().make(situation(model))
    torch.testing.assert_close(acquisition(points(0.3, 0.9))[1:], acquisition(points(0.9)))


def test_log_ei_of_fantasies_is_the_log_of_the_mean() -> None:
    model = Fantasies(50).condition(table(SE, 0.01), tensor(0.25)[None], seed=0)
    found = LogExpectedImproving().make(situation(model))(points(0.3))
    assert found.exp().item() == pytest.approx(ExpectedImproving().make(situation(model))(points(0.3)).item(), rel=1e-7)


@pytest.mark.parametrize(("lie", "value"), [("mean", 1 / 3), ("min", 0.0), ("max", 1.0)])
def test_constant_liars(lie: str, value: float) -> None:
    model = ConstantLiar(lie).condition(table(SE, 0.01), tensor(0.25, 0.8).unsqueeze(-1), seed=0)  # type: ignore[arg-type]
    assert model.targets[0, :, 0].tolist() == pytest.approx([0, 1, 0, value, value])


def test_a_pending_point_is_less_wanted() -> None:
    before = ExpectedImproving().make(situation(table(SE, 0.01)))(points(0.3))
    for treatment in (Fantasies(), ConstantLiar("mean")):
        model = treatment.condition(table(SE, 0.01), tensor(0.3)[None], seed=0)
        assert ExpectedImproving().make(situation(model))(points(0.3)).item() < 0.6 * before.item()


@pytest.mark.parametrize(
    ("acquisition", "per_cost", "chosen"),
    [
        (ExpectedImproving(), False, Fantasies),
        (LogExpectedImproving(), True, Fantasies),
        (ProbabilityOfImproving(), False, Fantasies),
        (GPUCB(), False, Fantasies),
        (NoisyExpectedImproving(), False, Joint),
        (NoisyExpectedImproving(), True, ConstantLiar),
        (Mean(), False, ConstantLiar),
        (Thompson(), False, Ignore),
    ],
)
def test_auto(acquisition: Acquisition, per_cost: bool, chosen: type[Pending]) -> None:
    assert type(Auto().for_(acquisition, per_cost)) is chosen


@pytest.mark.parametrize(
    ("pending", "acquisition", "per_cost", "message"),
    [
        (Fantasies(), Thompson(), False, "fantasies with strategy/acquisition=thompson"),
        (Fantasies(), Mean(), False, "fantasies with"),
        (Fantasies(), NoisyExpectedImproving(), False, "fantasies with"),
        (Joint(), ConfidenceBound(), False, "takes ei, log_ei or noisy_ei"),
        (Joint(), ProbabilityOfImproving(), False, "takes ei, log_ei or noisy_ei"),
        (Joint(), ExpectedImproving(), True, "joint with strategy/cost=per_second"),
    ],
)
def test_refusals(pending: Pending, acquisition: Acquisition, per_cost: bool, message: str) -> None:
    with pytest.raises(CombinationError, match=message):
        pending.for_(acquisition, per_cost)


def test_range() -> None:
    with pytest.raises(InputError, match="fantasies must be at least 1"):
        Fantasies(0)


def test_nothing_global_is_drawn() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    fantasised(0.01, 0.25, 10, 0.3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index,union-attr]
