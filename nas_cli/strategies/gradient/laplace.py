"""The evidence of switches with Gaussian priors, in the Laplace approximation.

Groups are switches that share a prior variance γ. For given switches s and diagonal curvature h of the data loss over
the strength λ of the regularisation, γ is re-estimated from the tangent of log |I + Γ H / λ|.

Reference: Zhou, Yang, Wang, Pan, BayesNAS, ICML 2019, arXiv:1905.04919, sec. 3 and 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

#: The variance at which a Gaussian has entropy ½ ln(2πe γ) = 0.
ZERO_ENTROPY = 1 / (2 * math.pi * math.e)


def evidence_slope(curvature: Tensor, variance: Tensor) -> Tensor:
    """α = Σ_n ∂ log(1 + γ h_n) / ∂γ = Σ_n h_n / (1 + γ h_n), which is Σ_n (1/γ - C_nn/γ²) without its cancellation.

    Args:
        curvature: h / λ, at least 0.
    Shape:
        curvature: (members, ...); variance and the return: (...)
    """
    return (curvature / (1 + variance * curvature)).sum(dim=0)


def best_variance(switches: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """(γ, ω): ω = √α, and γ = ‖s‖ / ω, the minimiser of ‖s‖² / γ + ω² γ; infinite where α = 0.

    Shape:
        switches: (members, ...); slope and both returns: (...)
    """
    omega = slope.sqrt()
    return torch.linalg.vector_norm(switches, dim=0) / omega, omega


def under(variance: Tensor, parent: Tensor) -> Tensor:
    """(1/γ + 1/γ_parent)^-1: precisions add along a chain, so that what hangs on a dead parent is dead."""
    return 1 / (1 / variance + 1 / parent)


def chained(variance: Tensor, edges: Sequence[tuple[int, int]]) -> Tensor:
    """Edge variances where an edge that leaves a node lives by those that enter it, whose variances add.

    γ̃_jl = (1/γ_jl + 1/Σ_i γ̃_ij)^-1; edges from a cell's inputs keep their own.

    Args:
        edges: (source, target), sources before their targets.
    Shape:
        variance and the return: (edges,)
    """
    found = list(variance.unbind())
    entered = {target for _, target in edges}
    for row, (source, _) in sorted(enumerate(edges), key=lambda edge: edge[1][1]):
        if source in entered:
            into = [found[other] for other, (_, target) in enumerate(edges) if target == source]
            found[row] = under(found[row], torch.stack(into).sum())
    return torch.stack(found)
