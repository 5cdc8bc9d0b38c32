"""Drop-path: during training, the output of an operation vanishes for some of the images.

Reference: Larsson, Maire, Shakhnarovich, FractalNet, ICLR 2017, arXiv:1605.07648, sec. 3.1; per sample and with a
linearly growing probability in NASNet, arXiv:1707.07012, and DARTS, arXiv:1806.09055, app. A.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_cli.errors import InputError


def drop_path(x: Tensor, probability: float) -> Tensor:
    """Zero each sample with this probability, and scale the others so that the mean stays.

    Draws one number per sample from torch's current generator; at 0 it draws nothing and returns `x` itself.

    Args:
        x: (batch, …)
        probability: in [0, 1).
    Shape:
        returns: as `x`
    Raises:
        InputError: for another probability.
    """
    _check(probability)
    return x if probability == 0 else _keep_some(x, x.new_full((), 1 - probability))


class DropPath(nn.Module):
    """`drop_path` in training mode, the identity in evaluation mode; `probability` may be set at any time.

    Args:
        probability: of dropping a sample, in [0, 1).
        share: of the network's probability that `set_drop_path` gives to it; NASNet's cells: (k + 1) / K, by depth.
    """

    keep: Tensor

    def __init__(self, probability: float = 0.0, share: float = 1.0) -> None:
        super().__init__()
        self.share = share
        # A tensor, because a compiled network would be compiled anew for each value of a plain number; the
        # probability of the papers changes every epoch.
        self.register_buffer("keep", torch.ones(()), persistent=False)
        self.probability = probability

    @property
    def probability(self) -> float:
        """Of dropping a sample; in [0, 1)."""
        return self._probability

    @probability.setter
    def probability(self, value: float) -> None:
        _check(value)
        self._probability = value
        self.active = value > 0
        self.keep.fill_(1 - value)

    def forward(self, x: Tensor) -> Tensor:
        return _keep_some(x, self.keep) if self.training and self.active else x


def set_drop_path(network: nn.Module, probability: float) -> None:
    """Set the probability, in [0, 1), of every `DropPath` in a network: its share of this one."""
    _check(probability)
    for module in network.modules():
        if isinstance(module, DropPath):
            module.probability = probability * module.share


def _check(probability: float) -> None:
    if not 0 <= probability < 1:
        raise InputError(f"a drop-path probability is in [0, 1), not {probability}")


def _keep_some(x: Tensor, keep: Tensor) -> Tensor:
    """Keep each sample of `x` with probability `keep`, a tensor of shape ()."""
    kept = torch.bernoulli(keep.expand([x.shape[0]] + [1] * (x.dim() - 1)))
    return x * (kept / keep).to(x.dtype)
