"""What is added to a search against its own excesses: a penalty, or noise in the supernet."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from nas_cli.errors import CombinationError, require
from nas_cli.estimators.shared_weights import EdgeWeights, SharedWeights
from nas_cli.networks.choices import SKIP
from nas_cli.networks.drop_path import DropPath, set_drop_path
from nas_cli.networks.mixed import MakeOperation
from nas_cli.networks.supernet import FanOutFactory
from nas_cli.spaces.base import SupernetSpace
from nas_cli.strategies.gradient.mixing import Mixing, Progress

DROPPED_SKIP = "dropped_skip"

if TYPE_CHECKING:
    from nas_cli.strategies.gradient.relaxation import Relaxation


class Regulariser(ABC):  # noqa: B024  (each overrides the hooks that it needs)
    """Any number of these go with a search; each overrides the hooks that it needs."""

    def check(self, mixing: Mixing, shared: SharedWeights) -> None:  # noqa: B027  (a hook, not a gap)
        """Raise `CombinationError` where this does not go with a mixing or an estimator; before any work."""

    def fan_out(self, make: FanOutFactory) -> FanOutFactory:
        """The mixed edges of the supernet, changed."""
        return make

    def set_progress(self, network: nn.Module, progress: Progress) -> None:  # noqa: B027  (a hook, not a gap)
        """Take note of the epoch, before its first step."""

    def penalty(self, relaxation: Relaxation, weights: EdgeWeights) -> Tensor | None:
        """What the architecture's loss is raised by at a step with these edge weights: a scalar, or nothing."""
        return None

    def end_epoch(self, relaxation: Relaxation, progress: Progress) -> dict[str, float]:
        """Look back at an epoch, after its last step; returns metrics."""
        return {}


def changed(make: FanOutFactory, regularisers: Sequence[Regulariser]) -> FanOutFactory:
    """The factory of a supernet's mixed edges with the changes of all regularisers."""
    for regulariser in regularisers:
        make = regulariser.fan_out(make)
    return make


class DropPaths(Regulariser):
    """Drop-path on the output of every mixed edge while training, with a probability that grows linearly.

    Args:
        probability: in the last epoch; 0 in the first. Paper (R-DARTS): 0, 0.2, 0.4 or 0.6; SNAS: 0.3.
    Reference: Zela et al., RobustDARTS, ICLR 2020, arXiv:1909.09656, sec. 4.1; Xie et al., SNAS, ICLR 2019,
        arXiv:1812.09926.
    """

    def __init__(self, probability: float = 0.2) -> None:
        require(0 <= probability < 1, f"probability must be in [0, 1), not {probability}")
        self.probability = probability

    def check(self, mixing: Mixing, shared: SharedWeights) -> None:
        _needs_fan_outs("drop_path", shared)

    def fan_out(self, make: FanOutFactory) -> FanOutFactory:
        def dropping(
            operations: Sequence[Sequence[str]], channels: int, stride: int, operation: MakeOperation
        ) -> nn.Module:
            return DroppedPaths(make(operations, channels, stride, operation))

        return dropping

    def set_progress(self, network: nn.Module, progress: Progress) -> None:
        set_drop_path(network, self.probability * progress.epoch / max(progress.epochs - 1, 1))


class DroppedPaths(nn.Module):
    """Mixed edges whose outputs vanish for some of the images of a training batch; called as what it wraps."""

    def __init__(self, fan_out: nn.Module) -> None:
        super().__init__()
        self.inner = fan_out
        self.drop = DropPath()

    def forward(self, x: Tensor, weights: Tensor) -> list[Tensor]:
        return [self.drop(output) for output in self.inner(x, weights)]


class SkipDropout(Regulariser):
    """Dropout behind every identity skip, so that skips do not win only because they are easy to train.

    Its rate falls linearly while weights alone are trained, p = p0 (E - e - 1) / E, then jumps back and decays
    exponentially, p = p0 exp(-0.2 (e - W)), with E epochs in a stage of which W train weights alone.

    Args:
        rates: p0 of each stage. Paper (CIFAR-10): 0, 0.4, 0.7.
    Reference: Chen, Xie, Wu, Tian, P-DARTS, ICCV 2019, arXiv:1904.12760, sec. 3.3.
    """

    def __init__(self, rates: Sequence[float] = (0.0, 0.2, 0.3)) -> None:
        require(bool(rates) and all(0 <= rate < 1 for rate in rates), f"rates must be in [0, 1), not {list(rates)}")
        self.rates = tuple(rates)

    def check(self, mixing: Mixing, shared: SharedWeights) -> None:
        _needs_fan_outs("skip_dropout", shared)

    def fan_out(self, make: FanOutFactory) -> FanOutFactory:
        def with_dropout(
            operations: Sequence[Sequence[str]], channels: int, stride: int, operation: MakeOperation
        ) -> nn.Module:
            def dropped(name: str, channels: int, stride: int) -> nn.Module:
                return DroppedSkip() if name == DROPPED_SKIP else operation(name, channels, stride)

            # A name of its own, so that every edge computes its skip, with a mask of its own.
            renamed = [[DROPPED_SKIP if name == SKIP and stride == 1 else name for name in row] for row in operations]
            return make(renamed, channels, stride, dropped)

        return with_dropout

    def rate(self, progress: Progress) -> float:
        """The dropout rate of an epoch."""
        initial = self.rates[min(progress.stage, len(self.rates) - 1)]
        if progress.epoch < progress.warm_up:
            return initial * (progress.epochs - progress.epoch - 1) / progress.epochs
        return initial * math.exp(-0.2 * (progress.epoch - progress.warm_up))

    def set_progress(self, network: nn.Module, progress: Progress) -> None:
        for module in network.modules():
            if isinstance(module, DroppedSkip):
                module.p = self.rate(progress)


class DroppedSkip(nn.Dropout):
    """An identity skip with elementwise dropout behind it."""

    def __init__(self) -> None:
        super().__init__(0.0)


def _needs_fan_outs(name: str, shared: SharedWeights) -> None:
    if not isinstance(shared.space, SupernetSpace):
        raise CombinationError(
            f"strategy/regularisers={name}: acts on the mixed edges of image networks, which space={shared.space.name} "
            "has not"
        )
