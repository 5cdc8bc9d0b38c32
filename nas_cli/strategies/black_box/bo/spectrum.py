"""The likelihood under a kernel with nothing but an amplitude, from one eigenvalue decomposition."""

from __future__ import annotations

import torch
from torch import Tensor

#: Least variance along an eigenvector, in units of the amplitude: as little as `cholesky` adds to a singular matrix.
LEAST = 1e-10


class Spectrum:
    """log N(y; m 1, theta_0 R + s I) for one matrix R of correlations, whatever m, theta_0 and s are.

    R = Q diag(l) Q' is taken apart once, in O(n^3); in the basis Q the targets are independent with variances
    theta_0 l + s, so that every value and gradient takes O(n), where a Cholesky factor would take O(n^3) again.

    Args:
        correlations: R, (n, n).
        targets: y, (n,).
    """

    def __init__(self, correlations: Tensor, targets: Tensor) -> None:
        values, basis = torch.linalg.eigh(correlations)
        self.values = values.clamp_min(0)  # those of equal rows are 0, and rounding makes some of them negative
        self.targets = basis.mT @ targets
        self.ones = basis.sum(0)

    def likelihood(self, mean: Tensor, amplitude: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The log density without its constant, and its gradient by (mean, amplitude, noise), (3,)."""
        variances = (amplitude * self.values + noise).clamp_min(LEAST * amplitude)
        residual = self.targets - mean * self.ones
        weights = residual / variances
        by_variance = 0.5 * (weights.square() - 1 / variances)
        value = -0.5 * (residual @ weights + variances.log().sum())
        return value, torch.stack([weights @ self.ones, by_variance @ self.values, by_variance.sum()])
