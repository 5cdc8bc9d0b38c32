"""Mixed edges: the weighted sum of all candidate operations of an edge.

The edges that leave one node are computed together, because they share work: the parameter-free operations (pooling
with its normalisation, identity) and the leading ReLU of the others are the same on each of them, and where images are
small the convolutions of one operation on several edges are one call (`nas_cli.networks.side_by_side`). An operation's
weight goes into its last normalisation instead of a multiplication of its own. None of this changes the function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.networks.choices import NONE
from nas_cli.networks.operations import POOLS, search_operation
from nas_cli.networks.side_by_side import SideBySide, can_merge, grids, normalise, per_channel

#: Up to so many numbers (batch * channels * height * width) at a node, a convolution on a CPU costs its call more than
#: its arithmetic. Above, separate calls are as fast, and the copies that one call needs would cost memory.
LARGEST_MERGED = 2**17
#: Makes an operation as a supernet has it: (name, channels, stride) -> module.
MakeOperation = Callable[[str, int, int], nn.Module]


class FanOut(nn.Module):
    """All mixed edges that leave one node.

    Args:
        operations: candidates of each edge, all of the same number; no edge has one twice.
        channels: in and out.
        stride: of every operation here.
        make: makes an operation as this supernet has it.
    Shape:
        x: (batch, channels, height, width); weights: (edges, operations)
        returns: for each edge (batch, channels, height / stride, width / stride)
    Reference: Liu et al., DARTS, ICLR 2019, arXiv:1806.09055, eq. 2.
    """

    def __init__(
        self,
        operations: Sequence[Sequence[str]],
        channels: int,
        stride: int,
        make: MakeOperation = search_operation,
    ) -> None:
        super().__init__()
        self._edges, self._stride = len(operations), stride
        columns: dict[str, dict[int, int]] = {}  # operation -> edge -> its column
        for edge, row in enumerate(operations):
            for column, name in enumerate(row):
                if name != NONE:
                    columns.setdefault(name, {})[edge] = column
        shared = [name for name in columns if _is_shared(name, stride)]
        merged = [name for name in columns if name not in shared and can_merge(name, stride)]
        others = [(name, edge) for name in columns if name not in shared + merged for edge in columns[name]]
        self.relu = nn.ReLU()
        self.shared = nn.ModuleList(make(name, channels, stride) for name in shared)
        self.merged = nn.ModuleList(SideBySide(name, len(columns[name]), channels, stride) for name in merged)
        self.others = nn.ModuleList(Weighted(make(name, channels, stride)) for name, _ in others)
        self._merged_edges = [list(columns[name]) for name in merged]
        self._other_edges = [edge for _, edge in others]

        # Where each part finds its weights in the flattened rows; the number after the last is a 0, for an operation
        # that others share and an edge lacks.
        width = len(operations[0])
        missing = len(operations) * width
        places = {name: {edge: edge * width + column for edge, column in columns[name].items()} for name in columns}
        groups = [
            [places[name].get(edge, missing) for edge in range(len(operations)) for name in shared],
            *(list(places[name].values()) for name in merged),
            [places[name][edge] for name, edge in others],
        ]
        self._lengths = [len(group) for group in groups]
        order = torch.tensor([place for group in groups for place in group], dtype=torch.int64)
        self.register_buffer("_order", order, persistent=False)
        self._order: Tensor

    def forward(self, x: Tensor, weights: Tensor) -> list[Tensor]:
        shared, *merged, others = torch.split(F.pad(weights.flatten(), (0, 1))[self._order], self._lengths)
        terms: list[list[Tensor]] = [[] for _ in range(self._edges)]
        if len(self.shared):
            values = [operation(x) for operation in self.shared]
            for edge, value in enumerate(_combine(shared.view(self._edges, -1), values)):
                terms[edge].append(value)

        rectified = self.relu(x)
        operations = cast(Sequence[SideBySide], self.merged)
        # What the first convolutions read: dilated or not, for so many edges in one call.
        inputs = {(False, 1): rectified}
        if any(operation.dilated for operation in operations):
            inputs[True, 1] = grids(rectified, self._stride)
        for operation, edges, scales in zip(operations, self._merged_edges, merged, strict=True):
            together = len(edges) if x.numel() <= LARGEST_MERGED else 1
            key = (operation.dilated, together)
            if key not in inputs:
                inputs[key] = torch.cat([inputs[operation.dilated, 1]] * together, dim=1)
            for edge, value in zip(edges, operation(inputs[key], scales, together, x.shape[2:]), strict=True):
                terms[edge].append(value)
        for other, edge, weight in zip(self.others, self._other_edges, others.unbind(), strict=True):
            terms[edge].append(other(x, rectified, weight))
        # An edge on which only `none` competes contributes nothing, but keeps the shape.
        return [sum(found[1:], found[0]) if found else x[:, :, :: self._stride, :: self._stride] * 0 for found in terms]


class Weighted(nn.Module):
    """Any other operation of one edge, times its weight.

    Args:
        operation: as the supernet has it.
    Shape:
        x, rectified = relu(x): (batch, channels, height, width); weight: ()
        returns: (batch, channels, height / stride, width / stride)
    """

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        layers = list(operation) if isinstance(operation, nn.Sequential) else [operation]
        self._takes_rectified = isinstance(layers[0], nn.ReLU)
        if self._takes_rectified:
            layers = layers[1:]
        last = layers[-1]
        self.norm = last if isinstance(last, nn.BatchNorm2d) and not last.affine else None
        self.body = nn.Sequential(*(layers[:-1] if self.norm is not None else layers))

    def forward(self, x: Tensor, rectified: Tensor, weight: Tensor) -> Tensor:
        y: Tensor = self.body(rectified if self._takes_rectified else x)
        return weight * y if self.norm is None else normalise(self.norm, y, per_channel(weight[None], y.shape[1]))


def _is_shared(name: str, stride: int) -> bool:
    return name in POOLS or (name == "skip_connect" and stride == 1)


def _combine(coefficients: Tensor, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Σ_s coefficients[e, s] · values[s] for each edge e, as one matrix product that keeps channels_last."""
    flat = torch.stack([value.permute(0, 2, 3, 1) for value in values])
    mixed = coefficients.to(flat.dtype) @ flat.flatten(1)
    return mixed.view(-1, *flat.shape[1:]).permute(0, 1, 4, 2, 3).unbind()
