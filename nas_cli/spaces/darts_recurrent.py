"""The space of recurrent cells of DARTS: every node has one predecessor and one activation.

Reference: Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019, arXiv:1806.09055, sec. 3.1.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import cast

from nas_cli.architecture import Architecture, CellGraph, Value
from nas_cli.errors import CombinationError, InputError, require
from nas_cli.networks.choices import NONE, CellChoices, Choices, Nodes, all_pairs
from nas_cli.networks.recurrent import Dropouts, LanguageModel, RecurrentNodes, activation
from nas_cli.networks.recurrent_genotype import RecurrentGenotype
from nas_cli.networks.recurrent_supernet import RECURRENT, RecurrentSupernet
from nas_cli.spaces.decisions import Categorical, Decision
from nas_cli.spaces.language import LanguageSupernetSpace


class DartsRecurrentSpace(LanguageSupernetSpace):
    """A cell whose nodes each choose an earlier node and an activation; its output is the mean of all nodes.

    An architecture is written as the text of its cell (`nas_cli.networks.recurrent_genotype`).

    Args:
        operations: candidates, in the order of the columns of the architecture parameters. `none` competes in a
            supernet and is never chosen.
        nodes: of the cell, the one that joins input and hidden state not counted. Paper: 8.
        hidden: size of embedding and hidden state of networks and supernets. Paper: 300 in the search, 850 in the
            evaluation.
    """

    def __init__(self, name: str, operations: Sequence[str], nodes: int = 4, hidden: int = 64) -> None:
        super().__init__(name)
        require(nodes >= 1, f"nodes must be at least 1, not {nodes}")
        require(hidden >= 1, f"hidden must be at least 1, not {hidden}")
        require(len(set(operations)) == len(operations), f"operations: one stands twice in {', '.join(operations)}")
        require(set(operations) != {NONE} and bool(operations), "operations: at least one other than none is needed")
        self.operations = tuple(operations)
        self.activations = tuple(operation for operation in operations if operation != NONE)
        for operation in self.activations:
            activation(operation)  # raises for an unknown one
        self.nodes = nodes
        self.hidden = hidden

    @cached_property
    def choices(self) -> CellChoices:
        """The edges and candidates of a supernet's cell: 36 rows of 5 in the paper."""
        edges = all_pairs(1, self.nodes)
        return {RECURRENT: Choices(edges, (self.operations,) * len(edges), inputs=1)}

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        found: list[Decision] = []
        for node in range(1, self.nodes + 1):
            found.append(Categorical(f"{node}/predecessor", tuple(range(node))))
            found.append(Categorical(f"{node}/activation", self.activations))
        return tuple(found)

    def decode(self, values: Sequence[Value]) -> Architecture:
        pairs = zip(values[::2], values[1::2], strict=True)
        return self._architecture(tuple((str(activation), cast(int, source)) for source, activation in pairs))

    def encode(self, architecture: Architecture) -> tuple[Value, ...]:
        genotype = genotype_of(architecture)
        if len(genotype.nodes) != self.nodes or len(genotype.mean) != self.nodes:
            raise InputError(
                f"space {self.name}: a cell is the mean of all of its {self.nodes} nodes, unlike {genotype}"
            )
        values = tuple(value for activation, source in genotype.nodes for value in (source, activation))
        return self._checked(values)

    def from_cells(self, cells: Mapping[str, Nodes]) -> Architecture:
        """As the interface says. Raises `CombinationError` unless every node has one predecessor."""
        if any(len(node) != 1 for node in cells[RECURRENT]):
            counts = ", ".join(str(len(node)) for node in cells[RECURRENT])
            raise CombinationError(
                f"space={self.name}: a node has one predecessor with one activation, this derivation gives {counts}; "
                "take strategy/derivation=top_k"
            )
        return self._architecture(tuple(pair for node in cells[RECURRENT] for pair in node))

    def _architecture(self, nodes: tuple[tuple[str, int], ...]) -> Architecture:
        return Architecture(self.name, (str(RecurrentGenotype.of(nodes)),))

    def describe(self, architecture: Architecture) -> str:
        return f"recurrent: {genotype_of(architecture)}"

    def graphs(self, architecture: Architecture) -> list[CellGraph]:
        return [genotype_of(architecture).graph("recurrent cell")]

    def build(self, architecture: Architecture, words: int, hidden: int | None, dropouts: Dropouts) -> LanguageModel:
        """The language model of any recurrent cell, also of published ones that are no members of this space."""
        size = self.hidden if hidden is None else hidden
        return LanguageModel(RecurrentNodes(genotype_of(architecture), size), words, size, dropouts)

    def supernet(
        self, words: int, dropouts: Dropouts, batch_statistics: bool, choices: CellChoices | None = None
    ) -> RecurrentSupernet:
        return RecurrentSupernet(
            self.choices if choices is None else choices, words, self.hidden, dropouts, batch_statistics
        )


def genotype_of(architecture: Architecture) -> RecurrentGenotype:
    """The cell of an architecture whose one decision is its text. Raises `InputError` for any other."""
    texts = architecture.decisions
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise InputError(
            f"an architecture of {architecture.space} has one decision, the text of its cell, not {list(texts)}"
        )
    return RecurrentGenotype.parse(texts[0])
