"""NASNet's networks: cells of blocks, stacked by hand-made skeletons for CIFAR and for ImageNet.

Reference: Zoph et al., Learning Transferable Architectures for Scalable Image Recognition, CVPR 2018,
arXiv:1707.07012, sec. 3.1, fig. 2 and app. A; what is called *released* is how its released code does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_cli.errors import require
from nas_cli.networks.auxiliary_head import AuxiliaryNetwork, WholeMapHead
from nas_cli.networks.blocks import CONCAT, INPUTS, BlockCell
from nas_cli.networks.drop_path import DropPath
from nas_cli.networks.nasnet_operations import IDENTITY, make_operation, pointwise, projection
from nas_cli.networks.operations import FactorizedReduce
from nas_cli.networks.stems import StemName

STEM_MULTIPLIER = 3  # width of a CIFAR stem, in filters of the first cells
IMAGENET_STEM_CELLS = 2  # reduction cells before the first normal ones, at a quarter and at half of their filters


@dataclass(frozen=True)
class State:
    """An image or a map on its way through the network: its channels, and how often its side has been halved."""

    width: int
    halvings: int


class NasNetCell(nn.Module):
    """A cell as layers.

    Args:
        cell: its blocks, and what is concatenated.
        newest: h_i; it always goes through ReLU-1x1-BN.
        before: h_{i-1}; where its side is larger it goes through a factorised reduction, where only its width differs
            through ReLU-1x1-BN. None: there is none, and its place is taken by h_i as it comes (released).
        channels: F, of every block.
        reduce: whether operations on the two inputs have stride 2.
        share: of the network's drop-path probability.
    Shape:
        newest: (batch, width, h, w); before: (batch, width, h, w), or twice the side
        returns: (batch, len(concat) * channels, h, w), or (…, ⌈h / 2⌉, ⌈w / 2⌉) with `reduce`
    Differs from the paper, which does not say: what a block concatenates goes through ReLU-1x1-BN back to F channels,
        and an input that is concatenated through a 1x1 convolution where its width differs, through a factorised
        reduction in a reduction cell, both without ReLU (released).
    """

    def __init__(
        self, cell: BlockCell, newest: State, before: State | None, channels: int, reduce: bool, share: float = 1.0
    ) -> None:
        super().__init__()
        self.cell, self.channels, self.share = cell, channels, share
        self.stride = 2 if reduce else 1
        self.newest = pointwise(newest.width, channels)
        self.before: nn.Module = nn.Identity()
        widths = [channels, newest.width if before is None else channels]
        if before is not None and before.halvings != newest.halvings:
            self.before = FactorizedReduce(before.width, channels)
        elif before is not None and before.width != channels:
            self.before = pointwise(before.width, channels)
        widths += [channels] * len(cell.blocks)
        # In the order of the blocks; `forward` takes them one by one.
        self.operations = nn.ModuleList(
            self._operation(name, widths[source], source) for block in cell.blocks for name, source in block.pairs
        )
        self.joins = nn.ModuleList(
            pointwise(2 * channels, channels) if block.combine == CONCAT else nn.Identity() for block in cell.blocks
        )
        self.outputs = nn.ModuleList(self._output(widths[number], number) for number in cell.outputs)

    def _operation(self, name: str, width: int, source: int) -> nn.Module:
        operation = make_operation(name, width, self.channels, self.stride if source < INPUTS else 1)
        # An identity is never dropped, not even where it has to change the shape (released).
        return operation if name == IDENTITY else nn.Sequential(operation, DropPath(share=self.share))

    def _output(self, width: int, number: int) -> nn.Module:
        if number < INPUTS and self.stride == 2:
            return FactorizedReduce(width, self.channels, relu=False)
        return nn.Identity() if width == self.channels else projection(width, self.channels)

    def forward(self, newest: Tensor, before: Tensor) -> Tensor:
        states: list[Tensor] = [self.newest(newest), self.before(before)]
        operations = iter(self.operations)
        for block, join in zip(self.cell.blocks, self.joins, strict=True):
            one, other = (next(operations)(states[source]) for _, source in block.pairs)
            states.append(join(torch.cat([one, other], dim=1)) if block.combine == CONCAT else one + other)
        kept = zip(self.cell.outputs, self.outputs, strict=True)
        return torch.cat([output(states[number]) for number, output in kept], dim=1)


@dataclass(frozen=True)
class Skeleton:
    """How cells are stacked: N normal cells in each of three stages, with a reduction cell between them.

    Args:
        stem: ``cifar``: a 3x3 convolution of 3 F filters; ``imagenet``: one of stride 2 without padding and of
            `stem_filters`, then two reduction cells of F / 4 and F / 2 filters.
        channels: F of the first normal cells, doubled at each reduction; a multiple of 2 (``imagenet``: 4). 32 for
            6 @ 768, 44 for 4 @ 1056, 168 for 6 @ 4032.
        cells: N.
        stem_filters: of ImageNet's stem. Released: 32 in the mobile setting, 96 in the large one.
        skip_reduction_input: whether the normal cell after a reduction takes as h_{i-1} what stands before that
            reduction's input, not this input itself (released, the large setting).
    Raises:
        InputError: for sizes that make no network.
    """

    stem: StemName = "cifar"
    channels: int = 8
    cells: int = 1
    stem_filters: int = 32
    skip_reduction_input: bool = False

    def __post_init__(self) -> None:
        for name in ("channels", "cells", "stem_filters"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}")
        step = granularity(self.stem)
        require(
            self.channels % step == 0,
            f"channels={self.channels}: a reduction makes half of its channels from each of two convolutions, so with "
            f"stem={self.stem} they must be a multiple of {step}",
        )

    @property
    def stem_cells(self) -> int:
        """How many reduction cells stand before the first normal one."""
        return IMAGENET_STEM_CELLS if self.stem == "imagenet" else 0

    @property
    def reduces(self) -> tuple[bool, ...]:
        """For each cell whether it is a reduction cell: 3 N + 2 of them, and ImageNet's two before."""
        stage = (False,) * self.cells
        return (True,) * self.stem_cells + (*stage, True) * 2 + stage

    @property
    def auxiliary_cell(self) -> int:
        """The last cell before the second reduction."""
        return len(self.reduces) - self.cells - 2

    def filters(self, index: int) -> int:
        """Of the blocks of a cell: F, doubled at each reduction; before the first normal cell F / 4 and F / 2."""
        if index < self.stem_cells:
            return self.channels >> (self.stem_cells - index)
        return self.channels << self.reduces[self.stem_cells : index + 1].count(True)

    def inputs(self, index: int) -> tuple[int, int | None]:
        """Where a cell finds h_i and h_{i-1}: 0 is the stem's output, k + 1 that of cell k; None: nowhere."""
        after_reduction = index > self.stem_cells and self.reduces[index - 1] and not self.reduces[index]
        before = index - 1 - (self.skip_reduction_input and after_reduction)
        return index, before if before >= 0 else None


def granularity(stem: StemName) -> int:
    """What the filters of the first normal cells must be a multiple of, as every reduction's must be even."""
    return 4 if stem == "imagenet" else 2


class NasNetNetwork(AuxiliaryNetwork):
    """An image classifier of stacked cells of blocks.

    Args:
        cells: the ``normal`` and the ``reduce`` cell.
        input_shape: (channels, height, width) of an image; sides may be odd, for ImageNet's stem at least 3.
        classes: number of outputs.
        skeleton: how cells are stacked.
        auxiliary: whether to add `auxiliary_head` before the second reduction, where its map has a side of 5 or more.
        dropout: probability before the classifier. Paper: 0.5 on ImageNet.
        drop_path_by_depth: whether cell k of K drops its paths with (k + 1) / K of the network's probability
            (released); else all with the same (the paper's text).
        norm_momentum, norm_epsilon: of every normalisation.
    Shape:
        x: (batch, channels, height, width)
        returns: (batch, classes); with `auxiliary` a pair, the second from the auxiliary head, None where there is none
    Differs from the release: strided layers pad both sides alike, not the end alone, which is the same on odd sides.
    Raises:
        InputError: for images too small, or sizes that make no network.
    """

    def __init__(
        self,
        cells: Mapping[str, BlockCell],
        input_shape: tuple[int, int, int],
        classes: int,
        skeleton: Skeleton,
        auxiliary: bool = False,
        dropout: float = 0.0,
        drop_path_by_depth: bool = True,
        norm_momentum: float = 0.1,
        norm_epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        require(classes >= 1, f"a network of cells needs classes of at least 1, not {classes}")
        require(0 <= dropout < 1, f"dropout must be in [0, 1), not {dropout}")
        require(0 < norm_momentum <= 1, f"norm_momentum must be in (0, 1], not {norm_momentum}")
        require(norm_epsilon > 0, f"norm_epsilon must be above 0, not {norm_epsilon}")
        self.skeleton = skeleton
        self.stem, state, sides = _stem(skeleton, input_shape)
        states, total = [state], len(skeleton.reduces)
        self.cells = nn.ModuleList()
        for index, reduce in enumerate(skeleton.reduces):
            newest, before = skeleton.inputs(index)
            filters = skeleton.filters(index)
            cell = cells["reduce" if reduce else "normal"]
            share = (index + 1) / total if drop_path_by_depth else 1.0
            made = NasNetCell(cell, states[newest], None if before is None else states[before], filters, reduce, share)
            self.cells.append(made)
            states.append(State(len(cell.outputs) * filters, states[newest].halvings + reduce))
            if auxiliary and index == skeleton.auxiliary_cell:
                halvings = states[-1].halvings
                height, width = (-(-side // 2**halvings) for side in sides)  # ⌈⌈n / 2⌉ / 2⌉ = ⌈n / 4⌉
                if min(height, width) >= WholeMapHead.MINIMUM_SIDE:
                    self.auxiliary_head = WholeMapHead(states[-1].width, (height, width), classes)
        self.classifier = nn.Sequential(
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(states[-1].width, classes),
        )
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum, module.eps = norm_momentum, norm_epsilon

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        outputs: list[Tensor] = [self.stem(x)]
        for index, cell in enumerate(self.cells):
            newest, before = self.skeleton.inputs(index)
            outputs.append(cell(outputs[newest], outputs[newest if before is None else before]))
        return outputs[-1], outputs[self.skeleton.auxiliary_cell + 1]


def _stem(skeleton: Skeleton, input_shape: tuple[int, int, int]) -> tuple[nn.Module, State, tuple[int, int]]:
    """The first convolution, what it makes, and the sides of that."""
    channels, height, width = input_shape
    if skeleton.stem == "cifar":
        require(min(height, width) >= 1, f"images of {height}x{width} have no pixel")
        made = STEM_MULTIPLIER * skeleton.channels
        convolution = nn.Conv2d(channels, made, 3, padding=1, bias=False)
    else:
        require(min(height, width) >= 3, f"images of {height}x{width} are too small for stem=imagenet: 3x3 at least")
        made = skeleton.stem_filters
        convolution = nn.Conv2d(channels, made, 3, stride=2, bias=False)
        height, width = (height - 1) // 2, (width - 1) // 2
    return nn.Sequential(convolution, nn.BatchNorm2d(made)), State(made, 0), (height, width)
