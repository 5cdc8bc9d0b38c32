"""How the weights of a network that is trained from scratch step along their gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from nas_cli.errors import require


class WeightOptimizer(ABC):
    """Makes the optimiser once the weights are there; what all have in common stands in the recipe."""

    def check(self, momentum: float) -> None:  # noqa: B027  (a hook, not a gap)
        """Raise `InputError` where it cannot be made with this momentum."""

    @abstractmethod
    def __call__(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, momentum: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """A fresh optimiser of these parameters; the decay is that of ½‖w‖² times `weight_decay`."""


@dataclass(frozen=True)
class Sgd(WeightOptimizer):
    """Stochastic gradient descent with momentum.

    Args:
        nesterov: whether the momentum looks ahead; needs a momentum above 0.
    """

    nesterov: bool = False

    def check(self, momentum: float) -> None:
        require(not self.nesterov or momentum > 0, f"nesterov: needs a momentum above 0, not {momentum}")

    def __call__(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, momentum: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters, lr=learning_rate, momentum=momentum, weight_decay=weight_decay, nesterov=self.nesterov
        )


@dataclass(frozen=True)
class RmsProp(WeightOptimizer):
    """RMSProp: the gradient by the root of its mean square.

    Args:
        decay: of that mean. NASNet on ImageNet: 0.9.
        epsilon: added to the root. NASNet on ImageNet: 1.
    Differs from the released NASNet, where epsilon stands under the root and the mean square begins at 1.
    """

    decay: float = 0.9
    epsilon: float = 1.0

    def __post_init__(self) -> None:
        require(0 <= self.decay < 1, f"decay must be in [0, 1), not {self.decay}")
        require(self.epsilon > 0, f"epsilon must be above 0, not {self.epsilon}")

    def __call__(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, momentum: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(
            parameters,
            lr=learning_rate,
            alpha=self.decay,
            eps=self.epsilon,
            momentum=momentum,
            weight_decay=weight_decay,
        )


# What a recipe has unless told otherwise.
SGD = Sgd()
