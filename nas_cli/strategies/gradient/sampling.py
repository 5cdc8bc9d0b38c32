"""Mixings that draw: the edge weights of a step are a sample of the distribution that the parameters describe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.errors import require
from nas_cli.networks.choices import CellChoices
from nas_cli.networks.mixed import FanOut, MakeOperation
from nas_cli.networks.sparse import SparseFanOut
from nas_cli.strategies.gradient.mixing import Mixing, Parameters, Progress, normal_rows, softmax_rows


class Gumbel(Mixing):
    """A relaxed one-hot sample for each edge of a type of cell, from the concrete distribution.

    The parameters are log α. The temperature falls linearly, λ = λ_min + (1 - e / E) (λ_0 - λ_min) in epoch e of E.

    Args:
        temperature: λ_0. Released code: 1.
        final_temperature: λ_min, approached and not reached. Released code: 0.03.
        initial_mean, initial_scale: of the initial log α. Released code: 1, 0.01.
    Reference: Xie, Zheng, Liu, Lin, SNAS, ICLR 2019, arXiv:1812.09926, eq. 2.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        final_temperature: float = 0.03,
        initial_mean: float = 1.0,
        initial_scale: float = 0.01,
    ) -> None:
        _check(temperature, final_temperature)
        self.range = (temperature, final_temperature)
        self.initial_mean, self.initial_scale = initial_mean, initial_scale
        self.temperature = temperature

    def initial(self, choices: CellChoices) -> dict[str, Tensor]:
        return normal_rows(choices, self.initial_scale, self.initial_mean)

    def set_progress(self, progress: Progress) -> None:
        first, last = self.range
        self.temperature = last + (1 - progress.epoch / progress.epochs) * (first - last)

    def weights(self, parameters: Parameters) -> dict[str, Tensor]:
        return {kind: concrete(rows, gumbel_like(rows), self.temperature) for kind, rows in parameters.items()}

    def probabilities(self, parameters: Parameters) -> dict[str, Tensor]:
        return softmax_rows(parameters)

    def log_probability(self, parameters: Parameters, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {kind: log_density(rows, weights[kind].detach(), self.temperature) for kind, rows in parameters.items()}

    def fan_out(
        self, operations: Sequence[Sequence[str]], channels: int, stride: int, make: MakeOperation
    ) -> nn.Module:
        return FanOut(operations, channels, stride, make)


class Sampled(Mixing):
    """One operation for each edge of a type of cell, drawn hard; only that one is computed.

    The gradient in α is that of the relaxed weight of the drawn operation, h̃_k* o_k*(x), straight through. The
    temperature falls linearly and reaches its last value in the last epoch. A supernet is judged with the likeliest
    operation of each edge.

    Args:
        temperature, final_temperature: τ in the first and in the last epoch. Paper: 10, 0.1.
        initial_scale: standard deviation of the initial parameters. Released code: 1e-3.
    Reference: Dong & Yang, GDAS, CVPR 2019, arXiv:1910.04465, eqs. 3 to 6.
    """

    def __init__(self, temperature: float = 10.0, final_temperature: float = 0.1, initial_scale: float = 1e-3) -> None:
        _check(temperature, final_temperature)
        self.range = (temperature, final_temperature)
        self.initial_scale = initial_scale
        self.temperature = temperature

    def initial(self, choices: CellChoices) -> dict[str, Tensor]:
        return normal_rows(choices, self.initial_scale)

    def set_progress(self, progress: Progress) -> None:
        first, last = self.range
        self.temperature = first + (last - first) * progress.epoch / max(progress.epochs - 1, 1)

    def weights(self, parameters: Parameters) -> dict[str, Tensor]:
        return {
            kind: straight_through(concrete(rows.log_softmax(dim=-1), gumbel_like(rows), self.temperature))
            for kind, rows in parameters.items()
        }

    def probabilities(self, parameters: Parameters) -> dict[str, Tensor]:
        return softmax_rows(parameters)

    def log_probability(self, parameters: Parameters, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            kind: (rows.log_softmax(dim=-1) * weights[kind].detach()).sum(dim=-1) for kind, rows in parameters.items()
        }

    def validation_weights(self, parameters: Parameters) -> dict[str, Tensor]:
        return {kind: _one_hot(rows.detach()) for kind, rows in parameters.items()}

    def fan_out(
        self, operations: Sequence[Sequence[str]], channels: int, stride: int, make: MakeOperation
    ) -> nn.Module:
        return SparseFanOut(operations, channels, stride, make)


def gumbel_like(rows: Tensor) -> Tensor:
    """Standard Gumbel noise, -log(-log U), of this shape from torch's current CPU generator."""
    uniform = torch.rand(rows.shape, dtype=rows.dtype).clamp(min=torch.finfo(rows.dtype).tiny, max=1 - 1e-7)
    return (-(-uniform.log()).log()).to(rows.device)


def concrete(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """softmax((logits + noise) / temperature) along the last axis: a point of the simplex (SNAS, eq. 2)."""
    return ((logits + noise) / temperature).softmax(dim=-1)


def log_density(logits: Tensor, sample: Tensor, temperature: float) -> Tensor:
    """Log density on the simplex of a sample of the concrete distribution (SNAS, eq. 3).

    Args:
        logits: log α, (…, operations).
        sample: Z, (…, operations). Where it is 0 in floating point, it counts as the smallest number above.
        temperature: λ.
    Shape:
        returns: (…)
    Differs from the released code, which clamps Z at 1e-4: that biases the gradient of α.
    """
    count = logits.shape[-1]
    sample = sample.clamp(min=torch.finfo(sample.dtype).tiny)
    powers = logits - temperature * sample.log()
    constant = math.lgamma(count) + (count - 1) * math.log(temperature)
    return constant + (powers - sample.log()).sum(dim=-1) - count * powers.logsumexp(dim=-1)


def straight_through(relaxed: Tensor) -> Tensor:
    """The one-hot of the largest entry; its gradient is that of this entry alone, and 0 for what was not drawn."""
    return _one_hot(relaxed.detach()) * (1 + relaxed - relaxed.detach())


def _one_hot(rows: Tensor) -> Tensor:
    return F.one_hot(rows.argmax(dim=-1), rows.shape[-1]).to(rows.dtype)


def _check(temperature: float, final_temperature: float) -> None:
    require(
        0 < final_temperature <= temperature,
        f"final_temperature must be above 0 and at most temperature={temperature}, not {final_temperature}",
    )
