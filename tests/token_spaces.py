"""Small spaces whose tokens have every kind: ENAS's recurrent and macro ones, and a chain that can grow."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical, Decision, When
from nas_cli.spaces.tokens import Choice, Pointer, Subset, Tick, Token


class Tokens(Space):
    """A space of nothing but decisions and tokens."""

    def __init__(self, decisions: list[Decision], tokens: list[Token]) -> None:
        super().__init__("tokens")
        self._decisions, self._tokens = tuple(decisions), tuple(tokens)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return self._decisions

    @property
    def tokens(self) -> tuple[Token, ...]:
        return self._tokens


def recurrent(nodes: int) -> Tokens:
    """ENAS's recurrent cell: an activation of four for each node, and from the second on a previous node."""
    decisions: list[Decision] = [Categorical("act_1", tuple("abcd"))]
    tokens: list[Token] = [Tick(), Choice("act", 4)]
    for node in range(2, nodes + 1):
        decisions.append(Categorical(f"from_{node}", tuple(range(1, node))))
        decisions.append(Categorical(f"act_{node}", tuple("abcd")))
        tokens += [Pointer("from", anchor=True), Choice("act", 4)]
    return Tokens(decisions, tokens)


def macro(layers: int, operations: int) -> Tokens:
    """ENAS's macro networks: an operation a layer, and from the second on any of the layers before."""
    decisions: list[Decision] = []
    tokens: list[Token] = []
    for layer in range(1, layers + 1):
        decisions.append(Categorical(f"op_{layer}", tuple(range(operations))))
        decisions += [Categorical(f"skip_{layer}_{k}", (0, 1)) for k in range(1, layer)]
        tokens += [Choice("op", operations), Tick() if layer == 1 else Subset("skips", anchor=True)]
    return Tokens(decisions, tokens)


def micro(blocks: int) -> Tokens:
    """NASNet's cells: in each of two, per block two states among those so far, two operations, how they combine."""
    decisions: list[Decision] = []
    tokens: list[Token] = []
    for cell, block in itertools.product("nr", range(blocks)):
        for part in (1, 2):
            decisions.append(Categorical(f"{cell}{block}_state_{part}", tuple(range(block + 2))))
            tokens.append(Choice("state", blocks + 1, tuple(range(block + 2))))
        for part in (1, 2):
            decisions.append(Categorical(f"{cell}{block}_op_{part}", tuple(range(13))))
            tokens.append(Choice("op", 13))
        decisions.append(Categorical(f"{cell}{block}_combine", ("add", "concat")))
        tokens.append(Choice("combine", 2))
    return Tokens(decisions, tokens)


def pointed(nodes: int) -> Tokens:
    """One of ENAS's cells: two inputs; each node reads two states so far by an operation of five each."""
    decisions: list[Decision] = []
    tokens: list[Token] = [Tick(), Tick()]
    for node in range(nodes):
        for part in (1, 2):
            decisions.append(Categorical(f"{node}_state_{part}", tuple(range(node + 2))))
            tokens.append(Pointer("state"))
        for part in (1, 2):
            decisions.append(Categorical(f"{node}_op_{part}", tuple(range(5))))
            tokens.append(Choice("op", 5))
        tokens.append(Tick())
    return Tokens(decisions, tokens)


def chain(least: int, most: int, widths: int = 3) -> Tokens:
    """A chain of as many layers as its first decision says, each with a width and skips from the layers before."""
    decisions: list[Decision] = [Categorical("layers", tuple(range(least, most + 1)))]
    tokens: list[Token] = [Choice("layers", most - least + 1)]
    for layer in range(1, most + 1):
        deep = When("layers", tuple(range(layer, most + 1))) if layer > least else None
        decisions.append(Categorical(f"width_{layer}", tuple(range(widths)), when=deep))
        decisions += [Categorical(f"skip_{layer}_{k}", (0, 1), when=deep) for k in range(1, layer)]
        tokens += [Choice("width", widths), Tick() if layer == 1 else Subset("skips", anchor=True)]
    return Tokens(decisions, tokens)


def every_sequence(space: Space) -> Tensor:
    """All sequences of a space without conditions, (sequences, decisions)."""
    axes = [range(len(decision.values() or ())) for decision in space.decisions]
    return torch.tensor(list(itertools.product(*axes)))
