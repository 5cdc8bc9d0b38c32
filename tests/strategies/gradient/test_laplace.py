"""Variances from the evidence: the numbers of the systems sheet, section 2.7."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from nas_cli.strategies.gradient.laplace import ZERO_ENTROPY, best_variance, chained, evidence_slope, under


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_slope_of_the_evidence_three_ways() -> None:
    """1/γ - C/γ² = [(Γ + H^-1)^-1]_ii = ∂ log|I + ΓH| / ∂γ_i, and for a diagonal H ours."""
    gamma = tensor(0.7, 1.3).requires_grad_()
    full = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    for hessian in (full, torch.diag(torch.diag(full))):
        (slope,) = torch.autograd.grad(torch.logdet(torch.eye(2) + gamma[:, None] * hessian), gamma)
        g = gamma.detach()
        covariance = torch.linalg.inv(hessian + torch.diag(1 / g))
        assert torch.allclose(1 / g - covariance.diag() / g**2, slope)
        assert torch.allclose(torch.linalg.inv(torch.diag(g) + torch.linalg.inv(hessian)).diag(), slope)
        if hessian is full:
            assert slope.tolist() == pytest.approx([0.8077468, 0.4204062], abs=1e-7)
        else:
            assert torch.allclose(evidence_slope(hessian.diag()[None], g), slope)


def test_one_switch_and_a_tied_pair() -> None:
    slope = evidence_slope(tensor(3.0), torch.tensor(1.0))
    gamma, omega = best_variance(tensor(0.8), slope)
    assert [float(slope), float(omega), float(gamma)] == pytest.approx([0.75, 0.8660254, 0.9237604])
    slope = evidence_slope(tensor(1.0, 3.0), torch.tensor(1.0))
    gamma, omega = best_variance(tensor(0.6, 0.8), slope)
    assert [float(omega), float(gamma)] == pytest.approx([1.1180340, 0.8944272])


def test_the_variance_is_the_minimiser_of_its_bound() -> None:
    switches, slope = tensor(0.6, -0.8), torch.tensor(0.37, dtype=torch.float64)
    gamma, omega = best_variance(switches, slope)

    def bound(value: Tensor) -> float:
        return float(switches.square().sum() / value + omega**2 * value)

    assert bound(gamma) < min(bound(0.99 * gamma), bound(1.01 * gamma))


@pytest.mark.parametrize(
    ("target", "curvature", "expected"), [(2, 1, 3), (1.5, 1, 1.25), (1, 4, 0.75), (3, 0.5, 7), (0.5, 1, 0)]
)
def test_iterated_on_a_parabola(target: float, curvature: float, expected: float) -> None:
    """E = ½ h (s - s0)², λ = 1: alternating the penalised minimum and γ leads to max(0, s0² - 1/h)."""
    gamma = torch.tensor(1.0, dtype=torch.float64)
    switch = omega = torch.tensor(0.0, dtype=torch.float64)
    for _ in range(3000):
        slope = evidence_slope(tensor(curvature), gamma)
        switch = (target - slope.sqrt() / curvature).clamp(min=0)  # of E + ω |s|
        gamma, omega = best_variance(switch[None], slope)
    assert float(gamma) == pytest.approx(expected, abs=1e-6)
    if (target, curvature) == (2, 1):
        assert [float(switch), float(omega)] == pytest.approx([1.5, 0.5])


def test_a_switch_held_at_1_leads_to_the_golden_ratio() -> None:
    gamma = torch.tensor(1.0, dtype=torch.float64)
    for _ in range(60):
        gamma, _ = best_variance(tensor(1.0), evidence_slope(tensor(1.0), gamma))
    assert float(gamma) == pytest.approx(1.6180340, abs=1e-7)


def test_the_zero_of_the_entropy() -> None:
    assert f"{ZERO_ENTROPY:.7f}" == "0.0585498"
    assert math.log(2 * math.pi * math.e * ZERO_ENTROPY) / 2 == pytest.approx(0, abs=1e-15)


def test_an_operation_under_its_edge() -> None:
    assert float(under(tensor(3.0), tensor(2.0))) == pytest.approx(1.2)
    assert (under(tensor(3.0, 0.1, 1e9), tensor(1e-6)) < 1e-6).all()
    assert under(tensor(3.0, 0.0, 0.0), tensor(0.0, 2.0, 0.0)).tolist() == [0, 0, 0]


def test_edges_live_by_those_that_enter_their_source() -> None:
    edges = ((0, 2), (1, 2), (0, 3), (2, 3), (3, 4), (2, 4))
    found = chained(tensor(0.5, 1.5, 3.0, 2.0, 1.0, 0.7), edges)
    assert found[:3].tolist() == [0.5, 1.5, 3.0]  # from the cell's inputs
    assert float(found[3]) == pytest.approx(1.0)  # 1 / (1/2 + 1/(0.5 + 1.5))
    assert float(found[4]) == pytest.approx(0.8)  # 1 / (1/1 + 1/(3 + 1))
    assert float(found[5]) == pytest.approx(1 / (1 / 0.7 + 1 / 2))
    dead = chained(tensor(0.0, 0.0, 3.0, 2.0, 1.0, 0.7), edges)
    assert dead.tolist() == pytest.approx([0, 0, 3, 0, 0.75, 0])


def test_the_slope_falls_as_the_variance_grows_and_the_variance_grows_with_lambda() -> None:
    """So a larger λ prunes only through the smaller switches that it trains."""
    curvature = torch.rand(3, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    variances = [evidence_slope(curvature, torch.full((50,), value, dtype=torch.float64)) for value in (0, 0.1, 1, 9)]
    assert all((later < earlier).all() for earlier, later in pairwise(variances))
    assert (variances[-1] >= 0).all()
    switches, gamma = torch.ones(3, 50, dtype=torch.float64), torch.ones(50, dtype=torch.float64)
    of_lambda = [best_variance(switches, evidence_slope(curvature / strength, gamma))[0] for strength in (0.005, 0.01)]
    assert (of_lambda[0] < of_lambda[1]).all()
