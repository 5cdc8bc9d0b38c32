"""How the hyper-parameters of a Gaussian process are inferred: sampled, fitted or fixed."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from nas_cli.errors import require
from nas_cli.strategies.black_box.bo.density import FIXED_LENGTH, NO_NOISE, Density
from nas_cli.strategies.black_box.bo.priors import Flat, Priors
from nas_cli.strategies.black_box.bo.slice_sampler import sweep

#: The density for a level of the covariance's discrete choice, under given priors.
MakeDensity = Callable[[Priors, int | None], Density]


@dataclass(frozen=True)
class Chain:
    """What was inferred last: plain data, part of a run's state.

    Args:
        vectors: (samples, entries).
        level: of the covariance's discrete choice.
        observations: how many there were.
    """

    vectors: Tensor
    level: int | None
    observations: int

    def to_plain(self) -> dict[str, Any]:
        return {"vectors": self.vectors, "level": self.level, "observations": self.observations}


class Hyperparameters(ABC):
    """A way to infer them, given the same data in the same order and the same chain always with the same result.

    Args:
        patience: they are inferred again when there are more observations by this share.
        at_most: so many observations are used for it: the better half of them the best, the others drawn at random.
    """

    def __init__(self, patience: float = 0.0, at_most: int = 500) -> None:
        require(patience >= 0, f"patience must not be negative, not {patience}")
        require(at_most >= 2, f"at_most must be at least 2, not {at_most}")
        self.patience = patience
        self.at_most = at_most

    def is_due(self, chain: Chain | None, observations: int) -> bool:
        """Whether there is enough news since they were last inferred."""
        return chain is None or observations > chain.observations * (1 + self.patience)

    @abstractmethod
    def infer(
        self,
        make: MakeDensity,
        levels: tuple[int, ...],
        priors: Priors,
        chain: Chain | None,
        generator: np.random.Generator,
    ) -> tuple[Tensor, int | None]:
        """Vectors (samples, entries), and the level.

        Args:
            make: the density of the data, under given priors.
            levels: of the covariance's discrete choice.
            priors: of the run.
            chain: what was inferred last.
            generator: of all that is random.
        """


class Fixed(Hyperparameters):
    """Nothing is inferred: m = 0, theta_0 = 1, length scales .3, and the noise that the strategy names (ours)."""

    def __init__(self) -> None:
        super().__init__()

    def infer(
        self,
        make: MakeDensity,
        levels: tuple[int, ...],
        priors: Priors,
        chain: Chain | None,
        generator: np.random.Generator,
    ) -> tuple[Tensor, int | None]:
        density = make(priors, levels[0] if levels else None)
        vector = density.initial(length=FIXED_LENGTH)
        noise = 1 + len(density.covariance.amplitudes)
        vector[0] = 0.0
        vector[1:noise] = 1.0 if density.treatment.amplitude is None else density.treatment.amplitude
        vector[noise] = NO_NOISE if density.treatment.noise is None else density.treatment.noise
        return vector.unsqueeze(0), density.level


class MaximumLikelihood(Hyperparameters):
    """Type-II maximum likelihood over logarithms, with the mean at the mean of the targets; priors are not read.

    Reference: Snoek, Larochelle, Adams, NIPS 2012 ("GP EI Opt"); Brochu, Cora, de Freitas, arXiv:1012.2599, sec. 2.3.
    """

    def infer(
        self,
        make: MakeDensity,
        levels: tuple[int, ...],
        priors: Priors,
        chain: Chain | None,
        generator: np.random.Generator,
    ) -> tuple[Tensor, int | None]:
        fits = []
        for level in levels or (None,):
            density = make(Flat(), level)
            start = density.initial()
            fits.append((*_climb(density, [start], keep=[0]), level))
        vector, _, level = max(fits, key=lambda fit: fit[1])
        return vector.unsqueeze(0), level


class MaximumAPosteriori(Hyperparameters):
    """The mode of the posterior over logarithms, from where it was last, or from the start if that is better.

    The densities are those of the natural units, as in BoTorch: no Jacobian of the logarithm.
    """

    def infer(
        self,
        make: MakeDensity,
        levels: tuple[int, ...],
        priors: Priors,
        chain: Chain | None,
        generator: np.random.Generator,
    ) -> tuple[Tensor, int | None]:
        fits = []
        for level in levels or (None,):
            density = make(priors, level)
            starts = [density.initial(length=0.5)]
            if chain is not None and chain.level == level:
                starts.append(torch.where(torch.tensor(density.free), chain.vectors[0], starts[0]))
            fits.append((*_climb(density, starts), level))
        vector, _, level = max(fits, key=lambda fit: fit[1])
        return vector.unsqueeze(0), level


def _climb(density: Density, starts: list[Tensor], keep: list[int] | None = None) -> tuple[Tensor, float]:
    """The highest point that L-BFGS-B reaches from the best of some vectors, and its log density.

    Args:
        keep: entries that stay as they are although they are free.
    """
    every = density.bounds()
    moved = [k for k, free in enumerate(density.free) if free and k not in (keep or [])]
    found = [density.coordinates(start) for start in starts]
    for coordinates in found:
        for k in moved:
            coordinates[k] = coordinates[k].clamp(*every[k])
    heights = [density.with_gradient(coordinates)[0] for coordinates in found]
    best = found[max(range(len(found)), key=lambda k: heights[k])]
    if not moved:
        return density.vector(best), max(heights)

    def descend(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, np.ndarray[Any, Any]]:
        coordinates = best.clone()
        coordinates[moved] = torch.from_numpy(values)
        value, gradient = density.with_gradient(coordinates)
        return -value, -gradient[moved].numpy()

    result = minimize(descend, best[moved].numpy(), jac=True, method="L-BFGS-B", bounds=[every[k] for k in moved])
    best[moved] = torch.from_numpy(result.x)
    return density.vector(best), -float(result.fun)


class SliceSampling(Hyperparameters):
    """Samples of the posterior by slice sampling, to average over.

    Args:
        samples: how many vectors. Spearmint: 10.
        burn_in: sweeps before the first; later the chain goes on from its last sample. Spearmint: 100.

    Reference: Snoek, Larochelle, Adams, NIPS 2012, sec. 3.2 ("GP EI MCMC").
    """

    def __init__(self, samples: int = 10, burn_in: int = 100, patience: float = 0.0, at_most: int = 500) -> None:
        super().__init__(patience, at_most)
        require(samples >= 1, f"samples must be at least 1, not {samples}")
        require(burn_in >= 0, f"burn_in must not be negative, not {burn_in}")
        self.samples = samples
        self.burn_in = burn_in

    def infer(
        self,
        make: MakeDensity,
        levels: tuple[int, ...],
        priors: Priors,
        chain: Chain | None,
        generator: np.random.Generator,
    ) -> tuple[Tensor, int | None]:
        level = self._level(make, levels, priors)
        density = make(priors, level)
        free = density.free
        first_scale = 2 + len(density.covariance.amplitudes)
        together = [k for k in range(first_scale) if free[k]]
        alone = list(range(first_scale, len(free)))
        vector, sweeps = density.initial(), self.burn_in
        if chain is not None:
            vector, sweeps = torch.where(torch.tensor(free), chain.vectors[-1], vector), 0
            # New targets may have another range, and the mean no density where it was.
            if free[0]:
                vector[0] = vector[0].clamp(density.targets.min(), density.targets.max())
        if not density(vector) > -math.inf:
            vector = density.initial()
        kept = []
        for turn in range(sweeps + self.samples):
            vector = sweep(density, vector, together, alone, generator)
            if turn >= sweeps:
                kept.append(vector)
        return torch.stack(kept), level

    def _level(self, make: MakeDensity, levels: tuple[int, ...], priors: Priors) -> int | None:
        """A discrete choice is made by marginal likelihood; the rest is sampled for it."""
        if not levels:
            return None
        return max(levels, key=lambda level: _climb(make(Flat(), level), [make(Flat(), level).initial()], keep=[0])[1])
