"""Whether what a trial costs counts in the choice of the next one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from nas_cli.errors import CombinationError
from nas_cli.strategies.black_box.bo.acquisitions import Acquisition, LogCost
from nas_cli.strategies.black_box.bo.gaussian_process import GaussianProcess

SHORTEST = 1e-3  # seconds; a shorter duration counts as this


class Cost(ABC):
    """A treatment of cost as an option: `strategy/cost=…`."""

    #: Whether durations are modelled.
    is_modelled = True

    def check(self, acquisition: Acquisition) -> None:
        """Raise `CombinationError` where the acquisition cannot be had per unit of cost."""
        if not acquisition.is_utility:
            raise CombinationError(
                f"strategy/cost=per_second with strategy/acquisition={acquisition.option}: only what is never "
                "negative can be divided by a cost: pi, ei, log_ei, noisy_ei"
            )

    @abstractmethod
    def log_cost(self, durations: GaussianProcess, shift: float, scale: float) -> LogCost | None:
        """What a point costs.

        Args:
            durations: of standardised log durations.
            shift, scale: log duration = shift + scale times the modelled value.
        """


class NoCost(Cost):
    """Every trial costs the same."""

    is_modelled = False

    def check(self, acquisition: Acquisition) -> None:
        """It goes with any."""

    def log_cost(self, durations: GaussianProcess, shift: float, scale: float) -> LogCost | None:
        return None


class PerSecond(Cost):
    """The acquisition per second, by a second Gaussian process on the logarithm of durations.

    Args:
        cost_mean: median: divide by exp(mean of the log duration), as Spearmint; inverse_mean: multiply by the
            expected inverse duration, as the paper says.
    Reference: Snoek, Larochelle, Adams, NIPS 2012, sec. 3.3.
    """

    def __init__(self, cost_mean: Literal["median", "inverse_mean"] = "median") -> None:
        self.is_median = cost_mean == "median"

    def log_cost(self, durations: GaussianProcess, shift: float, scale: float) -> LogCost | None:
        return _Duration(durations, shift, scale, 0.0 if self.is_median else 0.5)


class _Duration(LogCost):
    """The log duration that stands for a point's: its mean, less a share of its variance."""

    def __init__(self, durations: GaussianProcess, shift: float, scale: float, share: float) -> None:
        self.durations = durations
        self.shift = shift
        self.scale = scale
        self.share = share

    def __call__(self, points: Tensor) -> Tensor:
        mean, variance = self.durations.moments(points)
        cost = self.shift + self.scale * mean[..., 0] - self.share * self.scale**2 * variance
        return cost.mT


def log_durations(seconds: list[float]) -> Tensor:
    """Durations as they are modelled."""
    return torch.tensor(seconds, dtype=torch.float64).clamp_min(SHORTEST).log()
