"""Shared weights: one supernet whose weights serve every architecture of a space.

The training of those weights is the same whatever explores the architectures; a strategy says with which edge weights
each step is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.data.base import Dataset, Source
from nas_cli.data.loader import Loader, in_order
from nas_cli.errors import CombinationError, require
from nas_cli.hardware import Hardware
from nas_cli.networks.supernet import FanOutFactory
from nas_cli.seeding import derive, seeded
from nas_cli.spaces.base import Space, SupernetSpace
from nas_cli.training import Tally, check_finite, cosine

#: (images, labels) on the device.
Batch = tuple[Tensor, Tensor]
#: For each type of cell (edges, operations).
EdgeWeights = Mapping[str, Tensor]


@dataclass
class _Training:
    network: nn.Module
    optimizer: torch.optim.SGD
    train: Loader
    held_out: Loader
    held_out_source: Source
    epochs: int


class SharedWeights:
    """Trains a supernet's weights on one part of the training set, and judges on the other.

    The defaults are those of the small form; the paper's stand in ``experiment/darts``.

    Args:
        batch_size: of both parts, at least 2: batch normalisation of 1x1 maps needs two values. Paper: 64.
        split: share of the training images for the weights, the rest is for the architecture. Paper: 0.5.
        learning_rate: of SGD in the first epoch, then cosine to `learning_rate_min`. Paper: 0.025 to 0.001.
        momentum, weight_decay: of SGD. Paper: 0.9, 3e-4.
        gradient_clip: bound of the gradient's norm. Paper: 5.
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, app. A.1.
    """

    score_name = "valid_accuracy"

    def __init__(
        self,
        space: Space,
        dataset: Dataset,
        hardware: Hardware,
        seed: int,
        batch_size: int = 32,
        split: float = 0.5,
        learning_rate: float = 0.05,
        learning_rate_min: float = 0.001,
        momentum: float = 0.9,
        weight_decay: float = 3e-4,
        gradient_clip: float = 5.0,
    ) -> None:
        if not isinstance(space, SupernetSpace):
            raise CombinationError(
                f"space={space.name} has no supernet, which estimator=shared_weights and gradient strategies train; "
                "space=darts has one"
            )
        require(batch_size >= 2, f"batch_size must be at least 2, not {batch_size}")
        require(0 < split < 1, f"split must be between 0 and 1, not {split}")
        require(
            0 <= learning_rate_min <= learning_rate,
            f"learning_rate_min must be between 0 and learning_rate, not {learning_rate_min}",
        )
        require(0 <= momentum < 1, f"momentum must be in [0, 1), not {momentum}")
        require(weight_decay >= 0, f"weight_decay must be at least 0, not {weight_decay}")
        require(gradient_clip > 0, f"gradient_clip must be above 0, not {gradient_clip}")
        self.space: SupernetSpace = space
        self.dataset = dataset
        self.hardware = hardware
        self.seed = seed
        self.batch_size = batch_size
        self.split = split
        self.learning_rate_range = (learning_rate, learning_rate_min)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip
        self._training: _Training | None = None

    def begin(self, fan_out: FanOutFactory, epochs: int) -> None:
        """Read the data and make a fresh supernet for a training of so many epochs."""
        # Augmentation and network first: sizes that do not fit the images are refused before any image is read.
        self.dataset.augmentation.check(self.dataset.input_shape)
        with seeded(self.seed, "supernet"):
            network = self.space.supernet(self.dataset.input_shape, self.dataset.classes, fan_out)
        train, held_out = self.dataset.search_split(self.split)
        device, augmentation = self.hardware.device, self.dataset.augmentation
        network = self.hardware.place(network)
        self._training = _Training(
            network,
            torch.optim.SGD(
                network.parameters(),
                lr=self.learning_rate_range[0],
                momentum=self.momentum,
                weight_decay=self.weight_decay,
            ),
            Loader(train, self.batch_size, derive(self.seed, "weights"), device, augmentation),
            Loader(held_out, self.batch_size, derive(self.seed, "architecture"), device, augmentation),
            held_out,
            epochs,
        )

    @property
    def _state(self) -> _Training:
        if self._training is None:
            raise RuntimeError("begin() comes first")
        return self._training

    @property
    def network(self) -> nn.Module:
        """The supernet."""
        return self._state.network

    @property
    def optimizer(self) -> torch.optim.SGD:
        """The optimiser of the weights."""
        return self._state.optimizer

    @property
    def steps_per_epoch(self) -> int:
        """Batches of the weights' part of the data."""
        return len(self._state.train)

    def set_epoch(self, epoch: int) -> float:
        """Set the learning rate of an epoch, counted from 0, and return it."""
        rate = cosine(*self.learning_rate_range, epoch, self._state.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def train_batch(self) -> Batch:
        """The next batch for the weights."""
        return self._state.train.next()

    def held_out_batch(self) -> Batch:
        """The next batch for the architecture."""
        return self._state.held_out.next()

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of both levels."""
        return F.cross_entropy(logits.float(), labels)

    def forward(self, images: Tensor, weights: EdgeWeights) -> Tensor:
        """Logits (batch, classes) of the supernet in this run's precision."""
        with self.hardware.autocast():
            logits: Tensor = self.network(images, weights)
        return logits

    def weight_step(self, batch: Batch, weights: EdgeWeights) -> Tally:
        """One SGD step on the weights; no gradient flows into the architecture.

        Raises `DivergedError` on a loss or gradient that is not finite, before weights or optimiser are changed.
        """
        images, labels = batch
        self.network.train()
        logits = self.forward(images, {kind: rows.detach() for kind, rows in weights.items()})
        loss = self.loss(logits, labels)
        check_finite(loss, "the training loss of the supernet")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.gradient_clip)
        check_finite(norm, "the norm of the supernet's gradient")
        self.optimizer.step()
        return Tally.of(loss, logits, labels)

    @torch.no_grad()
    def validate(self, weights: EdgeWeights) -> Tally:
        """Loss and accuracy on the whole held-out part, in evaluation mode. Raises `DivergedError` on a bad loss."""
        self.network.eval()
        total = Tally()
        # Without gradients twice the batch fits.
        for images, labels in in_order(self._state.held_out_source, 2 * self.batch_size, self.hardware.device):
            logits = self.forward(images, weights)
            loss = self.loss(logits, labels)
            check_finite(loss, "the validation loss of the supernet")
            total += Tally.of(loss, logits, labels)
        return total

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser and how many batches were drawn."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "train": self._state.train.state_dict(),
            "held_out": self._state.held_out.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state; `begin` comes first."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._state.train.load_state_dict(state["train"])
        self._state.held_out.load_state_dict(state["held_out"])
