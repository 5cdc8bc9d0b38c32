"""The search network of NAS-Bench-201: the skeleton of its networks, with a mixed edge in the place of each operation.

Reference: Dong and Yang, NAS-Bench-201, ICLR 2020, arXiv:2001.00326, sec. 2.1 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from nas_cli.networks.choices import CellChoices, Choices
from nas_cli.networks.nasbench201 import NODES, STAGES, skeleton
from nas_cli.networks.operations import make_operation
from nas_cli.networks.resources import Site
from nas_cli.networks.supernet import FanOutFactory, by_cell, targets_by_source

#: The one type of cell.
KIND = "normal"


def plain_operation(name: str, channels: int, stride: int) -> nn.Module:
    """An operation as this search has it: no learnt scale, a bias instead, and pools without normalisation."""
    return make_operation(name, channels, stride, affine=False)


class MixedNasBench201Cell(nn.Module):
    """Four nodes, each the sum of its incoming mixed edges; the last is the output.

    Args:
        choices: edges and their candidates.
        channels: of every node.
        fan_out: makes the mixed edges of a node.
    Shape:
        x and the return: (batch, channels, height, width)
        weights: for each source node the rows (edges from it, operations)
    """

    def __init__(self, choices: Choices, channels: int, fan_out: FanOutFactory) -> None:
        super().__init__()
        self.targets = targets_by_source(choices)
        self.fan_outs = nn.ModuleList(
            fan_out([choices.operations[row] for row in choices.rows_from(source)], channels, 1, plain_operation)
            for source in range(len(self.targets))
        )

    def forward(self, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
        states = {0: x}
        for source, (fan_out, targets) in enumerate(zip(self.fan_outs, self.targets, strict=True)):
            for target, part in zip(targets, fan_out(states[source], weights[source]), strict=True):
                states[target] = states[target] + part if target in states else part
        return states[NODES - 1]


class NasBench201Supernet(nn.Module):
    """All cells of the space in one network; arguments of `skeleton`.

    Args:
        choices: of the one type of cell.
        fan_out: makes the mixed edges of a node.
    Attributes:
        types: of the cells.
        sites: what their costs depend on.
    Shape:
        x: (batch, channels, height, width); weights: for the one type of cell (edges, operations), or
            (cells, edges, operations) where each has its own
        returns: (batch, classes)
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
        self.choices = choices
        self.types = [KIND] * cells
        self.layers = nn.ModuleList(
            skeleton(
                lambda width: MixedNasBench201Cell(choices[KIND], width, fan_out), input_shape, classes, channels, cells
            )
        )
        pixels, strides = input_shape[1] * input_shape[2], (1,) * len(choices[KIND].edges)
        stages = [index // (cells // STAGES) for index in range(cells)]  # each doubles channels and halves the sides
        self.sites = [Site(KIND, channels * 2**stage, pixels // 4**stage, strides) for stage in stages]

    def forward(self, x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        rows = by_cell(self.choices, weights, self.types)
        for layer in self.layers:
            x = layer(x, next(rows)) if isinstance(layer, MixedNasBench201Cell) else layer(x)
        return x
