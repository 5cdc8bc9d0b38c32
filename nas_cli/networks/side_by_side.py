"""One operation on several edges that leave a node, its convolutions computed in one call.

Dilated convolutions read every second pixel as an image of its own, which on a CPU takes a third of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.networks.operations import OPERATIONS, search_operation


class SideBySide(nn.Module):
    """An operation made of convolutions on several edges that leave a node, on each with parameters of its own.

    Its layers hold the channels of the edges one after another, and compute some or all of them in one call.

    Args:
        name: an operation that `can_merge` admits.
        edges: how many.
    Shape:
        x: relu of the node, or `grids` of it where `dilated`, `together` times side by side in its channels
        weights: (edges,); size: (height, width) of the node
        returns: for each edge (batch, channels, height / stride, width / stride)
    """

    def __init__(self, name: str, edges: int, channels: int, stride: int) -> None:
        super().__init__()
        _, *layers = cast(nn.Sequential, search_operation(name, channels, stride))  # a plan for the wide ones
        self.layers = nn.ModuleList(_widened(layer, edges) for layer in layers)
        self.dilated = cast(nn.Conv2d, layers[0]).dilation != (1, 1)
        self._edges, self._channels, self._stride = edges, channels, stride

    def forward(self, x: Tensor, weights: Tensor, together: int, size: Sequence[int]) -> list[Tensor]:
        scales = per_channel(weights, self._channels)
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
                    y = normalise(layer, y, scales[part] if index == len(self.layers) - 1 else None, part)
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
        operation = search_operation(name, 2, stride)
    return type(operation) is nn.Sequential and type(operation[0]) is nn.ReLU


def per_channel(weights: Tensor, channels: int) -> Tensor:
    """(edges,) -> (edges * channels,)."""
    # Copies, never a view of one number: with a scale of stride 0, torch 2.14 computes a wrong gradient of a
    # normalisation's input in the channels_last layout.
    return weights[:, None].repeat(1, channels).flatten()


def normalise(norm: nn.BatchNorm2d, y: Tensor, scale: Tensor | None, part: slice = slice(None)) -> Tensor:
    """scale · BN(y) by some channels of a normalisation.

    In a search a normalisation has no scale of its own, so it can take the operation's weight as one: w · BN(y) costs
    nothing more than BN(y), and its gradient in w comes with the normalisation's.
    """
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    return F.batch_norm(y, mean[part], variance[part], scale, None, norm.training, norm.momentum or 0.0, norm.eps)


def _widened(layer: nn.Module, times: int) -> nn.Module:
    """A fresh layer for so many times the channels; a dilated convolution becomes the plain one that reads `grids`."""
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


def grids(x: Tensor, stride: int) -> Tensor:
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
    """The image of this (height, width) that `grids` took apart."""
    batch, channels, height, width = grids.shape
    pixels = grids.permute(0, 2, 3, 1).reshape(2, 2, batch // 4, height, width, channels).permute(2, 3, 0, 4, 1, 5)
    image = pixels.reshape(batch // 4, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)
    return image[:, :, : size[0], : size[1]]
