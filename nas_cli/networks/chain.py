"""The network of a chain of convolutions with skip connections.

Reference: Zoph and Le, Neural Architecture Search with Reinforcement Learning, ICLR 2017, arXiv:1611.01578, sec. 3.1
and 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.networks.chain_genotype import ChainGenotype, ChainLayer

#: Pooling layers, each called with kernel, stride and padding; places outside of the image are no part of a mean.
_POOLS: dict[str, Callable[..., nn.Module]] = {
    "max_pool": nn.MaxPool2d,
    "avg_pool": partial(nn.AvgPool2d, count_include_pad=False),
}


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU; zeros round the image keep its side at stride 1.

    Args:
        inputs, outputs: channels.
        kernel: height and width, odd.
        stride: along both.
        norm: whether there is a normalisation; without it the convolution has a bias.
    Shape:
        x: (batch, inputs, height, width); returns: (batch, outputs, ⌈height / stride⌉, ⌈width / stride⌉)
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], norm: bool = True
    ) -> None:
        super().__init__()
        # Along an axis where the kernel has a side of 1 a stride is a slice: the same values, and no strided 1x1
        # convolution, whose backward pass writes past its memory on a CPU (see `operations.FactorizedReduce`).
        self.every = tuple(step if side == 1 else 1 for side, step in zip(kernel, stride, strict=True))
        steps = (stride[0] // self.every[0], stride[1] // self.every[1])
        self.convolution = nn.Conv2d(
            inputs, outputs, kernel, steps, padding=(kernel[0] // 2, kernel[1] // 2), bias=not norm
        )
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.convolution(x[:, :, :: self.every[0], :: self.every[1]])))


@dataclass(frozen=True)
class _Made:
    """What a convolution or a pooling layer made, and how many pools stood before the place where it is read first."""

    value: Tensor
    pools: int


class ChainNetwork(nn.Module):
    """Layers that each read the outputs of the layers named as their sources, joined along the channels.

    A layer without a source reads the image; what nothing reads is joined for the classifier; of joined outputs of
    different sizes the smaller are filled up with zeros at the bottom and on the right. There is no edge from one layer
    to the next unless it is named. A pooling layer pools what it joined and does nothing else: as it keeps all
    channels, chains of many of them grow wide.

    Args:
        genotype: the layers.
        input_shape: (channels, height, width) of an image.
        classes: number of outputs.
        block: convolutions in each layer; each of them reads what the layer reads and what those before it in the layer
            made, and all that they made is the layer's output. A pooling layer is one pool all the same. Paper: 1, with
            pools 3.
        pools: numbers of convolutions (and pooling layers), counted from 1 through all layers, behind which all that
            was made so far (the image too) has its sides halved by a 2x2 max-pool before it is read. Paper: 13 and 24
            of 39.
        added_filters: more filters in every convolution. Paper: 40 in the last network.
    Shape:
        x: (batch, channels, height, width); returns: (batch, classes)
    Differs from the paper: it does not say how the classifier reads its input (here the mean over all places, then a
        linear layer), where zeros go, what a block hands on, nor what is pooled. It names pooling layers and batch
        normalisation as layers that could be predicted too (sec. 3.3), but gives them no exact form.
    """

    def __init__(
        self,
        genotype: ChainGenotype,
        input_shape: tuple[int, int, int],
        classes: int,
        block: int = 1,
        pools: Collection[int] = (),
        added_filters: int = 0,
    ) -> None:
        super().__init__()
        self.sources = [layer.sources for layer in genotype.layers]
        self.loose_ends = genotype.loose_ends
        self.pools = frozenset(pools)
        widths = [input_shape[0]]  # of the image and of every layer's output
        self.layers = nn.ModuleList()
        for layer in genotype.layers:
            read = sum(widths[source] for source in layer.sources or (0,))
            parts, made = _modules(layer, read, block, added_filters)
            self.layers.append(nn.ModuleList(parts))
            widths.append(made)
        self.classifier = nn.Linear(sum(widths[number] for number in self.loose_ends), classes)

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[list[_Made]] = [[_Made(x, 0)]]  # of the image and of every layer, the parts of a block apart
        done = pools = 0
        for sources, parts in zip(self.sources, self.layers, strict=True):
            read = [output for source in sources or (0,) for output in outputs[source]]
            made: list[_Made] = []
            for part in parts:  # type: ignore[attr-defined]
                made.append(_Made(part(_joined([*read, *made], pools)), pools))
                done += 1
                pools += done in self.pools
            outputs.append(made)
        last = _joined([output for number in self.loose_ends for output in outputs[number]], pools)
        logits: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return logits


def _modules(layer: ChainLayer, read: int, block: int, added_filters: int) -> tuple[list[nn.Module], int]:
    """The parts of a layer that reads so many channels, and how many it makes."""
    if layer.filters is None:
        padding = (layer.kernel[0] // 2, layer.kernel[1] // 2)
        return [_POOLS[layer.layer_type](layer.kernel, layer.stride, padding)], read
    filters = layer.filters + added_filters
    reads = range(read, read + block * filters, filters)  # each convolution also what those before it made
    return [Convolution(each, filters, layer.kernel, layer.stride, layer.norm) for each in reads], block * filters


def _joined(parts: Sequence[_Made], pools: int) -> Tensor:
    """Outputs along the channels, each pooled as often as there are pools behind it."""
    values = [_pooled(part.value, pools - part.pools) for part in parts]
    return join(values)


def _pooled(x: Tensor, times: int) -> Tensor:
    for _ in range(times):
        x = F.max_pool2d(x, 2, ceil_mode=True)
    return x


def join(values: Sequence[Tensor]) -> Tensor:
    """Maps along the channels, zeros below and to the right of the smaller ones.

    Shape:
        values: (batch, channels, height, width), of any channels and sides
        returns: (batch, sum of channels, greatest height, greatest width)
    """
    height, width = (max(value.shape[axis] for value in values) for axis in (2, 3))
    return torch.cat([F.pad(value, (0, width - value.shape[3], 0, height - value.shape[2])) for value in values], dim=1)
