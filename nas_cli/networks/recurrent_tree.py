"""The recurrent cell of Zoph and Le, a tree of elementwise steps, and its unrolling.

Reference: Zoph and Le, Neural Architecture Search with Reinforcement Learning, ICLR 2017, arXiv:1611.01578, sec. 3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from nas_cli.errors import InputError, nearest
from nas_cli.networks.recurrent import Dropouts, UnrolledLayer, activation, masked, uniform
from nas_cli.networks.recurrent_tree_genotype import Step, TreeGenotype

#: How a node can combine its two inputs.
COMBINATIONS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"add": torch.add, "mul": torch.mul}


def combination(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The combination of a name. Raises `InputError` for an unknown one."""
    if name not in COMBINATIONS:
        known = ", ".join(COMBINATIONS)
        raise InputError(f"{name}: no such combination{nearest(name, COMBINATIONS)}; there are {known}")
    return COMBINATIONS[name]


class TreeCell(nn.Module):
    """One step of a tree cell.

    Leaf i combines x_t U_i with h_{t-1} V_i, an inner node its two children, without weights; each then applies its
    activation. Behind the activation of node `c_in` the value becomes act(comb(value, c_{t-1})). h_t is the root's
    value, c_t that of node `c_out` before its activation (and so before an injection into the same node).

    Args:
        genotype: combinations, activations and the two indices.
        size: H, of input and states.
    Shape:
        projected: x_t U, (batch, leaves * size); hidden, cell: (batch, size) both; mask: of h_{t-1}, the same, or None
        returns: h_t and c_t, (batch, size) both
    Raises `InputError` for an unknown combination or activation.
    """

    def __init__(self, genotype: TreeGenotype, size: int) -> None:
        super().__init__()
        self.genotype = genotype
        self.steps = [_made(step) for step in genotype.nodes]
        self.inject = _made(genotype.inject)
        self.from_input = uniform(size, genotype.base * size)  # U_0, U_1, … side by side
        self.from_hidden = uniform(size, genotype.base * size)

    def forward(self, projected: Tensor, hidden: Tensor, cell: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        base = self.genotype.base
        pairs = zip(
            projected.chunk(base, dim=-1),
            (masked(hidden, mask) @ self.from_hidden).chunk(base, dim=-1),
            strict=True,
        )
        values: list[Tensor] = []
        next_cell = cell
        for node, (combine, apply) in enumerate(self.steps):
            first, second = next(pairs) if node < base else (values[child] for child in self.genotype.children(node))
            before = combine(first, second)
            if node == self.genotype.c_out:
                next_cell = before
            value = apply(before)
            if node == self.genotype.c_in:
                combine_cell, apply_again = self.inject
                value = apply_again(combine_cell(value, cell))
            values.append(value)
        return values[-1], next_cell


def _made(step: Step) -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]:
    return combination(step[0]), activation(step[1])


class TreeLayer(UnrolledLayer):
    """Tree cells unrolled over a window, each reading the hidden states of the one below.

    Args:
        cells: a list of `TreeCell`, from the input to the decoder.
        size: of input and states.
        dropouts: of which `input` (of every cell's input) and `hidden` are meant.
    Shape:
        x: (steps, batch, size); state: (2 * cells, batch, size), h and c of each cell
        returns: (steps, 2 * cells, batch, size), all states
    """

    def __init__(self, cells: nn.Module, size: int, dropouts: Dropouts) -> None:
        super().__init__()
        self.cells = cells
        self.size = size
        self.dropouts = dropouts

    @property
    def _each(self) -> list[TreeCell]:
        return cast(list[TreeCell], list(self.cells.children()))

    def start(self, x: Tensor) -> Tensor:
        return x.new_zeros(2 * len(self._each), *x.shape[1:])

    def output(self, states: Tensor) -> Tensor:
        return states[:, -2]

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        found = []
        for cell, hidden, memory in zip(self._each, state[::2], state[1::2], strict=True):
            hidden_mask = self._mask(hidden, self.dropouts.hidden)
            # The input's part of the products is the same work for all steps at once.
            projected = masked(x, self._mask(x[0], self.dropouts.input)) @ cell.from_input
            steps = []
            for step in projected.unbind():
                hidden, memory = cell(step, hidden, memory, hidden_mask)
                steps.append((hidden, memory))
            found += [torch.stack(part) for part in zip(*steps, strict=True)]
            x = found[-2]
        return torch.stack(found, dim=1)
