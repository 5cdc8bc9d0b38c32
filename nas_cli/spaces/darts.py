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
from nas_cli.networks.blocks import cells_of, is_block_cell
from nas_cli.networks.cell_network import CellNetwork
from nas_cli.networks.choices import NONE, CellChoices, Choices, Nodes, all_pairs
from nas_cli.networks.conversion import to_nodes
from nas_cli.networks.genotype import (
    INPUTS,
    Cell,
    Genotype,
    from_architecture,
    layer_types,
    node_text,
    parse_node,
)
from nas_cli.networks.operations import make_operation
from nas_cli.networks.stems import StemName
from nas_cli.networks.supernet import FanOutFactory, Supernet
from nas_cli.seeding import seeded
from nas_cli.spaces.base import SupernetSpace
from nas_cli.spaces.decisions import Categorical, Decision

CELLS = ("normal", "reduce")


class DartsSpace(SupernetSpace):
    """Two cells, in which every node chooses two different earlier nodes and an operation for each.

    Its decisions are, for each cell and node, which pair of sources (``0,2``) and the two operations; where operations
    differ from edge to edge a node is one decision (``skip_connect:0 + dil_conv_3x3:2``). An architecture is written
    as the texts of its cells (`nas_cli.networks.genotype`).

    Args:
        operations: candidates of every edge, in the order of the columns of the architecture parameters; or for
            ``normal`` and ``reduce`` cells a list for each edge, target by target, then by source, all equally long.
            `none` competes in a supernet and is never chosen.
        nodes: inner nodes of a cell. Paper: 4.
        channels: of the first cells of networks and supernets. Paper: 16 in the search, 36 in the evaluation.
        cells: their depth. Paper: 8 in the search, 20 in the evaluation.
        shared_cells: whether all cells of a type are the same one. If not, each layer decides for itself, and networks
            of an architecture have the depth that it was searched with.
        stem: first layers of networks and supernets: ``cifar`` keeps the side of the images, ``imagenet`` halves it
            three times.
    """

    def __init__(
        self,
        name: str,
        operations: Sequence[str] | Mapping[str, Sequence[Sequence[str]]],
        nodes: int = 4,
        channels: int = 8,
        cells: int = 4,
        shared_cells: bool = True,
        stem: StemName = "cifar",
    ) -> None:
        super().__init__(name)
        require(nodes >= 1, f"nodes must be at least 1, not {nodes}")
        require(channels >= 2 and channels % 2 == 0, f"channels must be even and at least 2, not {channels}")
        require(cells >= 1, f"cells must be at least 1, not {cells}")
        self.edges = all_pairs(INPUTS, nodes)
        self.operations = _by_type(operations, len(self.edges))
        self.nodes = nodes
        self.channels = channels
        self.cells = cells
        self.shared_cells = shared_cells
        self.stem: StemName = stem

    @cached_property
    def choices(self) -> CellChoices:
        """The edges and candidates of a supernet's cells: 14 rows of 8 in the paper."""
        layers = layer_types(self.cells)
        if not self.shared_cells:
            return {layer: Choices(self.edges, self.operations[layer.partition("_")[0]]) for layer in layers}
        counts = {kind: sum(layer.startswith(kind) for layer in layers) for kind in CELLS}
        return {kind: Choices(self.edges, self.operations[kind], repeats=counts[kind]) for kind in CELLS}

    @cached_property
    def _edges_are_alike(self) -> bool:
        """Whether operations can be chosen without regard to the edge."""
        return all(len(set(rows)) == 1 for rows in self.operations.values())

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        found: list[Decision] = []
        for (kind, open_), node in itertools.product(self.choices.items(), range(INPUTS, INPUTS + self.nodes)):
            # A node has an edge from every earlier one: the row of source s is the s-th.
            allowed = [[open_.operations[row][k] for k in open_.allowed(row)] for row in open_.rows_into(node)]
            pairs = list(itertools.combinations(range(node), 2))
            if self._edges_are_alike:
                found.append(Categorical(f"{kind}/{node}/sources", tuple(f"{a},{b}" for a, b in pairs)))
                found += [Categorical(f"{kind}/{node}/operation_{which}", tuple(allowed[0])) for which in (1, 2)]
            else:
                inputs = [
                    node_text(((first, a), (second, b)))
                    for a, b in pairs
                    for first, second in itertools.product(allowed[a], allowed[b])
                ]
                found.append(Categorical(f"{kind}/{node}/inputs", tuple(inputs)))
        return tuple(found)

    def decode(self, values: Sequence[Value]) -> Architecture:
        texts = map(str, values)

        def node() -> tuple[tuple[str, int], ...]:
            if not self._edges_are_alike:
                return parse_node(next(texts))
            sources = [int(source) for source in next(texts).split(",")]
            return tuple((next(texts), source) for source in sources)

        return self.from_cells({kind: tuple(node() for _ in range(self.nodes)) for kind in self.choices})

    def encode(self, architecture: Architecture) -> tuple[Value, ...]:
        cells = from_architecture(architecture).by_type()
        if list(cells) != list(self.choices):
            raise InputError(f"space {self.name} has the cells {', '.join(self.choices)}, not {', '.join(cells)}")
        values: list[Value] = []
        for cell in cells.values():
            for node in cell.nodes:
                if len(node) != 2:
                    raise InputError(f"space {self.name}: a node has two inputs, not {len(node)}, in {cell}")
                (first, low), (second, high) = pair = sorted(node, key=lambda pair: pair[1])
                values += [f"{low},{high}", first, second] if self._edges_are_alike else [node_text(tuple(pair))]
        if len(values) != len(self.decisions):
            raise InputError(f"space {self.name}: a cell has {self.nodes} nodes, unlike {architecture.decisions[0]}")
        return self._checked(values)

    def adopt(self, architecture: Architecture) -> Architecture:
        """Also cells of blocks, as far as nodes can say what they do (`nas_cli.networks.conversion`)."""
        if any(is_block_cell(str(text)) for text in architecture.decisions):
            cells = {kind: to_nodes(cell) for kind, cell in cells_of(architecture).items()}
            return Genotype(**cells).to_architecture(self.name)
        return super().adopt(architecture)

    def from_cells(self, cells: Mapping[str, Nodes]) -> Architecture:
        concat = tuple(range(INPUTS, INPUTS + self.nodes))
        return Architecture(self.name, tuple(str(Cell(cells[kind], concat)) for kind in self.choices))

    def describe(self, architecture: Architecture) -> str:
        cells = from_architecture(architecture).by_type()
        return "\n".join(f"{kind}: {cell}" for kind, cell in cells.items())

    def graphs(self, architecture: Architecture) -> list[CellGraph]:
        cells = from_architecture(architecture).by_type()
        return [cell.graph(_title(kind)) for kind, cell in cells.items()]

    def build(  # type: ignore[override]  # it names what the interface leaves open
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        classes: int,
        channels: int | None = None,
        cells: int | None = None,
        auxiliary: bool = False,
        stem: StemName | None = None,
        auxiliary_norm: bool = True,
    ) -> nn.Module:
        """The derived network of any cells, also of published ones that are no members of this space.

        Args:
            auxiliary: whether to add the auxiliary head where the images are large enough.
            stem, auxiliary_norm: as of `CellNetwork`.
        """
        genotype, depth = from_architecture(architecture), self.cells if cells is None else cells
        if not isinstance(genotype, Genotype):
            layers = len(genotype.cells)
            require(
                layers == depth, f"an architecture of {layers} layers makes networks of cells={layers}, not {depth}"
            )
        return CellNetwork(
            genotype,
            input_shape,
            classes,
            self.channels if channels is None else channels,
            depth,
            auxiliary=auxiliary,
            stem=self.stem if stem is None else stem,
            auxiliary_norm=auxiliary_norm,
        )

    def supernet(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        fan_out: FanOutFactory,
        choices: CellChoices | None = None,
        cells: int | None = None,
    ) -> Supernet:
        depth = self.cells if cells is None else cells
        self.check_depth(depth)
        open_ = self.choices if choices is None else choices
        return Supernet(open_, input_shape, classes, self.channels, depth, fan_out, self.stem)

    def check_depth(self, cells: int) -> None:
        require(cells >= 3, f"space {self.name}: a supernet needs 3 cells to have a normal one, not {cells}")
        require(
            self.shared_cells or cells == self.cells,
            f"space {self.name}: with a cell for each of {self.cells} layers a supernet cannot have {cells}",
        )


def _by_type(
    operations: Sequence[str] | Mapping[str, Sequence[Sequence[str]]], edges: int
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """For each type of cell the candidates of each edge. Raises `InputError` for lists that make no space."""
    lists = operations if isinstance(operations, Mapping) else dict.fromkeys(CELLS, [operations] * edges)
    require(set(lists) == set(CELLS), f"operations: has lists for {', '.join(lists)}, not for {' and '.join(CELLS)}")
    found = {kind: tuple(tuple(row) for row in lists[kind]) for kind in CELLS}
    for kind, rows in found.items():
        require(len(rows) == edges, f"operations.{kind}: needs a list for each of {edges} edges, not {len(rows)}")
        require(len(set(map(len, rows))) == 1, f"operations.{kind}: all edges need equally many")
        for row in rows:
            require(len(set(row)) == len(row), f"operations: one stands twice in {', '.join(row)}")
            require(set(row) != {NONE} and bool(row), "operations: at least one other than none is needed")
    with seeded(0, "operations"):  # made only to see whether they can be, at no cost to the global generator
        for operation in {operation for rows in found.values() for row in rows for operation in row}:
            make_operation(operation, 2, 1, affine=True)  # raises for an unknown one
    return found


def _title(kind: str) -> str:
    """What stands above the picture of a cell of this type."""
    base, _, layer = kind.partition("_")
    title = {"normal": "normal cell", "reduce": "reduction cell"}[base]
    return f"{title}, layer {layer}" if layer else title
