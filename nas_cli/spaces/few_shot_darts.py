"""The cells of DARTS in the small networks of T-NAS.

Reference: Lian et al., Towards Fast Adaptation of Neural Architectures with Meta Learning, ICLR 2020, sec. 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import nn

from nas_cli.architecture import Architecture, CellGraph, Value
from nas_cli.errors import require
from nas_cli.networks.choices import CellChoices, Nodes
from nas_cli.networks.few_shot import FewShotNetwork, FewShotSupernet
from nas_cli.networks.genotype import Genotype
from nas_cli.networks.supernet import FanOutFactory
from nas_cli.spaces.base import SupernetSpace
from nas_cli.spaces.darts import DartsSpace
from nas_cli.spaces.decisions import Decision


class FewShotDarts(SupernetSpace):
    """Two DARTS cells, one after the other behind a stem that halves the image twice.

    Args:
        operations: candidates of every edge, as of `DartsSpace`.
        nodes: inner nodes of a cell. Paper: 4.
        channels: C of the normal cell, twice that in the reduction cell. Paper: 16.
    """

    def __init__(self, name: str, operations: Sequence[str], nodes: int = 4, channels: int = 16) -> None:
        super().__init__(name)
        self._pairs = DartsSpace(name, operations, nodes, channels)  # what a pair of cells is, is the same
        self.channels = channels

    @property
    def choices(self) -> CellChoices:
        return {kind: replace(open_, repeats=1) for kind, open_ in self._pairs.choices.items()}

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return self._pairs.decisions

    def decode(self, values: Sequence[Value]) -> Architecture:
        return self._pairs.decode(values)

    def encode(self, architecture: Architecture) -> tuple[Value, ...]:
        return self._pairs.encode(architecture)

    def from_cells(self, cells: Mapping[str, Nodes]) -> Architecture:
        return self._pairs.from_cells(cells)

    def describe(self, architecture: Architecture) -> str:
        return self._pairs.describe(architecture)

    def graphs(self, architecture: Architecture) -> list[CellGraph]:
        return self._pairs.graphs(architecture)

    def build(  # type: ignore[override]  # it names what the interface leaves open
        self, architecture: Architecture, input_shape: tuple[int, int, int], classes: int, channels: int | None = None
    ) -> nn.Module:
        genotype = Genotype.from_architecture(architecture)
        return FewShotNetwork(genotype, input_shape, classes, self.channels if channels is None else channels)

    def supernet(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        fan_out: FanOutFactory,
        choices: CellChoices | None = None,
        cells: int | None = None,
    ) -> FewShotSupernet:
        require(cells in (None, 2), f"space {self.name}: a supernet has 2 cells, not {cells}")
        return FewShotSupernet(
            self.choices if choices is None else choices, input_shape, classes, self.channels, fan_out
        )
