"""The NASNet space: a normal and a reduction cell, each of a few blocks of two operations.

Reference: Zoph et al., Learning Transferable Architectures for Scalable Image Recognition, CVPR 2018,
arXiv:1707.07012, sec. 3.1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property

from nas_cli.architecture import Architecture, CellGraph, Value
from nas_cli.errors import InputError, nearest, require
from nas_cli.networks.blocks import CELLS, COMBINATIONS, INPUTS, Block, BlockCell, cells_of, to_architecture
from nas_cli.networks.conversion import to_blocks
from nas_cli.networks.genotype import Genotype, is_cell
from nas_cli.networks.nasnet import NasNetNetwork, Skeleton, granularity
from nas_cli.networks.nasnet_operations import make_operation
from nas_cli.networks.stems import StemName
from nas_cli.seeding import seeded
from nas_cli.spaces.base import NetworkSpace
from nas_cli.spaces.decisions import Categorical, Decision
from nas_cli.spaces.graphs import SUM, LabelledGraph, labelled_graph
from nas_cli.spaces.tokens import Choice, Token

DOUBLINGS = 4  # of the filters, from the first cells to the last: two reductions
NEAR = 0.05  # how far a width may be off what was asked for: cells of five states come in steps of 40 or 80


class NasNetSpace(NetworkSpace):
    """Two cells of blocks; each block reads two earlier states by an operation each and combines what they make.

    Its decisions are, block by block, ``hidden_1``, ``hidden_2``, ``operation_1``, ``operation_2`` and ``combine``,
    the normal cell's first. An architecture is written as the texts of its cells (`nas_cli.networks.blocks`).

    Args:
        operations: candidates, ours (`nas_cli.networks.nasnet_operations`) or dotted paths of a user's own.
        combinations: how a block may combine: ``add``, ``concat``.
        blocks: B of a cell. Paper: 5.
        channels: F of the first normal cells, doubled at each of two reductions. Paper: 32 in 6 @ 768.
        cells: N, normal cells in each of three stages. Paper: 2 in the search, 4 to 7 after it.
        stem: the skeleton: ``cifar``, or ``imagenet`` with two more reduction cells before the first normal one.
    """

    def __init__(
        self,
        name: str,
        operations: Sequence[str],
        combinations: Sequence[str] = COMBINATIONS,
        blocks: int = 5,
        channels: int = 8,
        cells: int = 1,
        stem: StemName = "cifar",
    ) -> None:
        super().__init__(name)
        require(blocks >= 1, f"blocks must be at least 1, not {blocks}")
        for option, values in (("operations", operations), ("combinations", combinations)):
            require(bool(values), f"{option}: at least one is needed")
            require(len(set(values)) == len(values), f"{option}: one stands twice in {', '.join(values)}")
        for combination in combinations:
            if combination not in COMBINATIONS:
                raise InputError(
                    f"combinations: {combination} is not one of {', '.join(COMBINATIONS)}"
                    f"{nearest(combination, COMBINATIONS)}"
                )
        with seeded(0, "operations"):  # made only to see whether they can be, at no cost to the global generator
            for operation in operations:
                make_operation(operation, 2, 2, 1)  # raises for an unknown one
        self.skeleton = Skeleton(stem, channels, cells)
        self.operations, self.combinations, self.blocks = tuple(operations), tuple(combinations), blocks

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        found: list[Decision] = []
        for kind in CELLS:
            for number in range(INPUTS, INPUTS + self.blocks):
                found += [Categorical(f"{kind}/{number}/hidden_{which}", tuple(range(number))) for which in (1, 2)]
                found += [Categorical(f"{kind}/{number}/operation_{which}", self.operations) for which in (1, 2)]
                found.append(Categorical(f"{kind}/{number}/combine", self.combinations))
        return tuple(found)

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Five heads shared by all blocks of both cells; that of the states is as wide as the last block needs."""
        width = INPUTS + self.blocks - 1
        found: list[Token] = []
        for _ in CELLS:
            for number in range(INPUTS, INPUTS + self.blocks):
                allowed = None if number == width else tuple(range(number))
                found += [Choice(f"hidden_{which}", width, allowed) for which in (1, 2)]
                found += [Choice(f"operation_{which}", len(self.operations)) for which in (1, 2)]
                found.append(Choice("combine", len(self.combinations)))
        return tuple(found)

    def decode(self, values: Sequence[Value]) -> Architecture:
        remaining = iter(values)

        def block() -> Block:
            one, other, first, second, combine = (next(remaining) for _ in range(5))
            return Block((str(first), int(one or 0)), (str(second), int(other or 0)), str(combine))

        cells = {kind: BlockCell(tuple(block() for _ in range(self.blocks))) for kind in CELLS}
        return to_architecture(self.name, cells)

    def encode(self, architecture: Architecture) -> tuple[Value, ...]:
        values: list[Value] = []
        for cell in cells_of(architecture).values():
            if cell.concat is not None:
                raise InputError(f"space {self.name}: unread blocks make the output of a cell, unlike {cell}")
            for block in cell.blocks:
                (first, one), (second, other) = block.pairs
                values += [one, other, first, second, block.combine]
        if len(values) != len(self.decisions):
            raise InputError(f"space {self.name}: a cell has {self.blocks} blocks, unlike {architecture.decisions[0]}")
        return self._checked(values)

    def adopt(self, architecture: Architecture) -> Architecture:
        """Also cells of nodes, as DARTS' are, where each has two inputs (`nas_cli.networks.conversion`)."""
        if architecture.space != self.name and any(is_cell(str(text)) for text in architecture.decisions):
            cells = {kind: to_blocks(cell) for kind, cell in Genotype.from_architecture(architecture).by_type().items()}
            return to_architecture(self.name, cells)
        return super().adopt(architecture)

    def describe(self, architecture: Architecture) -> str:
        return "\n".join(f"{kind}: {cell}" for kind, cell in cells_of(architecture).items())

    def graphs(self, architecture: Architecture) -> list[CellGraph]:
        return [cell.graph(CELLS[kind]) for kind, cell in cells_of(architecture).items()]

    def labelled_graph(self, architecture: Architecture) -> LabelledGraph:
        """The cells as one graph in which a node is called by how its block combines: ``add`` or ``concat``."""
        graph = labelled_graph(self.graphs(architecture))
        # No block is on no way to the output, so that all of them are there, in order.
        combines = iter([block.combine for cell in cells_of(architecture).values() for block in cell.blocks])
        labels = [
            f"{label.removesuffix(SUM)}{next(combines)}" if label.endswith(SUM) else label for label in graph.labels
        ]
        return dataclasses.replace(graph, labels=tuple(labels))

    def build(  # type: ignore[override]  # it names what the interface leaves open
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        classes: int,
        channels: int | None = None,
        cells: int | None = None,
        auxiliary: bool = False,
        stem: StemName | None = None,
        penultimate: int | None = None,
        stem_filters: int = 32,
        skip_reduction_input: bool = False,
        dropout: float = 0.0,
        drop_path_by_depth: bool = True,
        norm_momentum: float = 0.1,
        norm_epsilon: float = 1e-5,
    ) -> NasNetNetwork:
        """The network of any cells of blocks, also of published ones that are no members of this space.

        Args:
            channels, cells, stem: as of the space, whose own they are where left out.
            penultimate: P of the paper's N @ P, filters of the layer before the classifier, in place of `channels`:
                F = P / (4 · states that the normal cell concatenates), rounded by at most 5 % to what can be halved.
            stem_filters, skip_reduction_input: as of `Skeleton`.
            auxiliary, dropout, drop_path_by_depth, norm_momentum, norm_epsilon: as of `NasNetNetwork`.
        """
        found = cells_of(architecture)
        stem = self.skeleton.stem if stem is None else stem
        if penultimate is not None:
            require(channels is None, f"channels={channels} and penultimate={penultimate} both set the width; give one")
            step = granularity(stem)
            each = DOUBLINGS * len(found["normal"].outputs)
            channels = max(step, step * round(penultimate / (each * step)))
            is_near = abs(each * channels - penultimate) <= NEAR * penultimate
            require(is_near, f"penultimate={penultimate}: this cell makes multiples of {each * step}")
        skeleton = Skeleton(
            stem,
            self.skeleton.channels if channels is None else channels,
            self.skeleton.cells if cells is None else cells,
            stem_filters,
            skip_reduction_input,
        )
        return NasNetNetwork(
            found,
            input_shape,
            classes,
            skeleton,
            auxiliary,
            dropout,
            drop_path_by_depth,
            norm_momentum,
            norm_epsilon,
        )
