"""Mixed edges: the weighted sum of all candidate operations of an edge.

The edges that leave one node are computed together, because they share work: the parameter-free operations (pooling
with its normalisation, identity) and the leading ReLU of the others are the same on each of them, and where images are
small the convolutions of one operation on several edges are one call. An operation's weight goes into its last
normalisation instead of a multiplication of its own. None of this changes the function.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.networks.choices import NONE
from nas_cli.networks.operations import OPERATIONS, make_operation

POOLS = ("max_pool_3x3", "avg_pool_3x3")
#: Up to so many numbers (batch * channels * height * width) at a node, a convolution on a CPU costs its call more than
#: its arithmetic. Above, separate calls are as fast, and the copies that one call needs would cost memory.
LARGEST_MERGED = 2**17


class FanOut(nn.Module):
    """All mixed edges that leave one node.

    Args:
        operations: candidates of each edge, all of the same number; no edge has one twice.
        channels: in and out.
        stride: of every operation here.
    Shape:
        x: (batch, channels, height, width); weights: (edges, operations)
        returns: for each edge (batch, channels, height / stride, width / stride)
    Reference: Liu et al., DARTS, ICLR 2019, arXiv:1806.09055, eq. 2.
    """

    def __init__(self, operations: Sequence[Sequence[str]], channels: int, stride: int) -> None:
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
        self.shared = nn.ModuleList(_search_operation(name, channels, stride) for name in shared)
        self.merged = nn.ModuleList(SideBySide(name, len(columns[name]), channels, stride) for name in merged)
        self.others = nn.ModuleList(Weighted(name, channels, stride) for name, _ in others)
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
            inputs[True, 1] = _grids(rectified, self._stride)
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


class SideBySide(nn.Module):
    """An operation made of convolutions on several edges that leave a node, on each with parameters of its own.

    Its layers hold the channels of the edges one after another, and compute some or all of them in one call.

    Args:
        name: an operation that `can_merge` admits.
        edges: how many.
    Shape:
        x: relu of the node, or `_grids` of it where `dilated`, `together` times side by side in its channels
        weights: (edges,); size: (height, width) of the node
        returns: for each edge (batch, channels, height / stride, width / stride)
    """

    def __init__(self, name: str, edges: int, channels: int, stride: int) -> None:
        super().__init__()
        _, *layers = cast(nn.Sequential, _search_operation(name, channels, stride))  # a plan for the wide ones
        self.layers = nn.ModuleList(_widened(layer, edges) for layer in layers)
        self.dilated = cast(nn.Conv2d, layers[0]).dilation != (1, 1)
        self._edges, self._channels, self._stride = edges, channels, stride

    def forward(self, x: Tensor, weights: Tensor, together: int, size: Sequence[int]) -> list[Tensor]:
        scales = _per_channel(weights, self._channels)
        outputs: list[Tensor] = []
        for start in range(0, self._edges, together):
            part = slice(start * self._channels, (start + together) * self._channels)
            y = x
            for index, layer in enumerate(self.layers):
                if isinstance(layer, nn.Conv2d):
                    y = _convolve(layer, y, part)
                    if index == 0 and self.dilated and self._stride == 1:
                        y = _whole(y, size)
                elif isinstance(layer, nn.BatchNorm2d):
                    y = _normalise(layer, y, scales[part] if index == len(self.layers) - 1 else None, part)
                else:
                    y = layer(y)
            outputs += y.chunk(together, dim=1) if together > 1 else [y]
        return outputs


@cache
def can_merge(name: str, stride: int) -> bool:
    """Whether an operation of ours is a ReLU, then convolutions without bias, ReLUs and normalisations."""
    if name not in OPERATIONS:
        return False
    with torch.device("meta"):  # draws nothing from the generator
        operation = _search_operation(name, 2, stride)
    return type(operation) is nn.Sequential and type(operation[0]) is nn.ReLU


class Weighted(nn.Module):
    """Any other operation of one edge, times its weight.

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
        return weight * y if self.norm is None else _normalise(self.norm, y, _per_channel(weight[None], y.shape[1]))


def _is_shared(name: str, stride: int) -> bool:
    return name in POOLS or (name == "skip_connect" and stride == 1)


def _search_operation(name: str, channels: int, stride: int) -> nn.Module:
    """An operation as a search has it: no learnt scale, and pools normalised."""
    operation = make_operation(name, channels, stride, affine=False)
    if name in POOLS:
        return nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False))
    return operation


def _combine(coefficients: Tensor, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Σ_s coefficients[e, s] · values[s] for each edge e, as one matrix product that keeps channels_last."""
    flat = torch.stack([value.permute(0, 2, 3, 1) for value in values])
    mixed = coefficients.to(flat.dtype) @ flat.flatten(1)
    return mixed.view(-1, *flat.shape[1:]).permute(0, 1, 4, 2, 3).unbind()


def _per_channel(weights: Tensor, channels: int) -> Tensor:
    """(edges,) -> (edges * channels,)."""
    # Copies, never a view of one number: with a scale of stride 0, torch 2.14 computes a wrong gradient of a
    # normalisation's input in the channels_last layout.
    return weights[:, None].repeat(1, channels).flatten()


def _normalise(norm: nn.BatchNorm2d, y: Tensor, scale: Tensor | None, part: slice = slice(None)) -> Tensor:
    """scale · BN(y) by some channels of a normalisation.

    In a search a normalisation has no scale of its own, so it can take the operation's weight as one: w · BN(y) costs
    nothing more than BN(y), and its gradient in w comes with the normalisation's.
    """
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    return F.batch_norm(y, mean[part], variance[part], scale, None, norm.training, norm.momentum or 0.0, norm.eps)


def _widened(layer: nn.Module, times: int) -> nn.Module:
    """A fresh layer for so many times the channels; a dilated convolution becomes the plain one that reads `_grids`."""
    if isinstance(layer, nn.BatchNorm2d):
        return nn.BatchNorm2d(times * layer.num_features, affine=False)
    if not isinstance(layer, nn.Conv2d):
        return layer
    # The initialisation is that of the separate layers: its range depends on the inputs of a group alone.
    inputs, outputs, groups = times * layer.in_channels, times * layer.out_channels, times * layer.groups
    stride, padding = layer.stride, cast(tuple[int, int], layer.padding)
    if layer.dilation != (1, 1):
        stride, padding = (1, 1), (layer.kernel_size[0] // 2, layer.kernel_size[1] // 2)
    return nn.Conv2d(inputs, outputs, layer.kernel_size, stride, padding, groups=groups, bias=False)  # type: ignore[arg-type]


def _convolve(layer: nn.Conv2d, x: Tensor, part: slice) -> Tensor:
    """The convolution by some outputs of a layer, whose groups lie in the same part of its inputs."""
    weight, (vertical, horizontal) = layer.weight[part], cast(tuple[int, int], layer.padding)
    height, width = x.shape[2:]
    if layer.stride == (1, 1) and (height <= vertical or width <= horizontal):
        # Small images: the outermost taps would only meet padding.
        top, left = max(0, vertical - height + 1), max(0, horizontal - width + 1)
        weight = weight[:, :, top : weight.shape[2] - top, left : weight.shape[3] - left]
        vertical, horizontal = vertical - top, horizontal - left
    groups = x.shape[1] // weight.shape[1]
    return F.conv2d(x, weight, None, layer.stride, (vertical, horizontal), 1, groups)


def _grids(x: Tensor, stride: int) -> Tensor:
    """What a convolution with dilation 2 sees: every second pixel, as an image of its own.

    On a CPU a plain depthwise convolution of these takes a third of the time of the dilated one.

    Shape:
        x: (batch, channels, height, width)
        returns: (4 * batch, channels, ⌈height / 2⌉, ⌈width / 2⌉), of stride 2 only the first `batch` of these
    """
    if stride == 2:
        return x[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last)
    x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
    batch, channels, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels)
    return pixels.permute(2, 4, 0, 1, 3, 5).reshape(4 * batch, height // 2, width // 2, channels).permute(0, 3, 1, 2)


def _whole(grids: Tensor, size: Sequence[int]) -> Tensor:
    """The image of this (height, width) that `_grids` took apart."""
    batch, channels, height, width = grids.shape
    pixels = grids.permute(0, 2, 3, 1).reshape(2, 2, batch // 4, height, width, channels).permute(2, 3, 0, 4, 1, 5)
    image = pixels.reshape(batch // 4, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)
    return image[:, :, : size[0], : size[1]]
