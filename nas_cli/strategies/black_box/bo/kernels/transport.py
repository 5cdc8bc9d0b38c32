"""OTMANN: the least work that moves the layers of one network onto those of another, and a kernel on it.

Reference: Kandasamy et al., NASBOT, NeurIPS 2018, arXiv:1802.07191, sec. 3 (the distance) and 4 (the kernel).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import gpytorch
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, identity, kron
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.errors import require
from nas_cli.spaces.base import Space
from nas_cli.spaces.graphs import SUM, labelled_graph
from nas_cli.strategies.black_box.bo.kernels.base import Covariance, Inputs, Kernel, Scales, logarithmic
from nas_cli.strategies.black_box.bo.kernels.layers import LayerGraph, mismatch
from nas_cli.strategies.black_box.bo.kernels.wl import require_cells

#: nu_str: what differing path lengths cost beside differing layers. One distance for each (appendix A).
STRUCTURE_COSTS = (0.1, 0.25, 0.61, 1.5)
#: Mass that is not moved costs this on either side: a move that costs twice as much is never made.
UNMOVED = 1.0


def transport(one: LayerGraph, other: LayerGraph) -> NDArray[np.float64]:
    """d(G1, G2) for each of `STRUCTURE_COSTS`, exactly, as a linear program over the moves that can pay.

    The paper's d = min over Z >= 0 of <Z, C> + the mass that Z leaves, and leaving is what a dummy node does in the
    balanced form. Here moving a unit saves 2 - C, from the whole mass of both networks.

    Shape:
        returns: (structure costs,)
    """
    one, other = sorted((one, other))  # rounding must not depend on the order
    layers = np.array([[mismatch(a, b) for b in other.layers] for a in one.layers])
    lengths = one.path_lengths[:, None] - other.path_lengths[None]
    structure = np.abs(lengths).mean(axis=-1)
    sources, targets = np.nonzero(layers < 2 * UNMOVED)
    whole = np.full(len(STRUCTURE_COSTS), UNMOVED * (one.mass + other.mass))
    if not len(sources):
        return whole
    moves = np.arange(len(sources))
    places = np.concatenate([sources, len(one.layers) + targets])
    size = (len(one.layers) + len(other.layers), len(moves))
    leaves = csr_matrix((np.ones(2 * len(moves)), (places, np.concatenate([moves, moves]))), shape=size)
    gains = [layers[sources, targets] + cost * structure[sources, targets] - 2 * UNMOVED for cost in STRUCTURE_COSTS]
    found = linprog(  # the four programs side by side, as a call costs more than a program
        np.concatenate(gains),
        A_ub=kron(identity(len(STRUCTURE_COSTS)), leaves, format="csr"),
        b_ub=np.tile(np.concatenate([one.masses, other.masses]), len(STRUCTURE_COSTS)),
        method="highs",
    )
    saved = (found.x * np.concatenate(gains)).reshape(len(STRUCTURE_COSTS), -1).sum(axis=1)
    distances: NDArray[np.float64] = np.maximum(whole + saved, 0.0)
    return distances


class Distances(Inputs):
    """Networks by number, and their distances, each computed once.

    Args:
        space: of cells.
        channels: of every layer.
    """

    def __init__(self, space: Space, channels: int) -> None:
        self._space = space
        self._channels = channels
        self._networks: list[LayerGraph] = []
        self._known: dict[LayerGraph, int] = {}
        self._numbers: dict[Architecture, int] = {}
        self._distances: dict[tuple[int, int], NDArray[np.float64]] = {}

    def rows(self, architectures: Sequence[Architecture]) -> Tensor:
        numbers = [self._number(architecture) for architecture in architectures]
        return torch.tensor(numbers, dtype=torch.float64)[:, None]

    def _number(self, architecture: Architecture) -> int:
        if architecture not in self._numbers:
            # A skip or a sum computes nothing: it is no layer.
            graph = labelled_graph(self._space.graphs(architecture), contracted=("skip_connect", SUM))
            network = LayerGraph.of(graph, [(self._channels, self._channels)] * len(graph.labels))
            number = self._known.setdefault(network, len(self._networks))
            if number == len(self._networks):
                self._networks.append(network)
            self._numbers[architecture] = number
        return self._numbers[architecture]

    def between(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        """d, and d over the masses of both.

        Shape:
            x1: (..., a, 1); x2: (..., b, 1); returns: two of (..., a, b, structure costs)
        """
        first, second = np.broadcast_arrays(x1.long().numpy(), x2.long().mT.numpy())
        pairs = list(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
        distances = np.array([self._distance(i, j) for i, j in pairs])
        masses = np.array([self._networks[i].mass + self._networks[j].mass for i, j in pairs])
        shape = (*first.shape, len(STRUCTURE_COSTS))
        return (
            torch.from_numpy(distances).reshape(shape),
            torch.from_numpy(distances / masses[:, None]).reshape(shape),
        )

    def _distance(self, i: int, j: int) -> NDArray[np.float64]:
        key = (min(i, j), max(i, j))
        if key not in self._distances:
            same = i == j
            self._distances[key] = (
                np.zeros(len(STRUCTURE_COSTS)) if same else transport(self._networks[i], self._networks[j])
            )
        return self._distances[key]


class TransportKernel(gpytorch.kernels.Kernel):  # type: ignore[misc]
    """alpha exp(-sum_i beta_i d_i) + alpha' exp(-sum_i beta'_i d'_i^2), made positive semi-definite by clipping.

    One raw parameter s holds all beta: beta'_i = s_i and beta_i = 1e-7 s_i^2, so that s in [0.1, 100] are the paper's
    ranges [0.1, 100] and [1e-9, 1e-3], flat in the logarithm in both.

    Shape:
        x1: (..., a, 1); x2: (..., b, 1); returns: (members, a, b), or (members, a) where `diag`
    """

    def __init__(self, distances: Distances, members: int) -> None:
        super().__init__(batch_shape=torch.Size([members]))
        self.distances = distances
        start = torch.zeros(members, dtype=torch.float64)
        scales = torch.zeros(members, 1, 2 * len(STRUCTURE_COSTS), dtype=torch.float64)
        for name, value in (("raw_alpha", start), ("raw_alpha_bar", start.clone()), ("raw_scales", scales)):
            self.register_parameter(name, torch.nn.Parameter(value))
            self.register_constraint(name, logarithmic())

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: object) -> Tensor:
        alpha: Tensor = self.raw_alpha.exp()[:, None, None]
        alpha_bar: Tensor = self.raw_alpha_bar.exp()[:, None, None]
        if diag:  # asked of rows with themselves only
            return (alpha + alpha_bar)[..., 0].expand(-1, x1.shape[-2])
        plain, normalised = self.distances.between(x1, x2)
        scales = self.raw_scales.exp()[..., None, :]  # (members, 1, 1, all)
        beta, beta_bar = 1e-7 * scales[..., : len(STRUCTURE_COSTS)] ** 2, scales[..., len(STRUCTURE_COSTS) :]
        found = alpha * torch.exp(-(beta * plain).sum(-1))
        found = found + alpha_bar * torch.exp(-(beta_bar * normalised**2).sum(-1))
        return found + clipped_away(found.detach()) if x1.shape == x2.shape and torch.equal(x1, x2) else found


def clipped_away(matrix: Tensor) -> Tensor:
    """What has to be added to symmetric matrices (..., n, n) for their negative eigenvalues to become 0.

    A constant for the fit: the derivative of eigenvectors breaks down where two networks are alike.
    """
    values, vectors = torch.linalg.eigh(matrix)
    missing: Tensor = (vectors * (-values).clamp_min(0.0)[..., None, :]) @ vectors.mT
    return missing


class TransportCovariance(Covariance):
    """Two amplitudes, and eight logarithms of beta; priors as in the paper's ranges."""

    amplitudes = ("raw_alpha", "raw_alpha_bar")

    def __init__(self, inputs: Distances) -> None:
        self.inputs: Distances = inputs
        bounds = (math.log(0.1), math.log(100))
        self.scales = Scales("raw_scales", 2 * len(STRUCTURE_COSTS), log_bounds=bounds)

    def build(self, members: int, level: int | None = None) -> gpytorch.kernels.Kernel:
        return TransportKernel(self.inputs, members)


class OtmannTransport(Kernel):
    """NASBOT's own kernel on cells: optimal transport between their layers. Each pair of cells costs milliseconds.

    Args:
        channels: of every layer of a cell, for its mass. Paper: as they are in each network.

    Reference: see the module.
    """

    def __init__(self, channels: int = 16) -> None:
        require(channels >= 1, f"channels must be at least 1, not {channels}")
        self.channels = channels

    def on(self, space: Space) -> Covariance:
        require_cells(space, "otmann_transport")
        return TransportCovariance(Distances(space, self.channels))
