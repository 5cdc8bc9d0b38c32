"""A kernel on path encodings: which sequences of operations lead from the input of a cell to its output."""

from __future__ import annotations

from collections import Counter

from nas_cli.seeding import numpy_generator
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.bo.kernels.base import Covariance, Kernel
from nas_cli.strategies.black_box.bo.kernels.features import ExponentialCovariance, FeatureTable
from nas_cli.strategies.black_box.bo.kernels.wl import require_cells


class PathKernel(Kernel):
    """k = exp(-H / (2 P l)): H is how many paths one cell has and the other has not, P how many paths a cell has.

    On NAS-Bench-201 P is 4, and H the Hamming distance of the 155 bits of `path_bits`. Where P differs from cell to
    cell it is that of one fixed draw: a unit of the length scale l, no more.

    Reference: White et al., BANANAS, AAAI 2021, arXiv:1910.11858, sec. 4, for the encoding; the kernel is ours.
    """

    def on(self, space: Space) -> Covariance:
        require_cells(space, "path")
        typical = len(space.paths(space.sample(numpy_generator(0, "path_kernel"))))
        table = FeatureTable(lambda architecture: [Counter(set(space.paths(architecture)))])
        return ExponentialCovariance(table, unit=2.0 * max(typical, 1))
