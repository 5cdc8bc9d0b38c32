"""The network that is trained once a cell is found: normal and reduction cells stacked.

Reference: Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019, arXiv:1806.09055, sec. 3.1.1 and
app. A.1; the stack is that of Zoph et al., NASNet, CVPR 2018, arXiv:1707.07012.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_cli.errors import InputError
from nas_cli.networks.auxiliary_head import AuxiliaryHead, AuxiliaryNetwork
from nas_cli.networks.drop_path import DropPath
from nas_cli.networks.genotype import INPUTS, Cell, Genotype, Layers, reductions
from nas_cli.networks.operations import FactorizedReduce, ReLUConvBN, check_sides, make_operation
from nas_cli.networks.stems import STEMS, StemName


class NetworkCell(nn.Module):
    """A cell as layers: two preprocessed inputs, nodes that sum their inputs, chosen nodes concatenated.

    Args:
        cell: what is joined with what.
        widths: channels of the two inputs.
        channels: of every node.
        reduce: whether operations on the two inputs have stride 2.
        reduce_first: whether input 0 has twice the side of input 1, because the previous cell was a reduction.
    Shape:
        first: (batch, widths[0], h, w), or (…, 2h, 2w) with `reduce_first`; second: (batch, widths[1], h, w)
        returns: (batch, len(concat) * channels, h, w), or (…, h / 2, w / 2) with `reduce`
    """

    def __init__(self, cell: Cell, widths: tuple[int, int], channels: int, reduce: bool, reduce_first: bool) -> None:
        super().__init__()
        self.channels = channels
        self.stride = 2 if reduce else 1
        self.sources = [[source for _, source in node] for node in cell.nodes]
        self.concat = cell.concat
        self.preprocess = nn.ModuleList(
            [
                FactorizedReduce(widths[0], channels) if reduce_first else ReLUConvBN(widths[0], channels),
                ReLUConvBN(widths[1], channels),
            ]
        )
        # In the order of the nodes; `forward` takes them one by one.
        self.operations = nn.ModuleList(self._operation(name, source) for node in cell.nodes for name, source in node)

    def _operation(self, name: str, source: int) -> nn.Module:
        operation = make_operation(name, self.channels, self.stride if source < INPUTS else 1, affine=True)
        # An identity is never dropped: with it the gradient always finds a way through.
        return operation if isinstance(operation, nn.Identity) else nn.Sequential(operation, DropPath())

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        states: list[Tensor] = [self.preprocess[0](first), self.preprocess[1](second)]
        operations = iter(self.operations)
        for sources in self.sources:
            outputs = [next(operations)(states[source]) for source in sources]
            states.append(sum(outputs[1:], outputs[0]) if outputs else self._zeros(states[1]))
        return torch.cat([states[number] for number in self.concat], dim=1)

    def _zeros(self, state: Tensor) -> Tensor:
        """The value of a node without inputs, given the preprocessed input 1."""
        return torch.zeros_like(state[:, :, :: self.stride, :: self.stride])


class CellNetwork(AuxiliaryNetwork):
    """An image classifier of stacked cells.

    Args:
        genotype: its normal and reduction cell, or one cell for each layer.
        input_shape: (channels, height, width) of an image; the sides must be multiples of 4 (of 2 where a stack of one
            cell has one reduction), and of 8 times that with the stem for ImageNet.
        classes: number of outputs.
        channels: C of the first cells, doubled at each reduction. Paper: 36 on CIFAR-10, 48 on ImageNet.
        cells: depth. Paper: 20 on CIFAR-10, 14 on ImageNet.
        auxiliary: whether to add `auxiliary_head` on the cell at two thirds, where its map has a side of 7 or more.
        stem: a key of `STEMS`: ``cifar`` keeps the side of the images, ``imagenet`` halves it three times.
        auxiliary_norm: whether the head's second convolution is normalised. DARTS: not on ImageNet.
    Shape:
        x: (batch, channels, height, width)
        returns: (batch, classes); with `auxiliary` a pair, the second from the auxiliary head, None where there is none
    Raises:
        InputError: for sides that the reductions cannot halve, or a depth, width or number of classes below 1.
    """

    def __init__(
        self,
        genotype: Genotype | Layers,
        input_shape: tuple[int, int, int],
        classes: int,
        channels: int,
        cells: int,
        auxiliary: bool,
        stem: StemName = "cifar",
        auxiliary_norm: bool = True,
    ) -> None:
        super().__init__()
        for name, value in {"classes": classes, "channels": channels, "cells": cells}.items():
            if value < 1:
                raise InputError(f"a network of cells needs {name} of at least 1, not {value}")
        kind, reduced = STEMS[stem], reductions(cells)
        check_sides(input_shape, kind.halvings + len(reduced))
        self.auxiliary_cell = 2 * cells // 3
        width = kind.multiplier * channels
        self.stem = kind(input_shape[0], width)
        widths, side, reduce_first = (width, width), min(input_shape[1:]) // 2**kind.halvings, kind.reduces

        self.cells = nn.ModuleList()
        for index in range(cells):
            reduce = index in reduced
            cell = genotype.at(index, reduce)
            if reduce:
                channels, side = 2 * channels, side // 2
            self.cells.append(NetworkCell(cell, widths, channels, reduce, reduce_first))
            widths, reduce_first = (widths[1], len(cell.concat) * channels), reduce
            if auxiliary and index == self.auxiliary_cell and side >= AuxiliaryHead.MINIMUM_SIDE:
                self.auxiliary_head = AuxiliaryHead(widths[1], side, classes, auxiliary_norm)
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[1], classes))

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs of the last cell and of the cell that carries the auxiliary head."""
        first, second = self.stem(x)
        inner = second
        for index, cell in enumerate(self.cells):
            first, second = second, cell(first, second)
            if index == self.auxiliary_cell:
                inner = second
        return second, inner
