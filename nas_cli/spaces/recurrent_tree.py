"""The space of recurrent cells of Zoph and Le: trees of elementwise steps with a cell state.

Reference: Zoph and Le, Neural Architecture Search with Reinforcement Learning, ICLR 2017, arXiv:1611.01578, sec. 3.4
and 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import cast

from torch import nn

from nas_cli.architecture import Architecture, CellGraph, Value
from nas_cli.errors import InputError, require
from nas_cli.networks.recurrent import Dropouts, LanguageModel, activation
from nas_cli.networks.recurrent_tree import TreeCell, TreeLayer, combination
from nas_cli.networks.recurrent_tree_genotype import TreeGenotype
from nas_cli.spaces.decisions import Categorical, Decision
from nas_cli.spaces.language import LanguageSpace
from nas_cli.spaces.tokens import Choice, Token


class RecurrentTreeSpace(LanguageSpace):
    """A cell whose nodes each choose a combination and an activation, with a cell state injected into one of them.

    An architecture is written as the text of its cell (`nas_cli.networks.recurrent_tree_genotype`).

    Args:
        base: leaves of the tree. Paper: 8.
        combinations: candidates of every node and of the injection.
        activations: the same.
        hidden: size of embedding and states. Paper: so that the model has about 20 million weights.
        layers: cells on top of each other, all of one architecture. Paper: 2.
    """

    def __init__(
        self,
        name: str,
        base: int = 2,
        combinations: Sequence[str] = ("add", "mul"),
        activations: Sequence[str] = ("identity", "tanh", "sigmoid", "relu"),
        hidden: int = 64,
        layers: int = 1,
    ) -> None:
        super().__init__(name)
        for option, number in (("base", base), ("hidden", hidden), ("layers", layers)):
            require(number >= 1, f"{option} must be at least 1, not {number}")
        for option, names in (("combinations", combinations), ("activations", activations)):
            require(len(names) > 0, f"{option}: at least one is needed")
            require(len(set(names)) == len(names), f"{option}: one stands twice in {', '.join(names)}")
        for known, names in ((combination, combinations), (activation, activations)):
            for each in names:
                known(each)  # raises for an unknown one
        self.base = base
        self.combinations, self.activations = tuple(combinations), tuple(activations)
        self.hidden = hidden
        self.layers = layers

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        found: list[Decision] = []
        nodes = range(2 * self.base - 1)
        for prefix in (*nodes, "inject"):
            found.append(Categorical(f"{prefix}/combine", self.combinations))
            found.append(Categorical(f"{prefix}/activation", self.activations))
        return (*found, Categorical("c_out", tuple(nodes)), Categorical("c_in", tuple(nodes)))

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """As the interface says; all nodes share their heads, the injection has its own."""
        step = (Choice("combine", len(self.combinations)), Choice("activation", len(self.activations)))
        inject = (Choice("inject_combine", len(self.combinations)), Choice("inject_activation", len(self.activations)))
        nodes = 2 * self.base - 1
        return (*(nodes * step), *inject, Choice("c_out", nodes), Choice("c_in", nodes))

    def decode(self, values: Sequence[Value]) -> Architecture:
        *steps, c_out, c_in = values
        *nodes, inject = zip(map(str, steps[::2]), map(str, steps[1::2]), strict=True)
        genotype = TreeGenotype(tuple(nodes), inject, cast(int, c_out), cast(int, c_in))
        return Architecture(self.name, (str(genotype),))

    def encode(self, architecture: Architecture) -> tuple[Value, ...]:
        genotype = genotype_of(architecture)
        if genotype.base != self.base:
            raise InputError(f"a cell of space {self.name} has {self.base} leaves, this one {genotype.base}")
        steps = [part for step in (*genotype.nodes, genotype.inject) for part in step]
        values: tuple[Value, ...] = (*steps, genotype.c_out, genotype.c_in)
        return self._checked(values)

    def describe(self, architecture: Architecture) -> str:
        return f"recurrent tree: {genotype_of(architecture)}"

    def graphs(self, architecture: Architecture) -> list[CellGraph]:
        return [genotype_of(architecture).graph("recurrent tree")]

    def build(self, architecture: Architecture, words: int, hidden: int | None, dropouts: Dropouts) -> LanguageModel:
        """The language model of any tree cell, also of one with another base than this space has."""
        size = self.hidden if hidden is None else hidden
        genotype = genotype_of(architecture)
        cells = nn.ModuleList(TreeCell(genotype, size) for _ in range(self.layers))
        return LanguageModel(cells, words, size, dropouts, TreeLayer)


def genotype_of(architecture: Architecture) -> TreeGenotype:
    """The cell of an architecture whose one decision is its text. Raises `InputError` for any other."""
    texts = architecture.decisions
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise InputError(
            f"an architecture of {architecture.space} has one decision, the text of its cell, not {list(texts)}"
        )
    return TreeGenotype.parse(texts[0])
