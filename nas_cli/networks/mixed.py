"""Mixed edges: the weighted sum of all candidate operations of an edge.

The edges that leave one node are computed together, because they share work: the parameter-free operations (pooling
with its normalisation, identity) and the leading ReLU of the others are the same on each of them. An operation's
weight goes into its last normalisation instead of a multiplication of its own. None of this changes the function.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.networks.operations import make_operation

NONE = "none"
POOLS = ("max_pool_3x3", "avg_pool_3x3")


class FanOut(nn.Module):
    """All mixed edges that leave one node.

    Args:
        operations: candidates of each edge, all of the same number.
        channels: in and out.
        stride: of every operation here.
    Shape:
        x: (batch, channels, height, width); weights: (edges, operations)
        returns: for each edge (batch, channels, height / stride, width / stride)
    Reference: Liu et al., DARTS, ICLR 2019, arXiv:1806.09055, eq. 2.
    """

    def __init__(self, operations: Sequence[Sequence[str]], channels: int, stride: int) -> None:
        super().__init__()
        names = sorted({name for row in operations for name in row if _is_shared(name, stride)})
        self.shared = nn.ModuleList(_search_operation(name, channels, stride) for name in names)
        self.edges = nn.ModuleList()
        self._columns: list[list[int]] = []  # per edge, the columns of its own operations
        mask = torch.zeros(len(operations), len(names), len(operations[0]))
        for edge, row in enumerate(operations):
            own = [column for column, name in enumerate(row) if name != NONE and name not in names]
            self._columns.append(own)
            self.edges.append(nn.ModuleList(Weighted(row[column], channels, stride) for column in own))
            for column, name in enumerate(row):
                if name in names:
                    mask[edge, names.index(name), column] = 1
        # Picks, for each edge and shared operation, that operation's column of the weights.
        self.register_buffer("_pick", mask, persistent=False)
        self._pick: Tensor
        self._stride = stride

    def forward(self, x: Tensor, weights: Tensor) -> list[Tensor]:
        rectified = torch.relu(x)
        outputs: list[Tensor | None]
        if len(self.shared):
            values = torch.stack([operation(x) for operation in self.shared])
            coefficients = torch.einsum("eso,eo->es", self._pick.to(weights.dtype), weights)
            outputs = list(_combine(coefficients, values))
        else:
            outputs = [None] * len(self.edges)
        # Row by row and entry by entry once, not an indexing of the weights for each operation.
        entries = [row.unbind() for row in weights.unbind()]
        for edge, operations in enumerate(self.edges):
            total = outputs[edge]
            for column, operation in zip(self._columns[edge], operations, strict=True):  # type: ignore[call-overload]
                term = operation(x, rectified, entries[edge][column])
                total = term if total is None else total + term
            # An edge on which only `none` competes contributes nothing, but keeps the shape.
            outputs[edge] = x[:, :, :: self._stride, :: self._stride] * 0 if total is None else total
        return [output for output in outputs if output is not None]


class Weighted(nn.Module):
    """One operation of an edge, times its weight.

    The normalisation that ends most operations has no scale of its own in a search, so it can take the weight as one:
    w · BN(y) costs nothing more than BN(y), and its gradient in w comes with the normalisation's.

    Shape:
        x, rectified = relu(x): (batch, channels, height, width); weight: ()
        returns: (batch, channels, height / stride, width / stride)
    """

    def __init__(self, name: str, channels: int, stride: int) -> None:
        super().__init__()
        operation = _search_operation(name, channels, stride)
        layers = list(operation) if isinstance(operation, nn.Sequential) else [operation]
        self._takes_rectified = isinstance(layers[0], nn.ReLU)
        if self._takes_rectified:
            layers = layers[1:]
        last = layers[-1]
        self.norm = last if isinstance(last, nn.BatchNorm2d) and not last.affine else None
        self.body = nn.Sequential(*(layers[:-1] if self.norm is not None else layers))

    def forward(self, x: Tensor, rectified: Tensor, weight: Tensor) -> Tensor:
        y: Tensor = self.body(rectified if self._takes_rectified else x)
        if self.norm is None:
            return weight * y
        norm = self.norm
        # A copy for each channel, not a view of one number: with a scale of stride 0, torch 2.14 computes a wrong
        # gradient of the input in the channels_last layout.
        scale = weight.to(y.dtype).repeat(y.shape[1])
        return F.batch_norm(
            y,
            norm.running_mean,
            norm.running_var,
            scale,
            None,
            norm.training,
            norm.momentum or 0.0,
            norm.eps,
        )


def _is_shared(name: str, stride: int) -> bool:
    return name in POOLS or (name == "skip_connect" and stride == 1)


def _search_operation(name: str, channels: int, stride: int) -> nn.Module:
    """An operation as a search has it: no learnt scale, and pools normalised."""
    operation = make_operation(name, channels, stride, affine=False)
    if name in POOLS:
        return nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False))
    return operation


def _combine(coefficients: Tensor, values: Tensor) -> tuple[Tensor, ...]:
    """Σ_s coefficients[e, s] · values[s] for each edge e, as one matrix product that keeps the memory layout."""
    # values: (shared, batch, channels, height, width) of channels_last parts; the permutation makes it plain memory.
    flat = values.permute(0, 1, 3, 4, 2).flatten(1)
    mixed = coefficients.to(flat.dtype) @ flat
    shape = (len(coefficients), values.shape[1], *values.shape[3:], values.shape[2])
    return mixed.view(shape).permute(0, 1, 4, 2, 3).unbind()
