"""The posterior density of the hyper-parameters of a Gaussian process, with its gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from nas_cli.strategies.black_box.bo.gaussian_process import Vectors, cholesky, dense, set_parameters
from nas_cli.strategies.black_box.bo.kernels.base import Covariance
from nas_cli.strategies.black_box.bo.priors import Priors
from nas_cli.strategies.black_box.bo.spectrum import Spectrum

#: Bounds of logarithms in a fit (Spearmint's maximum likelihood).
VARIANCE_BOUNDS = (-10.0, 10.0)
LENGTH_BOUNDS = (-10.0, 5.0)
#: Where a fit or a chain of the noise starts.
INITIAL_NOISE = 1e-3
FIXED_LENGTH = 0.3  # of `fixed` hyper-parameters; ours
NO_NOISE = 1e-6  # the noise variance that stands for none, in units of the modelled targets


@dataclass(frozen=True)
class Treatment:
    """Which hyper-parameters are inferred, and what the others are.

    Args:
        mean: a constant mean is inferred; else it is 0.
        noise: its variance; None: inferred.
        amplitude: theta_0; None: inferred, unless the priors fix it.
    """

    mean: bool = True
    noise: float | None = NO_NOISE
    amplitude: float | None = None


class Density:
    """log p(hyper-parameters | targets) up to a constant, for one covariance and one set of targets.

    Args:
        covariance: the kernel on the space.
        rows: (n, columns).
        targets: (n,).
        priors: of amplitudes, noise and length scales.
        treatment: what is inferred.
        level: of the covariance's discrete choice.
    """

    def __init__(
        self,
        covariance: Covariance,
        rows: Tensor,
        targets: Tensor,
        priors: Priors,
        treatment: Treatment,
        level: int | None = None,
    ) -> None:
        self.covariance = covariance
        self.rows = rows
        self.targets = targets
        self.priors = priors
        self.treatment = treatment
        self.level = level
        self.amplitude = treatment.amplitude if treatment.amplitude is not None else priors.amplitude
        self.kernel = covariance.build(1, level)
        self._identity = torch.eye(len(targets), dtype=torch.float64)

    @property
    def free(self) -> list[bool]:
        """Which entries of a vector are inferred."""
        amplitudes = [self.amplitude is None] * len(self.covariance.amplitudes)
        lengths = [True] * self.covariance.scales.count
        # Between equal targets there is nothing for a mean to be drawn from.
        mean = self.treatment.mean and self.targets.min() < self.targets.max()
        return [bool(mean), *amplitudes, self.treatment.noise is None, *lengths]

    def initial(self, length: float | None = None) -> Tensor:
        """Where fits and chains start: Spearmint's m = mean y, theta_0 = sd y, nu = 1e-3, lengths 1."""
        spread = self.targets.std(correction=0).item() + 1e-4
        mean = self.targets.mean().item() if self.treatment.mean else 0.0
        amplitudes = [spread if self.amplitude is None else self.amplitude] * len(self.covariance.amplitudes)
        noise = max(INITIAL_NOISE, self.priors.smallest_noise) if self.treatment.noise is None else self.treatment.noise
        scales = self.covariance.scales
        each = scales.initial if length is None or scales.log_bounds else length
        return torch.tensor([mean, *amplitudes, noise, *[each] * scales.count], dtype=torch.float64)

    def __call__(self, vector: Tensor) -> float:
        """The log density at one vector; minus infinity where it has none."""
        vectors = Vectors(self.covariance, vector.unsqueeze(0), self.level)
        prior = self.log_prior(vectors)
        if not prior > -math.inf:
            return -math.inf
        with torch.no_grad():
            if self._spectrum is not None:
                return float(prior + self._spectrum.likelihood(*self._variances(vectors))[0])
            root = cholesky(self._noisy(vectors, self._gram(vectors)[0]))
            residual = self.targets - vectors.mean
            fit = torch.linalg.solve_triangular(root, residual[:, None], upper=False).square().sum()
            return float(prior - root.diagonal().log().sum() - 0.5 * fit)

    def bounds(self) -> list[tuple[float, float]]:
        """Of the coordinates of a fit, one pair for each entry of a vector."""
        scales, noise = self.covariance.scales, self.priors.smallest_noise
        longest = min(LENGTH_BOUNDS[1], math.log(self.priors.longest))
        return [
            (-math.inf, math.inf),
            *[VARIANCE_BOUNDS] * len(self.covariance.amplitudes),
            (math.log(noise) if noise else VARIANCE_BOUNDS[0], VARIANCE_BOUNDS[1]),
            *[scales.log_bounds or (LENGTH_BOUNDS[0], longest)] * scales.count,
        ]

    def coordinates(self, vector: Tensor) -> Tensor:
        """A vector as a fit moves it: the mean, and logarithms."""
        vectors = Vectors(self.covariance, vector.unsqueeze(0), self.level)
        parts = [vectors.mean, vectors.amplitudes[0].log(), vectors.noise.log(), vectors.log_scales[0]]
        return torch.cat(parts)

    def vector(self, coordinates: Tensor) -> Tensor:
        """The inverse of `coordinates`."""
        variances = 2 + len(self.covariance.amplitudes)
        scales = coordinates[variances:]
        exponentials = coordinates[1:variances].exp()
        return torch.cat([coordinates[:1], exponentials, scales if self.covariance.scales.log_bounds else scales.exp()])

    @torch.enable_grad()
    def with_gradient(self, coordinates: Tensor) -> tuple[float, Tensor]:
        """The log density and its gradient by the coordinates of a fit."""
        leaf = coordinates.clone().requires_grad_()
        vectors = Vectors(self.covariance, self.vector(leaf).unsqueeze(0), self.level)
        prior = self._prior(vectors)
        gradient = torch.zeros_like(coordinates)
        if prior.requires_grad:
            (gradient,) = torch.autograd.grad(prior, leaf, retain_graph=True)
        constant = Vectors(self.covariance, vectors.values.detach(), self.level)
        value, slope = self._likelihood(constant)
        return value.item() + prior.item(), gradient + slope

    def _likelihood(self, vectors: Vectors) -> tuple[Tensor, Tensor]:
        """The log likelihood of one vector and its gradient by the coordinates.

        The gradient by the covariance matrix C is (a a' - C^-1) / 2 with a = C^-1 (y - m); only the kernel itself is
        differentiated automatically.
        """
        gradient = torch.zeros(vectors.values.shape[-1], dtype=torch.float64)
        amplitudes, noise = vectors.amplitudes[0], 1 + len(self.covariance.amplitudes)
        if self._spectrum is not None:
            value, by_variance = self._spectrum.likelihood(*self._variances(vectors))
            gradient[0] = by_variance[0]
            gradient[1] = (by_variance[1] + self.priors.jitter * by_variance[2]) * amplitudes[0]
            gradient[noise] = by_variance[2] * vectors.noise[0]
            return value, gradient
        gram = self._gram(vectors)
        with torch.no_grad():
            root = cholesky(self._noisy(vectors, gram[0]))
            residual = self.targets - vectors.mean
            weights = torch.cholesky_solve(residual[:, None], root)
            by_matrix = torch.addmm(torch.cholesky_inverse(root), weights, weights.mT, beta=-1).mul_(0.5)
            trace = by_matrix.diagonal().sum()
            gradient[0] = weights.sum()
            gradient[1:noise] = self.priors.jitter * trace * amplitudes
            gradient[noise] = trace * vectors.noise[0]
            value = -0.5 * (residual @ weights[:, 0]) - root.diagonal().log().sum()
        names = [*self.covariance.amplitudes, *[self.covariance.scales.name] * (self.covariance.scales.count > 0)]
        parameters = [self.kernel.get_parameter(name) for name in names]
        parts = torch.autograd.grad(gram, parameters, by_matrix.unsqueeze(0))
        into = [*range(1, noise), slice(noise + 1, None)]
        for where, part in zip(into, parts, strict=False):
            gradient[where] += part.reshape(-1) if isinstance(where, slice) else part.squeeze()
        return value, gradient

    def log_prior(self, vectors: Vectors) -> float:
        """Of one vector, the mean's range included."""
        amplitudes, noise, mean = vectors.amplitudes, vectors.noise, vectors.mean.item()
        if not ((amplitudes > 0).all() and (noise > 0).all()):
            return -math.inf
        if self.treatment.mean and not self.targets.min().item() <= mean <= self.targets.max().item():
            return -math.inf
        return self._prior(vectors).item()

    def _prior(self, vectors: Vectors) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        if self.amplitude is None:
            total = total + self.priors.of_amplitudes(vectors.amplitudes).sum()
        if self.treatment.noise is None:
            total = total + self.priors.of_noise(vectors.noise).sum()
        scales = self.covariance.scales
        if scales.log_bounds is not None:
            low, high = scales.log_bounds
            inside = ((vectors.scales >= low) & (vectors.scales <= high)).all()
            return total if inside else total - math.inf
        return total + self.priors.of_lengths(vectors.scales).sum() if scales.count else total

    @cached_property
    def _spectrum(self) -> Spectrum | None:
        """Of the correlations, where there is nothing in the kernel but one amplitude, so that they are fixed."""
        if self.covariance.scales.count or len(self.covariance.amplitudes) > 1:
            return None
        ones = torch.ones(1, 3, dtype=torch.float64)
        with torch.no_grad():
            correlations = dense(Vectors(self.covariance, ones, self.level).kernel().forward(self.rows, self.rows))
            return Spectrum(correlations[0], self.targets)

    def _variances(self, vectors: Vectors) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, amplitude, and all that is added to the diagonal, of a kernel with one amplitude."""
        amplitude = vectors.amplitudes[0, 0]
        return vectors.mean[0], amplitude, vectors.noise[0] + self.priors.jitter * amplitude

    def _gram(self, vectors: Vectors) -> Tensor:
        set_parameters(self.kernel, self.covariance, vectors.amplitudes.log(), vectors.log_scales)
        return dense(self.kernel.forward(self.rows, self.rows))

    def _noisy(self, vectors: Vectors, gram: Tensor) -> Tensor:
        jitter = self.priors.jitter * vectors.amplitudes.sum()
        return torch.add(gram, self._identity, alpha=(vectors.noise + jitter).item())
