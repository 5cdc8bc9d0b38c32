"""The likelihood by eigenvalues, against the plain one by Cholesky factors."""

from __future__ import annotations

import math

import pytest
import torch
from gp_table import tensor

from nas_cli.seeding import numpy_generator
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.strategies.black_box.bo.density import VARIANCE_BOUNDS, Density, Treatment
from nas_cli.strategies.black_box.bo.kernels.wl import WL
from nas_cli.strategies.black_box.bo.priors import BoTorch, Flat, Gamma, Priors, Spearmint
from nas_cli.strategies.black_box.bo.spectrum import Spectrum


def equal_rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Correlations of 12 rows of which 4 come twice, and targets that differ between these."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(8, 5, generator=generator, dtype=torch.float64)
    features = torch.cat([features, features[:4]])
    features = features / features.norm(dim=1, keepdim=True)
    return features @ features.mT, torch.randn(12, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("noise", "tolerance"), [(0.5, 1e-11), (math.exp(VARIANCE_BOUNDS[0]), 1e-6)])
def test_value_and_gradient_are_those_of_a_normal_density(noise: float, tolerance: float) -> None:
    """Rounding of the matrix counts in units of the least noise that a fit tries."""
    correlations, targets = equal_rows()
    at = [each.requires_grad_() for each in tensor(0.3, 1.7, noise).unbind()]
    covariance = at[1] * correlations + at[2] * torch.eye(12, dtype=torch.float64)
    normal = torch.distributions.MultivariateNormal(at[0].expand(12), covariance)
    expected = normal.log_prob(targets) + 6 * math.log(2 * math.pi)
    value, gradient = Spectrum(correlations, targets).likelihood(*[each.detach() for each in at])
    torch.testing.assert_close(value, expected.detach(), rtol=tolerance, atol=0)
    torch.testing.assert_close(gradient, torch.stack(torch.autograd.grad(expected, at)), rtol=tolerance, atol=0)


def test_hardly_any_noise_leaves_finite_numbers() -> None:
    value, gradient = Spectrum(*equal_rows()).likelihood(*tensor(0.0, 1.0, 1e-300).unbind())
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("priors", [Spearmint(), BoTorch(), Gamma(), Flat()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("level", [1, 3])
def test_the_density_of_cells_is_that_without_eigenvalues(priors: Priors, level: int) -> None:
    space, generator = NasBench201("nasbench201"), numpy_generator(0, "cells")
    covariance = WL().on(space)
    rows = covariance.inputs.rows([space.sample(generator) for _ in range(60)])
    assert len(rows.unique()) < 60
    targets = torch.from_numpy(generator.standard_normal(60))
    made, plain = (Density(covariance, rows, targets, priors, Treatment(noise=None), level) for _ in range(2))
    plain.__dict__["_spectrum"] = None  # its place, so that the matrix is factored
    for vector in (tensor(0.1, 1.3, 0.02), tensor(-0.4, 0.2, 1.5)):
        assert made(vector) == pytest.approx(plain(vector), rel=1e-11)
        value, gradient = made.with_gradient(made.coordinates(vector))
        expected, slope = plain.with_gradient(plain.coordinates(vector))
        assert value == pytest.approx(expected, rel=1e-11)
        assert value == pytest.approx(made(vector), rel=1e-11)
        torch.testing.assert_close(gradient, slope, rtol=1e-9, atol=1e-10)
