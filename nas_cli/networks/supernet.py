"""The search network: a stack of cells whose every edge is a mixed edge.

Reference: Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019, arXiv:1806.09055, sec. 2 and 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from nas_cli.errors import require
from nas_cli.networks.cell_network import STEM_MULTIPLIER, reductions
from nas_cli.networks.choices import CellChoices, Choices
from nas_cli.networks.genotype import INPUTS
from nas_cli.networks.operations import FactorizedReduce, ReLUConvBN, check_sides

#: Makes the mixed edges that leave one node: (operations of each edge, channels, stride) -> module like `FanOut`.
FanOutFactory = Callable[[Sequence[Sequence[str]], int, int], nn.Module]


class MixedCell(nn.Module):
    """A cell with all edges: each node is the sum of its incoming mixed edges, the output concatenates all nodes.

    Args:
        choices: edges and their candidates.
        widths: channels of the two inputs.
        channels: of every node.
        reduce: whether edges from the two inputs have stride 2.
        reduce_first: whether input 0 has twice the side of input 1.
        fan_out: makes the mixed edges of a node.
    Shape:
        first: (batch, widths[0], h, w), or (…, 2h, 2w) with `reduce_first`; second: (batch, widths[1], h, w)
        weights: for each source node the rows (edges from it, operations)
        returns: (batch, nodes * channels, h, w), or (…, h / 2, w / 2) with `reduce`
    """

    def __init__(
        self,
        choices: Choices,
        widths: tuple[int, int],
        channels: int,
        reduce: bool,
        reduce_first: bool,
        fan_out: FanOutFactory,
    ) -> None:
        super().__init__()
        self.targets = targets_by_source(choices)
        self.nodes = choices.targets
        self.preprocess = nn.ModuleList(
            [
                FactorizedReduce(widths[0], channels, affine=False)
                if reduce_first
                else ReLUConvBN(widths[0], channels, affine=False),
                ReLUConvBN(widths[1], channels, affine=False),
            ]
        )
        self.fan_outs = nn.ModuleList(
            fan_out(
                [choices.operations[row] for row in choices.rows_from(source)],
                channels,
                2 if reduce and source < INPUTS else 1,
            )
            for source in range(len(self.targets))
        )

    def forward(self, first: Tensor, second: Tensor, weights: Sequence[Tensor]) -> Tensor:
        states: dict[int, Tensor] = {}
        for source, (fan_out, targets) in enumerate(zip(self.fan_outs, self.targets, strict=True)):
            # By the time a node is read as a source, every earlier one has added its part to it.
            value = self.preprocess[source]((first, second)[source]) if source < INPUTS else states[source]
            for target, part in zip(targets, fan_out(value, weights[source]), strict=True):
                states[target] = states[target] + part if target in states else part
        return torch.cat([states[node] for node in self.nodes], dim=1)


def targets_by_source(choices: Choices) -> list[list[int]]:
    """For each node that edges leave, the nodes that they reach."""
    last = max(source for source, _ in choices.edges)
    return [[choices.edges[row][1] for row in choices.rows_from(source)] for source in range(last + 1)]


class Supernet(nn.Module):
    """The search network for images: stem, cells with reductions at a third and two thirds, pooling, linear.

    Args:
        choices: for ``normal`` and ``reduce`` cells.
        input_shape: (channels, height, width) of an image; sides must be multiples of 4.
        classes: number of outputs.
        channels: C of the first cells. Paper: 16.
        cells: depth. Paper: 8.
        fan_out: makes the mixed edges of a node.
    Shape:
        x: (batch, channels, height, width); weights: for each type of cell (edges, operations)
        returns: (batch, classes)
    Raises `InputError` for sides that the reductions cannot halve.
    """

    def __init__(
        self,
        choices: CellChoices,
        input_shape: tuple[int, int, int],
        classes: int,
        channels: int,
        cells: int,
        fan_out: FanOutFactory,
    ) -> None:
        super().__init__()
        require(
            cells >= 1 and channels >= 1, f"a supernet needs cells and channels of at least 1, not {cells}, {channels}"
        )
        reduced = reductions(cells)
        check_sides(input_shape, len(reduced))
        self.choices = choices
        width = STEM_MULTIPLIER * channels
        self.stem = nn.Sequential(nn.Conv2d(input_shape[0], width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        widths, reduce_first = (width, width), False
        self.cells = nn.ModuleList()
        self.types: list[str] = []
        for index in range(cells):
            reduce = index in reduced
            kind = "reduce" if reduce else "normal"
            channels = 2 * channels if reduce else channels
            self.cells.append(MixedCell(choices[kind], widths, channels, reduce, reduce_first, fan_out))
            self.types.append(kind)
            widths, reduce_first = (widths[1], len(choices[kind].targets) * channels), reduce
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[1], classes))

    def forward(self, x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        by_source = {
            kind: [weights[kind][choices.rows_from(source)] for source in range(len(targets_by_source(choices)))]
            for kind, choices in self.choices.items()
            if kind in self.types
        }
        first = second = self.stem(x)
        for kind, cell in zip(self.types, self.cells, strict=True):
            first, second = second, cell(first, second, by_source[kind])
        logits: Tensor = self.classifier(second)
        return logits
