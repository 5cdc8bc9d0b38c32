"""How an edge mixes its operations: from architecture parameters to edge weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from nas_cli.errors import CombinationError
from nas_cli.networks.choices import CellChoices, Nodes
from nas_cli.networks.mixed import FanOut, MakeOperation

#: Architecture parameters by name; for a plain mixing the type of cell.
Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Progress:
    """Where a search stands: the epoch, from 0, of how many, in which stage; `warm_up` epochs train weights alone."""

    epoch: int
    epochs: int
    stage: int = 0
    warm_up: float = 0.0

    @property
    def frozen(self) -> bool:
        """Whether no step of this epoch moves the architecture."""
        return self.epoch + 1 <= self.warm_up


class Mixing(ABC):
    """Which architecture parameters there are, and what they make of an edge.

    A mixing keeps no tensors. What it needs beside the parameters it gives in `fixed`, and is handed it with them.

    Attributes:
        scaling: the columns of the edge weights that scale all of an edge's output when they are scaled together.
    """

    scaling: ClassVar[slice] = slice(None)

    @abstractmethod
    def initial(self, choices: CellChoices) -> dict[str, Tensor]:
        """Fresh parameters from torch's current generator; one tensor or more for each type of cell."""

    def fixed(self, choices: CellChoices) -> dict[str, Tensor]:
        """What stands beside the parameters and no gradient moves, by names of its own."""
        return {}

    def set_progress(self, progress: Progress) -> None:  # noqa: B027  (a hook, not a gap)
        """Take note of the epoch: of a temperature that falls."""

    @abstractmethod
    def weights(self, parameters: Parameters) -> dict[str, Tensor]:
        """The edge weights of one training step, for each type of cell (edges, columns); differentiable.

        What the columns mean is between this and `fan_out`. Draws come from torch's current generator.
        """

    @abstractmethod
    def probabilities(self, parameters: Parameters) -> dict[str, Tensor]:
        """How likely each operation is, for each type of cell (edges, operations); rows sum to 1, differentiable."""

    def log_probability(self, parameters: Parameters, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The log density of drawn edge weights, for each type of cell (edges,); differentiable in the parameters.

        Raises `CombinationError` where weights are not drawn.
        """
        raise CombinationError(f"{type(self).__name__} draws no edge weights, so they have no probability")

    def strengths(self, parameters: Parameters) -> dict[str, Tensor]:
        """What a cell is derived from, for each type of cell (edges, operations)."""
        return {kind: rows.detach() for kind, rows in self.probabilities(parameters).items()}

    def validation_weights(self, parameters: Parameters) -> dict[str, Tensor]:
        """The edge weights that the supernet is judged with, as `weights`."""
        return {kind: rows.detach() for kind, rows in self.weights(parameters).items()}

    def discrete_weights(self, choices: CellChoices, cells: Mapping[str, Nodes]) -> dict[str, Tensor]:
        """The edge weights that make the supernet compute derived cells, as `weights`."""
        return {kind: torch.tensor(choices[kind].one_hot(nodes)) for kind, nodes in cells.items()}

    @abstractmethod
    def fan_out(
        self, operations: Sequence[Sequence[str]], channels: int, stride: int, make: MakeOperation
    ) -> nn.Module:
        """The mixed edges that leave one node, a module with the call of `nas_cli.networks.mixed.FanOut`."""


def normal_rows(choices: CellChoices, scale: float, mean: float = 0.0) -> dict[str, Tensor]:
    """A normal draw for each operation of each edge, (edges, operations), by type of cell."""
    return {kind: mean + scale * torch.randn(open_.shape) for kind, open_ in choices.items()}


def softmax_rows(parameters: Parameters) -> dict[str, Tensor]:
    """The softmax of each row of each of the parameters."""
    return {name: rows.softmax(dim=-1) for name, rows in parameters.items()}


class Softmax(Mixing):
    """Every edge computes all its operations and weighs them by a softmax.

    Args:
        initial_scale: standard deviation of the initial parameters. Released code: 1e-3 (the paper's text: 0).
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, eq. 2.
    """

    def __init__(self, initial_scale: float = 1e-3) -> None:
        self.initial_scale = initial_scale

    def initial(self, choices: CellChoices) -> dict[str, Tensor]:
        return normal_rows(choices, self.initial_scale)

    def weights(self, parameters: Parameters) -> dict[str, Tensor]:
        return softmax_rows(parameters)

    def probabilities(self, parameters: Parameters) -> dict[str, Tensor]:
        return softmax_rows(parameters)

    def fan_out(
        self, operations: Sequence[Sequence[str]], channels: int, stride: int, make: MakeOperation
    ) -> nn.Module:
        return FanOut(operations, channels, stride, make)
