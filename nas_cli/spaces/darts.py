"""The DARTS cell space: a normal and a reduction cell of four nodes with two inputs each.

Reference: Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019, arXiv:1806.09055, sec. 2.1, 3.1.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property

from torch import nn

from nas_cli.architecture import Architecture, CellGraph, Value
from nas_cli.errors import InputError, require
from nas_cli.networks.cell_network import CellNetwork
from nas_cli.networks.choices import NONE, CellChoices, Choices, Nodes, all_pairs
from nas_cli.networks.genotype import INPUTS, Cell, Genotype
from nas_cli.networks.operations import make_operation
from nas_cli.networks.supernet import FanOutFactory, Supernet
from nas_cli.seeding import seeded
from nas_cli.spaces.base import Categorical, Decision, SupernetSpace

CELLS = ("normal", "reduce")


class DartsSpace(SupernetSpace):
    """Two cells, in which every node chooses two different earlier nodes and an operation for each.

    Its decisions are, for each cell and node, which pair of sources (``0,2``) and the two operations. An architecture
    is written as the text of its two cells (`nas_cli.networks.genotype`).

    Args:
        operations: candidates, in the order of the columns of the architecture parameters. `none` competes in a
            supernet and is never chosen.
        nodes: inner nodes of a cell. Paper: 4.
        channels: of the first cells of networks and supernets. Paper: 16 in the search, 36 in the evaluation.
        cells: their depth. Paper: 8 in the search, 20 in the evaluation.
    """

    def __init__(self, name: str, operations: Sequence[str], nodes: int = 4, channels: int = 8, cells: int = 4) -> None:
        super().__init__(name)
        require(nodes >= 1, f"nodes must be at least 1, not {nodes}")
        require(channels >= 2 and channels % 2 == 0, f"channels must be even and at least 2, not {channels}")
        require(cells >= 1, f"cells must be at least 1, not {cells}")
        require(len(set(operations)) == len(operations), f"operations: one stands twice in {', '.join(operations)}")
        require(set(operations) != {NONE} and bool(operations), "operations: at least one other than none is needed")
        with seeded(0, "operations"):  # made only to see whether they can be, at no cost to the global generator
            for operation in operations:
                make_operation(operation, 2, 1, affine=True)  # raises for an unknown one
        self.operations = tuple(operations)
        self.nodes = nodes
        self.channels = channels
        self.cells = cells

    @cached_property
    def choices(self) -> CellChoices:
        """The edges and candidates of a supernet's cells: 14 rows of 8 in the paper."""
        edges = all_pairs(INPUTS, self.nodes)
        return dict.fromkeys(CELLS, Choices(edges, (self.operations,) * len(edges)))

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        operations = tuple(operation for operation in self.operations if operation != NONE)
        found: list[Decision] = []
        for cell, node in itertools.product(CELLS, range(INPUTS, INPUTS + self.nodes)):
            pairs = tuple(f"{a},{b}" for a, b in itertools.combinations(range(node), 2))
            found.append(Categorical(f"{cell}/{node}/sources", pairs))
            found += [Categorical(f"{cell}/{node}/operation_{which}", operations) for which in (1, 2)]
        return tuple(found)

    def decode(self, values: Sequence[Value]) -> Architecture:
        cells = []
        for cell in range(len(CELLS)):
            nodes = []
            for node in range(self.nodes):
                pair, *operations = values[3 * (cell * self.nodes + node) :][:3]
                sources = [int(source) for source in str(pair).split(",")]
                nodes.append(tuple(zip(map(str, operations), sources, strict=True)))
            cells.append(tuple(nodes))
        return self.from_cells(dict(zip(CELLS, cells, strict=True)))

    def encode(self, architecture: Architecture) -> tuple[Value, ...]:
        genotype = Genotype.from_architecture(architecture)
        values: list[Value] = []
        for cell in (genotype.normal, genotype.reduce):
            for node in cell.nodes:
                if len(node) != 2:
                    raise InputError(f"space {self.name}: a node has two inputs, not {len(node)}, in {cell}")
                (first, low), (second, high) = sorted(node, key=lambda pair: pair[1])
                values += [f"{low},{high}", first, second]
        if len(values) != len(self.decisions):
            raise InputError(f"space {self.name}: a cell has {self.nodes} nodes, unlike {architecture.decisions[0]}")
        for decision, value in zip(self.decisions, values, strict=True):
            require(value in decision, f"{decision.name}={value} is not in space {self.name}")
        return tuple(values)

    def from_cells(self, cells: Mapping[str, Nodes]) -> Architecture:
        concat = tuple(range(INPUTS, INPUTS + self.nodes))
        normal, reduce = (Cell(cells[kind], concat) for kind in CELLS)
        return Genotype(normal, reduce).to_architecture(self.name)

    def describe(self, architecture: Architecture) -> str:
        genotype = Genotype.from_architecture(architecture)
        return f"normal: {genotype.normal}\nreduce: {genotype.reduce}"

    def graphs(self, architecture: Architecture) -> list[CellGraph]:
        genotype = Genotype.from_architecture(architecture)
        return [genotype.normal.graph("normal cell"), genotype.reduce.graph("reduction cell")]

    def build(  # type: ignore[override]  # it names what the interface leaves open
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        classes: int,
        channels: int | None = None,
        cells: int | None = None,
        auxiliary: bool = False,
    ) -> nn.Module:
        """The derived network of any pair of cells, also of published ones that are no members of this space.

        Args:
            auxiliary: whether to add the auxiliary head where the images are large enough.
        """
        genotype = Genotype.from_architecture(architecture)
        return CellNetwork(
            genotype,
            input_shape,
            classes,
            self.channels if channels is None else channels,
            self.cells if cells is None else cells,
            auxiliary=auxiliary,
        )

    def supernet(self, input_shape: tuple[int, int, int], classes: int, fan_out: FanOutFactory) -> Supernet:
        require(self.cells >= 3, f"space {self.name}: a supernet needs 3 cells to have a normal one, not {self.cells}")
        return Supernet(self.choices, input_shape, classes, self.channels, self.cells, fan_out)
