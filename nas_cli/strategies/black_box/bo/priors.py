"""Prior densities of the hyper-parameters of a Gaussian process, unnormalised; the mean's is flat everywhere."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from nas_cli.errors import require


class Priors(ABC):
    """Log densities in natural units (no Jacobian of logarithms), each summed over the last dimension.

    Attributes:
        amplitude: a value that theta_0 is fixed at; None: it is inferred.
        smallest_noise: below it a fit does not look: some densities have no bound at 0. 0: as for every variance.
        longest: length scales above have no density.
        jitter: added to the correlations of equal rows, in units of theta_0.
    """

    amplitude: float | None = None
    smallest_noise: float = 0.0
    longest: float = math.inf
    jitter: float = 0.0

    @abstractmethod
    def of_amplitudes(self, values: Tensor) -> Tensor: ...

    @abstractmethod
    def of_noise(self, value: Tensor) -> Tensor: ...

    @abstractmethod
    def of_lengths(self, values: Tensor) -> Tensor: ...


class Flat(Priors):
    """No priors: maximum likelihood."""

    def of_amplitudes(self, values: Tensor) -> Tensor:
        return torch.zeros_like(values).sum(-1)

    def of_noise(self, value: Tensor) -> Tensor:
        return torch.zeros_like(value)

    def of_lengths(self, values: Tensor) -> Tensor:
        return torch.zeros_like(values).sum(-1)


class Spearmint(Priors):
    """The priors of Snoek et al.'s program: top-hat length scales, log-normal amplitude, horseshoe-like noise.

    Args:
        longest: the end of the top-hat. Spearmint: 2, with costs 10.
        amplitude_power: of theta_0 in the log-normal. Spearmint: 1/2 (the prior is on its root), with costs 1.
        noise_scale: of the horseshoe, on the noise variance. Spearmint: 0.1.

    Reference: Snoek, Larochelle, Adams, NIPS 2012, sec. 3.2, and the released program.
    """

    smallest_noise = 1e-6
    jitter = 1e-6

    def __init__(self, longest: float = 2.0, amplitude_power: float = 0.5, noise_scale: float = 0.1) -> None:
        require(longest > 0, f"longest must be above 0, not {longest}")
        require(0 < amplitude_power < math.inf, f"amplitude_power must be above 0 and finite, not {amplitude_power}")
        require(0 < noise_scale < math.inf, f"noise_scale must be above 0 and finite, not {noise_scale}")
        self.longest = longest
        self.amplitude_power = amplitude_power
        self.noise_scale = noise_scale

    def of_amplitudes(self, values: Tensor) -> Tensor:
        return -0.5 * (self.amplitude_power * values.log()).square().sum(-1)

    def of_noise(self, value: Tensor) -> Tensor:
        return torch.log1p((self.noise_scale / value).square()).log()

    def of_lengths(self, values: Tensor) -> Tensor:
        inside = (values > 0) & (values <= self.longest)
        return torch.where(inside, 0.0, -math.inf).sum(-1)


class BoTorch(Priors):
    """BoTorch's defaults: log-normal length scales that grow with the dimension, log-normal noise, theta_0 = 1.

    Reference: Hvarfner, Hellsten, Nardi, Vanilla Bayesian optimization performs great in high dimensions, ICML 2024,
        arXiv:2402.02229; BoTorch's `SingleTaskGP`.
    """

    amplitude = 1.0
    smallest_noise = 1e-4

    def of_amplitudes(self, values: Tensor) -> Tensor:
        return torch.zeros_like(values).sum(-1)

    def of_noise(self, value: Tensor) -> Tensor:
        return _log_normal(value, -4.0, 1.0)

    def of_lengths(self, values: Tensor) -> Tensor:
        location = math.sqrt(2) + 0.5 * math.log(max(values.shape[-1], 1))
        return _log_normal(values, location, math.sqrt(3)).sum(-1)


class Gamma(Priors):
    """BoTorch's older priors: Gamma(3, 6) length scales, Gamma(2, 0.15) amplitude, Gamma(1.1, 0.05) noise.

    Reference: BoTorch's `get_matern_kernel_with_gamma_prior` and its likelihood.
    """

    smallest_noise = 1e-6

    def of_amplitudes(self, values: Tensor) -> Tensor:
        return _gamma(values, 2.0, 0.15).sum(-1)

    def of_noise(self, value: Tensor) -> Tensor:
        return _gamma(value, 1.1, 0.05)

    def of_lengths(self, values: Tensor) -> Tensor:
        return _gamma(values, 3.0, 6.0).sum(-1)


def _log_normal(value: Tensor, location: float, scale: float) -> Tensor:
    logarithm = value.log()
    return -logarithm - 0.5 * ((logarithm - location) / scale).square()


def _gamma(value: Tensor, concentration: float, rate: float) -> Tensor:
    return (concentration - 1) * value.log() - rate * value
