"""How an edge mixes its operations: from architecture parameters to edge weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nas_cli.networks.choices import CellChoices
from nas_cli.networks.mixed import FanOut

#: Architecture parameters by name; for a plain mixing the type of cell.
Parameters = Mapping[str, Tensor]


class Mixing(ABC):
    """Which architecture parameters there are, and what they make of an edge."""

    @abstractmethod
    def initial(self, choices: CellChoices) -> dict[str, Tensor]:
        """Fresh parameters from torch's current generator; for each type of cell at least (edges, operations)."""

    @abstractmethod
    def weights(self, parameters: Parameters) -> dict[str, Tensor]:
        """The edge weights of one training step, for each type of cell (edges, operations); differentiable."""

    @abstractmethod
    def probabilities(self, parameters: Parameters) -> dict[str, Tensor]:
        """How strongly each operation is preferred, for each type of cell (edges, operations): what a cell is derived
        from, and what edges are weighted with in validation."""

    @abstractmethod
    def fan_out(self, operations: Sequence[Sequence[str]], channels: int, stride: int) -> nn.Module:
        """The mixed edges that leave one node, a module with the call of `nas_cli.networks.mixed.FanOut`."""


class Softmax(Mixing):
    """Every edge computes all its operations and weighs them by a softmax.

    Args:
        initial_scale: standard deviation of the initial parameters. Released code: 1e-3 (the paper's text: 0).
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, eq. 2.
    """

    def __init__(self, initial_scale: float = 1e-3) -> None:
        self.initial_scale = initial_scale

    def initial(self, choices: CellChoices) -> dict[str, Tensor]:
        return {kind: self.initial_scale * torch.randn(open_.shape) for kind, open_ in choices.items()}

    def weights(self, parameters: Parameters) -> dict[str, Tensor]:
        return {kind: rows.softmax(dim=-1) for kind, rows in parameters.items()}

    def probabilities(self, parameters: Parameters) -> dict[str, Tensor]:
        return {kind: rows.detach().softmax(dim=-1) for kind, rows in parameters.items()}

    def fan_out(self, operations: Sequence[Sequence[str]], channels: int, stride: int) -> nn.Module:
        return FanOut(operations, channels, stride)
