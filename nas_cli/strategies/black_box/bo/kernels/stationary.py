"""Squared exponential and Matérn kernels: GPyTorch's, with gradients in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from gpytorch.kernels import MaternKernel, RBFKernel
from torch import Tensor

from nas_cli.errors import require
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.bo.kernels.base import Covariance, Kernel, Scales, logarithmic, scaled
from nas_cli.strategies.black_box.bo.kernels.box import Box

#: Of r^2: the correlation, and its derivative.
Profile = Callable[[Tensor], tuple[Tensor, Tensor]]


def _half(squared: Tensor) -> tuple[Tensor, Tensor]:
    r = squared.sqrt()
    value = torch.exp(-r)
    return value, torch.where(r > 0, -0.5 * value / r, 0.0)  # a cusp at 0, where rows that are equal have no direction


def _three_halves(squared: Tensor) -> tuple[Tensor, Tensor]:
    r = (3 * squared).sqrt_()
    decay = torch.exp(-r)
    return decay * r.add_(1), decay * -1.5


def _five_halves(squared: Tensor) -> tuple[Tensor, Tensor]:
    r = (5 * squared).sqrt_()
    decay = torch.exp(-r)
    slope = decay * r.add_(1)
    return torch.addcmul(slope, squared, decay, value=5 / 3), slope.mul_(-5 / 6)


def _gaussian(squared: Tensor) -> tuple[Tensor, Tensor]:
    value = torch.exp(-0.5 * squared)
    return value, -0.5 * value


PROFILES: dict[float, Profile] = {0.5: _half, 1.5: _three_halves, 2.5: _five_halves, math.inf: _gaussian}


class _Correlation(torch.autograd.Function):
    """A correlation of two sets of rows in units of the length scales: a function of r^2 alone.

    GPyTorch's own gradient goes through `cdist` and each factor of the profile, and takes twice the time or more
    (500 rows of 6: 54 ms for the gradient of a marginal likelihood, 24 ms so).
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, profile: Profile) -> Tensor:
        squares = (a * a).sum(-1, keepdim=True) + (b * b).sum(-1).unsqueeze(-2)
        value, slope = profile(squares.sub_(a @ b.transpose(-1, -2), alpha=2).clamp_(min=0))
        ctx.save_for_backward(a, b, slope)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        a, b, slope = ctx.saved_tensors
        weight = gradient * slope
        into_a = into_b = None
        if ctx.needs_input_grad[0]:
            into_a = 2 * (weight.sum(-1, keepdim=True) * a - weight @ b)
        if ctx.needs_input_grad[1]:
            weight = weight.transpose(-1, -2)
            into_b = 2 * (weight.sum(-1, keepdim=True) * b - weight @ a)
        # Rows that were given for all members at once gather from all.
        return _summed(into_a, a), _summed(into_b, b), None


def correlation(a: Tensor, b: Tensor, profile: Profile) -> Tensor:
    """The correlation of rows in units of their length scales.

    Shape:
        a: (..., n, columns); b: (..., m, columns)
        returns: (..., n, m)
    """
    value: Tensor = _Correlation.apply(a, b, profile)
    return value


def _summed(gradient: Tensor | None, like: Tensor) -> Tensor | None:
    return None if gradient is None else gradient.sum_to_size(like.shape)


class _Fast:
    """The forward pass of a GPyTorch kernel with length scales, in closed form, over the rows of a box."""

    smoothness: float
    lengthscale: Tensor
    box: Box

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        if diag:
            return x1.new_ones(x1.shape[:-1])
        a = self._in_lengths(x1)
        b = a if x2 is x1 else self._in_lengths(x2)
        return correlation(a, b, PROFILES[self.smoothness])

    def _in_lengths(self, rows: Tensor) -> Tensor:
        if self.box.is_real:
            return rows / self.lengthscale
        shared = self.lengthscale.shape[-1] == 1
        return self.box.expanded(rows) / (self.lengthscale if shared else self.lengthscale[..., self.box.owners])


class Matern(_Fast, MaternKernel):  # type: ignore[misc]
    """Matérn with nu 1/2, 3/2 or 5/2."""

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        return float(self.nu)


class SquaredExponential(_Fast, RBFKernel):  # type: ignore[misc]
    """exp(-r^2 / 2)."""

    smoothness = math.inf


class Stationary(Kernel):
    """A stationary kernel of one smoothness.

    A whole number enters at its nearest value, so that the kernel is constant between whole numbers; a categorical
    decision as its block of zeros and a one, with one length scale.

    Args:
        smoothness: nu of Matérn, 1/2, 3/2 or 5/2; infinite: squared exponential. Snoek: 5/2.
        ard: whether every decision has a length scale of its own. Snoek: true.

    Reference: Brochu, Cora, de Freitas, arXiv:1012.2599, sec. 2.2 (Matérn in its standard form, with sqrt(2 nu) r);
        Snoek, Larochelle, Adams, NIPS 2012, eq. 5.
    """

    def __init__(self, smoothness: float = 2.5, ard: bool = True) -> None:
        require(smoothness in PROFILES, f"smoothness must be one of {', '.join(map(str, PROFILES))}, not {smoothness}")
        self.smoothness = smoothness
        self.ard = ard

    def on(self, space: Space) -> Covariance:
        return _OnBox(Box(space), self.smoothness, self.ard)


class _OnBox(Covariance):
    """A stationary kernel over the rows of a box."""

    def __init__(self, box: Box, smoothness: float, ard: bool) -> None:
        self.inputs: Box = box
        self.smoothness = smoothness
        self.scales = Scales(count=box.columns if ard else 1)
        self.pathwise = not box.categorical

    def build(self, members: int, level: int | None = None) -> Any:
        options: dict[str, Any] = {
            "ard_num_dims": self.scales.count if self.scales.count > 1 else None,
            "batch_shape": torch.Size([members]),
            "lengthscale_constraint": logarithmic(),
        }
        is_gaussian = math.isinf(self.smoothness)
        kernel = SquaredExponential(**options) if is_gaussian else Matern(nu=self.smoothness, **options)
        kernel.box = self.inputs
        return scaled(kernel, members)
