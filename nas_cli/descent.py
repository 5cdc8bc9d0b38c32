"""A step down a gradient, and what stops it: a loss or a gradient that is not finite."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_cli.errors import DivergedError


def check_finite(value: Tensor, what: str) -> None:
    """Raise `DivergedError` where a loss, or a gradient's norm, is NaN or infinite."""
    if not torch.isfinite(value):
        raise DivergedError(f"{what} is {value.item()}: the training has diverged; try a smaller learning rate")


def descend(network: nn.Module, optimizer: torch.optim.Optimizer, clip: float, what: str) -> None:
    """Step a network along the gradient that stands in it, its norm clipped.

    Raises `DivergedError` where the norm is not finite, before weights or optimiser are changed.
    """
    norm = nn.utils.clip_grad_norm_(network.parameters(), clip)
    check_finite(norm, what)
    optimizer.step()
