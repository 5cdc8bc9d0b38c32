"""Switches on edges and operations: the mixing of BayesNAS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nas_cli.networks.choices import NONE, CellChoices, Choices, Nodes
from nas_cli.networks.mixed import MakeOperation
from nas_cli.networks.switched import EdgeSwitch, SwitchedFanOut
from nas_cli.strategies.gradient.mixing import Mixing, Parameters

# What stands beside the switches of a type of cell, each (edges, operations + 1), the last column the edge's:
VARIANCE = "variance/"  # of the prior: γ of an edge, γ̃ of an operation under its edge
OMEGA = "omega/"  # ω, the weight of a switch in the penalty
ALIVE = "alive/"  # 1, or 0 where the switch is off for good


class Switches(Mixing):
    """Every edge and every operation has a factor of its own, in every cell; nothing makes them sum to 1.

    All switches begin at 1, and so do their variances and ω, which all cells of a type share; a regulariser moves
    these (`ard`). `none` has a column like any other and is off from the start: an edge that is off is `none`.

    Args:
        edge_switch: whether an edge's switch is on the ``input`` of its operations (paper), where those that end in
            normalisation are blind to it while training, or on their ``output``.
        edges: for each type of cell the edges (source, target) that are on in the beginning; None: all. The released
            code has eight of the fourteen, see ``experiment/bayesnas/cifar10_released_edges``.
    Shape:
        parameters and edge weights: (cells of the type, edges, operations + 1), the last column the edges' switches
    Reference: Zhou, Yang, Wang, Pan, BayesNAS, ICML 2019, arXiv:1905.04919, sec. 3.
    """

    scaling = slice(None, -1)  # the operations': an edge's switch may stand before its normalisations

    def __init__(
        self, edge_switch: EdgeSwitch = "input", edges: Mapping[str, Sequence[Sequence[int]]] | None = None
    ) -> None:
        self.edge_switch: EdgeSwitch = edge_switch
        self.edges = edges

    def initial(self, choices: CellChoices) -> dict[str, Tensor]:
        return {
            kind: torch.ones(open_.repeats, len(open_.edges), open_.shape[1] + 1) for kind, open_ in choices.items()
        }

    def fixed(self, choices: CellChoices) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for kind, open_ in choices.items():
            alive = self._first(kind, open_)
            found |= {VARIANCE + kind: alive.clone(), OMEGA + kind: torch.ones_like(alive), ALIVE + kind: alive}
        return found

    def weights(self, parameters: Parameters) -> dict[str, Tensor]:
        return {kind: parameters[kind] * parameters[ALIVE + kind] for kind in _kinds(parameters)}

    def probabilities(self, parameters: Parameters) -> dict[str, Tensor]:
        """The variances of what is on, normalised on each edge; a row of zeros where the edge is off."""
        found = {}
        for kind in _kinds(parameters):
            rows = (parameters[VARIANCE + kind] * parameters[ALIVE + kind])[:, :-1]
            found[kind] = rows / rows.sum(dim=1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
        return found

    def strengths(self, parameters: Parameters) -> dict[str, Tensor]:
        """The variances; what is off has the one it was pruned at, below all that is on."""
        return {kind: parameters[VARIANCE + kind][:, :-1].clone() for kind in _kinds(parameters)}

    def discrete_weights(self, choices: CellChoices, cells: Mapping[str, Nodes]) -> dict[str, Tensor]:
        kept = super().discrete_weights(choices, cells)
        return {kind: torch.cat([rows, rows.amax(dim=1, keepdim=True)], dim=1) for kind, rows in kept.items()}

    def fan_out(
        self, operations: Sequence[Sequence[str]], channels: int, stride: int, make: MakeOperation
    ) -> nn.Module:
        return SwitchedFanOut(operations, channels, stride, make, self.edge_switch)

    def _first(self, kind: str, choices: Choices) -> Tensor:
        """Which switches are on in the beginning."""
        chosen = None if self.edges is None else {tuple(edge) for edge in self.edges[kind]}
        rows = [
            [float(name != NONE and (chosen is None or edge in chosen)) for name in names]
            for edge, names in zip(choices.edges, choices.operations, strict=True)
        ]
        operations = torch.tensor(rows)
        return torch.cat([operations, operations.amax(dim=1, keepdim=True)], dim=1)


def _kinds(parameters: Parameters) -> list[str]:
    return [name.removeprefix(ALIVE) for name in parameters if name.startswith(ALIVE)]
