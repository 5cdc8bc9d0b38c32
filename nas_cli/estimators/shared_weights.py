"""Shared weights: one supernet whose weights serve every architecture of a space.

The training of those weights is the same whatever explores the architectures; a strategy says with which edge weights
each step is made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nas_cli.descent import descend
from nas_cli.hardware import Hardware
from nas_cli.networks.choices import CellChoices
from nas_cli.networks.supernet import FanOutFactory
from nas_cli.spaces.base import CellSpace

#: For each type of cell (edges, operations).
EdgeWeights = Mapping[str, Tensor]
#: What `train_batch` and `held_out_batch` give, and `loss` and `backward` take; its form is the estimator's own.
Batch = Any


class Tallied(Protocol):
    """Sums over batches from which means follow."""

    def __iadd__(self, other: Any) -> Any: ...

    def metrics(self, prefix: str) -> dict[str, float]:
        """Means by name, each name with this prefix: loss, accuracy."""


@dataclass
class Begun:
    """The training of a supernet; an estimator adds its own parts."""

    network: nn.Module
    optimizer: torch.optim.SGD


class SharedWeights(ABC):
    """Trains a supernet's weights on one part of the data, and judges on the other.

    Args:
        space: has the supernet.
        hardware: where it runs.
        seed: of initialisation, order and augmentation.
        gradient_clip: bound of the norm of the weights' gradient.
    """

    #: What is maximised, as `result.json` calls it.
    score_name: str

    def __init__(self, space: CellSpace, hardware: Hardware, seed: int, gradient_clip: float) -> None:
        self.space = space
        self.hardware = hardware
        self.seed = seed
        self.gradient_clip = gradient_clip

    @abstractmethod
    def begin(
        self,
        fan_out: FanOutFactory,
        epochs: int,
        stage: int = 0,
        choices: CellChoices | None = None,
        cells: int | None = None,
    ) -> None:
        """Read the data and make a fresh supernet for a training of so many epochs.

        Args:
            fan_out: makes the mixed edges that leave one node.
            epochs: over which the learning rate falls.
            stage: number of this training; each has its own random numbers.
            choices: edges and candidates where they are not all of the space's.
            cells: depth where it is not the space's own.
        """

    @property
    @abstractmethod
    def begun(self) -> Begun:
        """What `begin` made, which comes first."""

    @property
    def network(self) -> nn.Module:
        """The supernet."""
        return self.begun.network

    @property
    def optimizer(self) -> torch.optim.SGD:
        """The optimiser of the weights."""
        return self.begun.optimizer

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """Batches of the weights' part of the data."""

    @abstractmethod
    def set_epoch(self, epoch: int) -> float:
        """Prepare an epoch, counted from 0, and return its learning rate."""

    @abstractmethod
    def train_batch(self) -> Batch:
        """The next batch for the weights."""

    @abstractmethod
    def held_out_batch(self) -> Batch:
        """The next batch for the architecture."""

    @abstractmethod
    def probe_batch(self) -> Batch:
        """A held-out batch to look at: drawn from torch's current generator, counted nowhere."""

    @abstractmethod
    def restored_tally(self, state: Mapping[str, Any]) -> Tallied:
        """The tally whose attributes were saved."""

    @abstractmethod
    def loss(
        self,
        batch: Batch,
        weights: EdgeWeights,
        values: Mapping[str, Tensor] | None = None,
        full_precision: bool = False,
    ) -> Tensor:
        """The loss of the architecture on a batch, in whatever mode the supernet is.

        Args:
            weights: of the edges; gradients flow into them.
            values: parameters and buffers of the supernet by name, in the place of its own. What is given here is not
                changed in the supernet: running statistics move in these copies.
            full_precision: float32 whatever the run's precision.
        Raises `DivergedError` on a loss that is not finite.
        """

    @abstractmethod
    def backward(self, batch: Batch, weights: EdgeWeights, penalty: Tensor | None = None) -> Tallied:
        """Add the gradient of the training loss, plus a penalty, to all that it depends on.

        Raises `DivergedError` on a loss that is not finite.
        """

    def update(self) -> None:
        """Step the weights along the gradient that `backward` left. Raises `DivergedError` where it is not finite."""
        descend(self.network, self.optimizer, self.gradient_clip, "the norm of the supernet's gradient")

    def weight_step(self, batch: Batch, weights: EdgeWeights) -> Tallied:
        """One step on the weights; no gradient flows into the architecture.

        Raises `DivergedError` on a loss or gradient that is not finite, before weights or optimiser are changed.
        """
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        tally = self.backward(batch, {kind: rows.detach() for kind, rows in weights.items()})
        self.update()
        return tally

    @abstractmethod
    def validate(self, weights: EdgeWeights, recalibrate: bool = False) -> Tallied:
        """Judge on the whole held-out part, in evaluation mode.

        Args:
            recalibrate: whether to measure the running statistics of normalisation anew for these edge weights, on
                training batches; the supernet keeps its own.
        Raises `DivergedError` on a bad loss.
        """

    @abstractmethod
    def score(self, metrics: Mapping[str, float]) -> float:
        """What is maximised, from the metrics of `validate` with the prefix ``valid``."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser and how many batches were drawn."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state; `begin` comes first."""
