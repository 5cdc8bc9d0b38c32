"""Partial channels with edge normalisation: the mixing of PC-DARTS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from nas_cli.errors import require
from nas_cli.networks.choices import CellChoices, Nodes
from nas_cli.networks.mixed import MakeOperation
from nas_cli.networks.partial import PartialFanOut
from nas_cli.strategies.gradient.mixing import Mixing, Parameters, normal_rows

EDGES, TARGETS = "edges/", "targets/"  # prefixes of what stands beside the operations' own parameters


class PartialChannels(Mixing):
    """Mixes operations on one channel in `share`; the edges of a node are weighed by a second softmax.

    Args:
        share: K: 1/K of the channels are mixed. Paper: 4 on CIFAR-10, 2 on ImageNet.
        edge_normalisation: whether edges have parameters of their own (β); without, each weighs 1.
        selection: which channels are mixed: the ``first``, then shuffled (released code), or a ``random`` draw in each
            pass (the paper's text).
        initial_scale: standard deviation of the initial parameters. Released code: 1e-3.
    Reference: Xu et al., PC-DARTS, ICLR 2020, arXiv:1907.05737, eqs. 2 and 3.
    """

    scaling = slice(-1, None)  # the edge's own weight is a factor of mixed and passed channels

    def __init__(
        self,
        share: int = 4,
        edge_normalisation: bool = True,
        selection: Literal["first", "random"] = "first",
        initial_scale: float = 1e-3,
    ) -> None:
        require(share >= 1, f"share must be at least 1, not {share}")
        self.share = share
        self.edge_normalisation = edge_normalisation
        self.selection: Literal["first", "random"] = selection
        self.initial_scale = initial_scale

    def initial(self, choices: CellChoices) -> dict[str, Tensor]:
        found = normal_rows(choices, self.initial_scale)
        if self.edge_normalisation:
            found |= {
                EDGES + kind: self.initial_scale * torch.randn(len(open_.edges)) for kind, open_ in choices.items()
            }
        return found

    def fixed(self, choices: CellChoices) -> dict[str, Tensor]:
        return {TARGETS + kind: torch.tensor([target for _, target in open_.edges]) for kind, open_ in choices.items()}

    def weights(self, parameters: Parameters) -> dict[str, Tensor]:
        return {
            kind: torch.cat([parameters[kind].softmax(dim=-1), edges[:, None]], dim=1)
            for kind, edges in self._edges(parameters).items()
        }

    def probabilities(self, parameters: Parameters) -> dict[str, Tensor]:
        return {kind: parameters[kind].softmax(dim=-1) for kind in self._edges(parameters)}

    def strengths(self, parameters: Parameters) -> dict[str, Tensor]:
        edges = self._edges(parameters)
        return {kind: (rows * edges[kind][:, None]).detach() for kind, rows in self.probabilities(parameters).items()}

    def discrete_weights(self, choices: CellChoices, cells: Mapping[str, Nodes]) -> dict[str, Tensor]:
        kept = super().discrete_weights(choices, cells)
        return {kind: torch.cat([rows, rows.amax(dim=1, keepdim=True)], dim=1) for kind, rows in kept.items()}

    def fan_out(
        self, operations: Sequence[Sequence[str]], channels: int, stride: int, make: MakeOperation
    ) -> nn.Module:
        return PartialFanOut(operations, channels, stride, make, self.share, self.selection)

    def _edges(self, parameters: Parameters) -> dict[str, Tensor]:
        """For each type of cell the weight of each edge, (edges,): a softmax over the edges into its node."""
        found = {}
        for name, targets in parameters.items():
            if not name.startswith(TARGETS):
                continue
            kind = name.removeprefix(TARGETS)
            rows = parameters[kind]
            if not self.edge_normalisation:
                found[kind] = rows.new_ones(len(targets))
                continue
            logits = parameters[EDGES + kind]
            together = targets[:, None] == targets  # (edges, edges): whether two end in the same node
            found[kind] = (logits - torch.where(together, logits, -torch.inf).logsumexp(dim=1)).exp()
        return found
