"""The search network: a stack of cells whose every edge is a mixed edge.

Reference: Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019, arXiv:1806.09055, sec. 2 and 3.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from nas_cli.errors import CombinationError, require
from nas_cli.networks.choices import CellChoices, Choices
from nas_cli.networks.genotype import INPUTS, layer_types, reductions
from nas_cli.networks.mixed import MakeOperation
from nas_cli.networks.operations import FactorizedReduce, ReLUConvBN, check_sides, search_operation
from nas_cli.networks.resources import Site
from nas_cli.networks.stems import STEM_MULTIPLIER, STEMS, StemName

#: Makes the mixed edges that leave one node: (operations of each edge, channels, stride, how an operation is made) ->
#: module like `FanOut`.
FanOutFactory = Callable[[Sequence[Sequence[str]], int, int, MakeOperation], nn.Module]


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
                search_operation,
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


def sources(choices: Choices) -> range:
    """The nodes that edges leave."""
    return range(max(source for source, _ in choices.edges) + 1)


def targets_by_source(choices: Choices) -> list[list[int]]:
    """For each node that edges leave, the nodes that they reach."""
    return [[choices.edges[row][1] for row in choices.rows_from(source)] for source in sources(choices)]


class Supernet(nn.Module):
    """The search network for images: stem, cells with reductions at a third and two thirds, pooling, linear.

    Args:
        choices: for ``normal`` and ``reduce`` cells, or for each of `layer_types` where no two share theirs.
        input_shape: (channels, height, width) of an image; sides must be multiples of 4.
        classes: number of outputs.
        channels: C of the first cells. Paper: 16.
        cells: depth. Paper: 8.
        fan_out: makes the mixed edges of a node.
        stem: its first layers; ``imagenet`` halves large images three times before the first cell.
    Shape:
        x: (batch, channels, height, width); weights: for each type of cell (edges, operations), or
            (cells of this type, edges, operations) where each has its own
        returns: (batch, classes)
    Attributes:
        types: of the cells, in order.
        sites: what their costs depend on.
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
        stem: StemName = "cifar",
    ) -> None:
        super().__init__()
        require(
            cells >= 1 and channels >= 1, f"a supernet needs cells and channels of at least 1, not {cells}, {channels}"
        )
        reduced = reductions(cells)
        first_layers = STEMS[stem]
        check_sides(input_shape, first_layers.halvings + len(reduced))
        self.choices = choices
        width = STEM_MULTIPLIER * channels
        self.stem = first_layers(input_shape[0], width)
        widths, reduce_first = (width, width), first_layers.reduces
        self.cells = nn.ModuleList()
        self.types: list[str] = []
        self.sites: list[Site] = []
        pixels = input_shape[1] * input_shape[2] // 4**first_layers.halvings
        for index, own in enumerate(layer_types(cells)):
            reduce = index in reduced
            kind = own if own in choices else "reduce" if reduce else "normal"
            channels = 2 * channels if reduce else channels
            self.cells.append(MixedCell(choices[kind], widths, channels, reduce, reduce_first, fan_out))
            self.types.append(kind)
            pixels = pixels // 4 if reduce else pixels
            strides = tuple(2 if reduce and source < INPUTS else 1 for source, _ in choices[kind].edges)
            self.sites.append(Site(kind, channels, pixels, strides))
            widths, reduce_first = (widths[1], len(choices[kind].targets) * channels), reduce
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[1], classes))

    def forward(self, x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        rows = by_cell(self.choices, weights, self.types)
        first, second = self.stem(x)
        for cell, by_source in zip(self.cells, rows, strict=True):
            first, second = second, cell(first, second, by_source)
        logits: Tensor = self.classifier(second)
        return logits


def by_cell(choices: CellChoices, weights: Mapping[str, Tensor], types: Sequence[str]) -> Iterator[list[Tensor]]:
    """For each cell of a network the rows of its edge weights, by source node.

    Args:
        choices, weights: by type of cell.
        types: of the cells, in order.
    """
    indices = {kind: [choices[kind].rows_from(source) for source in sources(choices[kind])] for kind in set(types)}
    shared = {
        kind: [weights[kind][rows] for rows in of_source]
        for kind, of_source in indices.items()
        if weights[kind].dim() == 2
    }
    for kind, rows in weights.items():
        if kind not in shared and len(rows) != types.count(kind):
            raise CombinationError(
                f"there are switches for {len(rows)} {kind} cells and {types.count(kind)} of these in the supernet: "
                "strategy/mixing=switches does not go with stages of different depths"
            )
    seen: Counter[str] = Counter()
    for kind in types:
        own = weights[kind]
        yield shared[kind] if kind in shared else [own[seen[kind]][rows] for rows in indices[kind]]
        seen[kind] += 1
