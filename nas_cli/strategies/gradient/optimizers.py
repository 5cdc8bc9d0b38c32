"""Optimisers of the architecture parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor

from nas_cli.errors import require


class ArchitectureOptimizer(ABC):
    """Makes the optimiser once the parameters are there."""

    @abstractmethod
    def __call__(self, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
        """A fresh optimiser of these parameters."""


class Adam(ArchitectureOptimizer):
    """Adam, as DARTS and most after it have it.

    Args:
        learning_rate, betas, weight_decay: paper: 3e-4, (0.5, 0.999), 1e-3.
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, app. A.1.
    """

    def __init__(
        self, learning_rate: float = 0.03, betas: tuple[float, float] = (0.5, 0.999), weight_decay: float = 1e-3
    ) -> None:
        _check(learning_rate, weight_decay)
        require(all(0 <= beta < 1 for beta in betas), f"betas must be in [0, 1), not {list(betas)}")
        self.learning_rate, self.betas, self.weight_decay = learning_rate, betas, weight_decay

    def __call__(self, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
        first, second = self.betas
        return torch.optim.Adam(parameters, self.learning_rate, (first, second), weight_decay=self.weight_decay)


class Sgd(ArchitectureOptimizer):
    """Stochastic gradient descent with momentum, as BayesNAS moves its switches.

    Args:
        learning_rate, momentum, weight_decay: paper: 0.1, 0.9, 0.
    Reference: Zhou et al., BayesNAS, ICML 2019, arXiv:1905.04919, sec. 5.
    """

    def __init__(self, learning_rate: float = 0.05, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        _check(learning_rate, weight_decay)
        require(0 <= momentum < 1, f"momentum must be in [0, 1), not {momentum}")
        self.learning_rate, self.momentum, self.weight_decay = learning_rate, momentum, weight_decay

    def __call__(self, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, self.learning_rate, self.momentum, weight_decay=self.weight_decay)


def _check(learning_rate: float, weight_decay: float) -> None:
    require(learning_rate > 0, f"learning_rate must be above 0, not {learning_rate}")
    require(weight_decay >= 0, f"weight_decay must be at least 0, not {weight_decay}")
