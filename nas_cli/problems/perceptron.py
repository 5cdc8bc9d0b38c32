"""Layers of the papers' multi-layer perceptrons, and how their weights start."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

#: Names of weight distributions: U(-1, 1) or N(0, 1), which a scale is multiplied with.
DISTRIBUTIONS = ("uniform", "normal")
#: Names of scale heuristics: a multiple of the root of the inputs, or that of Glorot & Bengio.
HEURISTICS = ("fan_in", "glorot")


def scale(multiple: float | None, inputs: int, outputs: int) -> float:
    """How wide the weights of a layer are spread.

    Args:
        multiple: for multiple / √inputs; None: √6 / √(inputs + outputs), which has none.
    Reference: Bergstra & Bengio, JMLR 13, 2012, section 2.2; Glorot & Bengio, AISTATS 2010, eq. 16.
    """
    return math.sqrt(6 / (inputs + outputs)) if multiple is None else multiple / math.sqrt(inputs)


def drawn(distribution: str, width: float, inputs: int, outputs: int, generator: torch.Generator) -> Tensor:
    """Weights (outputs, inputs): from U(-width, width), or from N(0, width²)."""
    weights = torch.empty(outputs, inputs)
    if distribution == "uniform":
        return weights.uniform_(-width, width, generator=generator)
    return weights.normal_(0, width, generator=generator)


def layer(weights: Tensor, biases: Tensor | None = None) -> nn.Linear:
    """A layer with these weights (outputs, inputs); None: biases of 0."""
    outputs, inputs = weights.shape
    made = nn.Linear(inputs, outputs, device="meta")  # where nothing is drawn from torch's own generator
    made.weight = nn.Parameter(weights.clone())
    made.bias = nn.Parameter(torch.zeros(outputs) if biases is None else biases.clone())
    return made


def zero_softmax(inputs: int, classes: int) -> nn.Linear:
    """An output layer that starts at 0, so that all classes are alike."""
    return layer(torch.zeros(classes, inputs))
