"""A Gaussian process that is kept up with its data: its hyper-parameters, and when they are inferred again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.seeding import numpy_generator
from nas_cli.strategies.black_box.bo.density import Density, Treatment
from nas_cli.strategies.black_box.bo.gaussian_process import GaussianProcess, Vectors
from nas_cli.strategies.black_box.bo.hyperparameters import Chain, Hyperparameters
from nas_cli.strategies.black_box.bo.kernels.base import Covariance
from nas_cli.strategies.black_box.bo.priors import Priors

MOST = 1000  # observations in a model, beyond which its cost would grow as their cube


class Surrogate:
    """The posterior of one quantity over architectures.

    Args:
        name: of the quantity: its own randomness.
        covariance: the kernel on the space.
        hyperparameters: how they are inferred.
        priors: of the hyper-parameters.
        treatment: which of them are inferred.
        seed: of all that is random.
    """

    def __init__(
        self,
        name: str,
        covariance: Covariance,
        hyperparameters: Hyperparameters,
        priors: Priors,
        treatment: Treatment,
        seed: int,
    ) -> None:
        self.name = name
        self.covariance = covariance
        self.hyperparameters = hyperparameters
        self.priors = priors
        self.treatment = treatment
        self.seed = seed
        self.chain: Chain | None = None

    def posterior(
        self,
        architectures: Sequence[Architecture],
        targets: Tensor,
        worth: Tensor | None = None,
        failed: Sequence[Architecture] = (),
    ) -> GaussianProcess:
        """The process given targets (n,), with hyper-parameters as new as they need be.

        Args:
            worth: (n,), which of too many observations to keep; None: those of high targets.
            failed: architectures without a target, taken to have the lowest; hyper-parameters do not see them.
        """
        total = len(targets)
        generator = numpy_generator(self.seed, self.name, total)
        worth = targets if worth is None else worth
        kept = subset(worth, MOST, generator)
        rows, targets = self.covariance.inputs.rows([architectures[k] for k in kept]), targets[kept]
        if self.hyperparameters.is_due(self.chain, total):
            used = subset(worth[kept], self.hyperparameters.at_most, generator)
            self.chain = self._inferred(rows[used], targets[used], total, generator)
        assert self.chain is not None
        vectors = Vectors(self.covariance, self.chain.vectors, self.chain.level)
        if failed:
            rows = torch.cat([rows, self.covariance.inputs.rows(failed)])
            targets = torch.cat([targets, targets.min().expand(len(failed))])
        return GaussianProcess(vectors, rows, targets[None, :, None])

    def _inferred(self, rows: Tensor, targets: Tensor, total: int, generator: np.random.Generator) -> Chain:
        def make(priors: Priors, level: int | None) -> Density:
            return Density(self.covariance, rows, targets, priors, self.treatment, level)

        vectors, level = self.hyperparameters.infer(make, self.covariance.levels, self.priors, self.chain, generator)
        return Chain(vectors.detach(), level, total)

    def state_dict(self) -> dict[str, Any] | None:
        return None if self.chain is None else self.chain.to_plain()

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        self.chain = None if state is None else Chain(**state)


def subset(worth: Tensor, most: int, generator: np.random.Generator) -> list[int]:
    """Numbers of at most so many observations, in order: the best half, and the others at random."""
    if len(worth) <= most:
        return list(range(len(worth)))
    order = worth.argsort(descending=True, stable=True).tolist()
    others = generator.choice(order[most // 2 :], most - most // 2, replace=False)
    return sorted([*order[: most // 2], *others.tolist()])


def standardised(values: Tensor) -> tuple[Tensor, float, float]:
    """Values less their mean in units of their standard deviation (divisor n - 1, and 1 for 0), with both."""
    # In units in which squares neither overflow nor vanish; a power of two, so that nothing is rounded.
    unit = 2.0 ** (math.frexp(values.abs().max().item())[1] - 1)
    small = values / unit
    mean, deviation = small.mean().item(), small.std().item() if len(small) > 1 else 0.0
    return (small - mean) / (deviation or 1.0), mean * unit, deviation * unit or 1.0
