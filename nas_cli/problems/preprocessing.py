"""What the papers do to the inputs before learning, fitted on the training part alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Maps inputs (n, features) to inputs (n, features afterwards).
Change = Callable[[Tensor], Tensor]

#: Added to variances that are divided by, in units of inputs from 0 to 1: a pixel that never changes stays at 0.
SMALLEST_VARIANCE = 1e-6


def standardised(train: Tensor) -> Change:
    """Mean 0 and standard deviation 1 in every feature.

    Shape:
        train: (n, features)
    """
    mean, variance = train.mean(dim=0), train.var(dim=0, correction=0)
    scale = (variance + SMALLEST_VARIANCE).rsqrt()
    return lambda inputs: (inputs - mean) * scale


def principal(train: Tensor, energy: float) -> Change:
    """The leading principal components, as few as hold this share of the variance, at least one.

    Args:
        energy: share of the variance to keep.
    Shape:
        train: (n, features)
    """
    mean, directions, _ = _leading(train, energy)
    return lambda inputs: (inputs - mean) @ directions


def whitened(train: Tensor, energy: float) -> Change:
    """ZCA: uncorrelated with unit variance along the leading principal components, turned back into the pixels.

    Args:
        energy: share of the variance that the components kept hold.
    Shape:
        train: (n, features)
    """
    mean, directions, variances = _leading(train, energy)
    matrix = (directions * (variances + SMALLEST_VARIANCE).rsqrt()) @ directions.T
    return lambda inputs: (inputs - mean) @ matrix


def _leading(train: Tensor, energy: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (features,), directions (features, kept) and variances (kept,) of the leading components."""
    mean = train.mean(dim=0)
    centred = (train - mean).double()  # small eigenvalues are lost in single precision
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(train))
    variances, directions = variances.flip(0).clamp(min=0), directions.flip(1)
    share = variances.cumsum(0) / variances.sum()
    kept = min(int((share < energy).sum()) + 1, len(variances))
    return mean, directions[:, :kept].to(train.dtype), variances[:kept].to(train.dtype)
