"""Slice sampling along directions, as Spearmint does it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

WIDTH = 1.0  # of the first bracket, and of each step out
STEPS_OUT = 1000  # at most, to each side
SMALLEST_BRACKET = 1e-12  # the point stays where it is when the slice is thinner: only rounding is left

LogDensity = Callable[[Tensor], float]


def sweep(
    log_density: LogDensity,
    vector: Tensor,
    together: Sequence[int],
    alone: Sequence[int],
    generator: np.random.Generator,
) -> Tensor:
    """One sweep: some entries along one random direction, then each of the others, in random order.

    Args:
        log_density: of a vector, up to a constant.
        vector: (entries,), where the density is not 0.
        together: entries that are moved at once: mean, amplitude and noise.
        alone: entries that are moved one at a time: length scales.
        generator: of all that is random.
    Reference: Neal, Slice sampling, Annals of Statistics 31, 2003; Snoek, Larochelle, Adams, NIPS 2012, and their
        released program.
    """
    height = log_density(vector)
    if together:
        direction = torch.zeros_like(vector)
        normal = generator.standard_normal(len(together))
        direction[list(together)] = torch.from_numpy(normal / np.linalg.norm(normal))
        vector, height = _move(log_density, vector, height, direction, generator)
    for entry in generator.permutation(list(alone)) if alone else ():
        direction = torch.zeros_like(vector)
        direction[int(entry)] = 1.0
        vector, height = _move(log_density, vector, height, direction, generator)
    return vector


def _move(
    log_density: LogDensity, vector: Tensor, height: float, direction: Tensor, generator: np.random.Generator
) -> tuple[Tensor, float]:
    """A draw from the slice through a point along a direction: step out, then shrink towards the point."""
    level = height + math.log(1 - generator.random())  # in (0, 1]
    upper = WIDTH * generator.random()
    lower = upper - WIDTH
    for _ in range(STEPS_OUT):
        if log_density(vector + lower * direction) <= level:
            break
        lower -= WIDTH
    for _ in range(STEPS_OUT):
        if log_density(vector + upper * direction) <= level:
            break
        upper += WIDTH
    while upper - lower > SMALLEST_BRACKET:
        step = generator.uniform(lower, upper)
        proposal = vector + step * direction
        found = log_density(proposal)
        if found > level:
            return proposal, found
        if step < 0:
            lower = step
        else:
            upper = step
    return vector, height
