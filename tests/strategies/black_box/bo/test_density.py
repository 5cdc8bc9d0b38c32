"""The density of hyper-parameters: Spearmint's worked number, gradients, and what a fit finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gp_table import M52, ROWS, SE, TARGETS, line, mixed_space, on_line, tensor

from nas_cli.errors import InputError
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.strategies.black_box.bo.density import NO_NOISE, Density, Treatment
from nas_cli.strategies.black_box.bo.gaussian_process import Vectors
from nas_cli.strategies.black_box.bo.hyperparameters import (
    Chain,
    Fixed,
    Hyperparameters,
    MaximumAPosteriori,
    MaximumLikelihood,
    SliceSampling,
)
from nas_cli.strategies.black_box.bo.kernels.discrete import Mixed
from nas_cli.strategies.black_box.bo.kernels.stationary import PROFILES, Stationary
from nas_cli.strategies.black_box.bo.kernels.wl import WL
from nas_cli.strategies.black_box.bo.priors import BoTorch, Flat, Gamma, Priors, Spearmint
from nas_cli.strategies.black_box.bo.slice_sampler import sweep

VECTOR = tensor(0.3, 1.5, 0.01, 0.5)


def density(priors: Priors, treatment: Treatment | None = None, smoothness: float = M52) -> Density:
    return Density(on_line(smoothness), ROWS, TARGETS, priors, treatment or Treatment(noise=None))


def test_spearmints_log_posterior() -> None:
    made = density(Spearmint())
    assert made(VECTOR) == pytest.approx(0.570783640992, abs=1e-11)
    assert made.log_prior(Vectors(made.covariance, VECTOR.unsqueeze(0))) == pytest.approx(
        1.529337981772 - 0.020550244237, abs=1e-11
    )
    assert density(Spearmint(amplitude_power=1.0))(VECTOR) == pytest.approx(
        -0.938004096544 + 1.529337981772 - 0.082200976947, abs=1e-11
    )


@pytest.mark.parametrize(
    "vector",
    [(1.1, 1.5, 0.01, 0.5), (-0.1, 1.5, 0.01, 0.5), (0.3, 0, 0.01, 0.5), (0.3, 1.5, 0, 0.5), (0.3, 1.5, 0.01, 2.01)],
)
def test_there_is_no_density_outside_of_the_ranges(vector: tuple[float, ...]) -> None:
    assert density(Spearmint())(tensor(*vector)) == -math.inf


@pytest.mark.parametrize("smoothness", PROFILES)
@pytest.mark.parametrize("priors", [Spearmint(), BoTorch(), Gamma(), Flat()])
def test_the_gradient_is_that_of_finite_differences(priors: Priors, smoothness: float) -> None:
    covariance = Stationary(smoothness).on(line(2))
    rows = torch.rand(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.sin(4 * rows).sum(-1)
    made = Density(covariance, rows, targets, priors, Treatment(noise=None))
    at = made.coordinates(tensor(0.9, 0.7, 0.02, 0.4, 0.8))
    value, gradient = made.with_gradient(at)
    assert value == pytest.approx(made(made.vector(at)), abs=1e-10)
    for k in range(5):
        step = torch.zeros_like(at)
        step[k] = 1e-5
        slope = (made(made.vector(at + step)) - made(made.vector(at - step))) / 2e-5
        assert gradient[k].item() == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_densities_of_the_other_priors() -> None:
    """Against torch's, up to constants."""
    lengths = tensor(0.2, 0.9)
    location = math.sqrt(2) + math.log(2) / 2
    other = tensor(0.4, 0.4)
    for priors, of_length, of_noise in [
        (BoTorch(), torch.distributions.LogNormal(location, math.sqrt(3)), torch.distributions.LogNormal(-4.0, 1.0)),
        (Gamma(), torch.distributions.Gamma(3.0, 6.0), torch.distributions.Gamma(1.1, 0.05)),
    ]:
        found = priors.of_lengths(lengths) - priors.of_lengths(other)
        assert found.item() == pytest.approx((of_length.log_prob(lengths) - of_length.log_prob(other)).sum().item())
        found = priors.of_noise(lengths) - priors.of_noise(other)
        assert found.tolist() == pytest.approx((of_noise.log_prob(lengths) - of_noise.log_prob(other)).tolist())


def infer(way: Hyperparameters, made: Density, chain: Chain | None = None) -> torch.Tensor:
    def make(priors: Priors, level: int | None) -> Density:
        return Density(made.covariance, made.rows, made.targets, priors, made.treatment, level)

    return way.infer(make, (), made.priors, chain, np.random.default_rng(0))[0]


def test_maximum_likelihood_keeps_the_mean_and_climbs() -> None:
    made = density(Spearmint())
    (vector,) = infer(MaximumLikelihood(), made)
    flat = density(Flat())
    assert vector[0].item() == pytest.approx(1 / 3)
    assert flat(vector) > flat(flat.initial())
    at = flat.coordinates(vector)
    for k, (low, high) in enumerate(flat.bounds()[1:], start=1):
        slope = flat.with_gradient(at)[1][k].item()
        assert abs(slope) < 1e-3 or at[k] in (low, high)


def test_the_mode_has_no_slope_and_fixed_ones_stay() -> None:
    made = density(BoTorch(), Treatment(noise=NO_NOISE))
    (vector,) = infer(MaximumAPosteriori(), made)
    assert vector[1].item() == 1  # these priors fix the amplitude
    assert vector[2].item() == pytest.approx(NO_NOISE)
    gradient = made.with_gradient(made.coordinates(vector))[1]
    assert gradient[[0, 3]].abs().max().item() < 1e-3


@pytest.mark.parametrize("smoothness", PROFILES)
def test_the_mode_has_no_slope_by_finite_differences(smoothness: float) -> None:
    """Whatever the gradient says of rows whose distance to themselves is exactly 0, where Matérn 1/2 has a cusp."""
    rows = torch.rand(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.sin(3 * rows[:, 0]) + 0.3 * rows[:, 1]
    targets = (targets - targets.mean()) / targets.std()
    made = Density(Stationary(smoothness).on(line(2)), rows, targets, Gamma(), Treatment(mean=False, noise=1e-3))
    (vector,) = infer(MaximumAPosteriori(), made)
    at, bounds = made.coordinates(vector), made.bounds()
    for k in (1, 3, 4):
        step = torch.zeros_like(at)
        step[k] = 1e-4
        slope = (made(made.vector(at + step)) - made(made.vector(at - step))) / 2e-4
        assert abs(slope) < 0.05 or at[k].item() in bounds[k]


@pytest.mark.parametrize("frequency", [20, 30, 40])
def test_the_mode_is_sought_from_where_it_was_or_from_the_start_if_that_is_better(frequency: int) -> None:
    """A wave seen at ten points is mostly noise, the higher mode, or mostly a wave, that a fit from the start finds."""
    rows = torch.linspace(0, 1, 10, dtype=torch.float64).unsqueeze(-1)
    targets = torch.sin(frequency * rows[:, 0])
    made = Density(on_line(M52), rows, (targets - targets.mean()) / targets.std(), Gamma(), Treatment(noise=None))
    noise = tensor(0.0, 0.6, 1.1, 0.4)
    (again,) = infer(MaximumAPosteriori(), made, Chain(noise.unsqueeze(0), None, 9))
    assert made(again) >= made(noise)
    assert again[2].item() == pytest.approx(1.1, abs=0.1)
    straight = tensor(0.0, 1.0, 1e-3, 2.0)
    assert made(straight) < made(made.initial(length=0.5))
    again = infer(MaximumAPosteriori(), made, Chain(straight.unsqueeze(0), None, 9))
    assert torch.equal(again, infer(MaximumAPosteriori(), made))


@pytest.mark.parametrize("way", [MaximumLikelihood(), MaximumAPosteriori(), SliceSampling(samples=1, burn_in=0)])
@pytest.mark.parametrize("levels", [(0, 2), (2, 0)])
def test_the_level_of_the_highest_likelihood_is_taken(way: Hyperparameters, levels: tuple[int, int]) -> None:
    """Cells with the same operations at other places are one to level 0, and their scores differ more than by noise."""
    space, operations = NasBench201("nasbench201"), ["nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3"] * 2
    covariance = WL(levels=levels).on(space)
    rows = covariance.inputs.rows([space.decode(operations[k:] + operations[:k]) for k in range(3)])

    def make(priors: Priors, level: int | None) -> Density:
        return Density(covariance, rows, tensor(0, 1, 3), priors, Treatment(), level)

    assert way.infer(make, levels, BoTorch(), None, np.random.default_rng(0))[1] == 2


@pytest.mark.parametrize(
    ("priors", "smallest"), [(BoTorch(), 1e-4), (Gamma(), 1e-6), (Spearmint(), 1e-6), (Flat(), math.exp(-10))]
)
def test_noise_is_fitted_down_to_the_smallest_of_its_prior(priors: Priors, smallest: float) -> None:
    """So little where a smooth function is seen without any; without a prior as little as any variance."""
    rows = torch.linspace(0, 1, 30, dtype=torch.float64).unsqueeze(-1)
    made = Density(on_line(SE), rows, torch.sin(3 * rows[:, 0]), priors, Treatment(noise=None))
    (vector,) = infer(MaximumAPosteriori(), made)
    assert vector[2].item() == pytest.approx(smallest, rel=1e-6)


def test_fixed() -> None:
    (vector,) = infer(Fixed(), density(BoTorch()))
    assert vector.tolist() == [0.0, 1.0, NO_NOISE, 0.3]
    assert infer(Fixed(), density(BoTorch(), Treatment(noise=0.1)))[0, 2].item() == 0.1


def test_samples_lie_where_there_is_density_and_go_on_from_the_last() -> None:
    made = density(Spearmint())
    way = SliceSampling(samples=3, burn_in=2)
    vectors = infer(way, made)
    assert vectors.shape == (3, 4)
    assert all(made(vector) > -math.inf for vector in vectors)
    assert len({tuple(vector.tolist()) for vector in vectors}) == 3
    # A chain that goes on makes no new burn-in: its first sample is one sweep from its last.
    again = infer(way, made, Chain(vectors, None, 3))
    assert torch.equal(again[0], sweep(made, vectors[-1], [0, 1, 2], [3], np.random.default_rng(0)))
    assert torch.equal(again, infer(SliceSampling(samples=3, burn_in=0), made, Chain(vectors, None, 3)))


def test_what_is_fixed_is_not_sampled() -> None:
    vectors = infer(SliceSampling(samples=3, burn_in=1), density(Spearmint(), Treatment(noise=1e-3)))
    assert (vectors[:, 2] == 1e-3).all()
    vectors = infer(SliceSampling(samples=3, burn_in=1), density(Spearmint(), Treatment(mean=False, noise=None)))
    assert (vectors[:, 0] == 0).all()


@pytest.mark.parametrize("way", [SliceSampling(samples=2, burn_in=1), MaximumAPosteriori(), MaximumLikelihood()])
@pytest.mark.parametrize("targets", [(1.0,), (0.5, 0.5, 0.5)])
def test_one_observation_and_equal_ones(way: Hyperparameters, targets: tuple[float, ...]) -> None:
    made = Density(on_line(SE), ROWS[: len(targets)], tensor(*targets), Spearmint(), Treatment(noise=None))
    assert torch.isfinite(infer(way, made)).all()


def test_mixed_has_one_length_for_each_dimension() -> None:
    covariance = Mixed().on(mixed_space())
    rows = torch.tensor([[0.1, 0.125, 0], [0.4, 0.375, 1], [0.9, 0.875, 2], [0.5, 0.625, 0]], dtype=torch.float64)
    made = Density(covariance, rows, tensor(0, 1, 2, 0.5), BoTorch(), Treatment())
    assert made.initial().shape == (6,)
    at = made.coordinates(tensor(0.4, 1, NO_NOISE, 0.5, 0.7, 0.9))
    gradient = made.with_gradient(at)[1]
    for k in (3, 4, 5):
        step = torch.zeros_like(at)
        step[k] = 1e-5
        slope = (made(made.vector(at + step)) - made(made.vector(at - step))) / 2e-5
        assert gradient[k].item() == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_patience() -> None:
    way = MaximumAPosteriori(patience=0.1)
    chain = Chain(torch.zeros(1, 3), None, 100)
    assert way.is_due(None, 1)
    assert not way.is_due(chain, 110)
    assert way.is_due(chain, 111)
    assert MaximumAPosteriori().is_due(chain, 101)
    assert not MaximumAPosteriori().is_due(chain, 100)


@pytest.mark.parametrize(
    "options",
    [{"samples": 0}, {"burn_in": -1}, {"patience": -0.1}, {"at_most": 1}],
    ids=lambda options: next(iter(options)),
)
def test_ranges(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        SliceSampling(**options)  # type: ignore[arg-type]
