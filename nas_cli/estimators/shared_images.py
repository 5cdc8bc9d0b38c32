"""Shared weights of a supernet for images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nas_cli.data.base import Dataset, Source
from nas_cli.data.loader import Loader, in_order
from nas_cli.descent import check_finite
from nas_cli.errors import CombinationError, require
from nas_cli.estimators.shared_weights import Begun, EdgeWeights, SharedWeights
from nas_cli.hardware import Hardware
from nas_cli.networks.choices import CellChoices
from nas_cli.networks.supernet import FanOutFactory
from nas_cli.schedules import Cosine, Schedule
from nas_cli.seeding import derive, seeded
from nas_cli.spaces.base import Space, SupernetSpace
from nas_cli.tally import Tally

#: (images, labels) on the device.
ImageBatch = tuple[Tensor, Tensor]
COSINE = Cosine()
#: So many batches tell the statistics of normalisation.
CALIBRATION_BATCHES = 16


@dataclass
class _Training(Begun):
    train: Loader
    held_out: Loader
    train_source: Source
    held_out_source: Source
    epochs: int


class SharedImageWeights(SharedWeights):
    """Trains a supernet for images on one part of the training set, and judges on the other.

    The defaults are those of the small form; the paper's stand in ``experiment/darts``.

    Args:
        batch_size: of both parts, at least 2: batch normalisation of 1x1 maps needs two values. Paper: 64.
        split: share of the training images for the weights, the rest is for the architecture. Paper: 0.5.
        learning_rate: of SGD. Paper: 0.025.
        schedule: how the rate goes on from there. Paper: a cosine to 0.001.
        momentum, nesterov, weight_decay: of SGD. Paper: 0.9, off, 3e-4.
        gradient_clip: bound of the gradient's norm. Paper: 5.
        cutout: side of the square that is blanked in training images; None: the data set's own. Paper: none.
        cutout_ramp: whether it is blanked in a share of the images that grows from none in the first epoch to all in
            the last (R-DARTS).
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, app. A.1.
    """

    score_name = "valid_accuracy"
    space: SupernetSpace

    def __init__(
        self,
        space: Space,
        dataset: Dataset,
        hardware: Hardware,
        seed: int,
        batch_size: int = 32,
        split: float = 0.5,
        learning_rate: float = 0.05,
        schedule: Schedule = COSINE,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 3e-4,
        gradient_clip: float = 5.0,
        cutout: int | None = None,
        cutout_ramp: bool = False,
    ) -> None:
        if not isinstance(space, SupernetSpace):
            raise CombinationError(
                f"space={space.name} has no supernet, which estimator=shared_weights and gradient strategies train; "
                "space=darts has one"
            )
        require(batch_size >= 2, f"batch_size must be at least 2, not {batch_size}")
        require(0 < split < 1, f"split must be between 0 and 1, not {split}")
        require(learning_rate > 0, f"learning_rate must be above 0, not {learning_rate}")
        require(0 <= momentum < 1, f"momentum must be in [0, 1), not {momentum}")
        require(weight_decay >= 0, f"weight_decay must be at least 0, not {weight_decay}")
        require(gradient_clip > 0, f"gradient_clip must be above 0, not {gradient_clip}")
        super().__init__(space, hardware, seed, gradient_clip)
        self.dataset = dataset
        self.batch_size = batch_size
        self.split = split
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.augmentation = dataset.augmentation if cutout is None else replace(dataset.augmentation, cutout=cutout)
        self.cutout_ramp = cutout_ramp
        self._sgd = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        self._begun: _Training | None = None

    def begin(
        self,
        fan_out: FanOutFactory,
        epochs: int,
        stage: int = 0,
        choices: CellChoices | None = None,
        cells: int | None = None,
    ) -> None:
        # Augmentation and network first: sizes that do not fit the images are refused before any image is read.
        self.augmentation.check(self.dataset.input_shape)
        with seeded(self.seed, "supernet", stage):
            network = self.space.supernet(self.dataset.input_shape, self.dataset.classes, fan_out, choices, cells)
        train, held_out = self.dataset.search_split(self.split)
        device = self.hardware.device
        network = self.hardware.place(network)
        self._begun = _Training(
            network,
            torch.optim.SGD(network.parameters(), lr=self.learning_rate, **self._sgd),  # type: ignore[arg-type]
            Loader(train, self.batch_size, derive(self.seed, "weights", stage), device, self.augmentation),
            Loader(held_out, self.batch_size, derive(self.seed, "architecture", stage), device, self.augmentation),
            train,
            held_out,
            epochs,
        )

    @property
    def begun(self) -> _Training:
        if self._begun is None:
            raise RuntimeError("begin() comes first")
        return self._begun

    @property
    def steps_per_epoch(self) -> int:
        return len(self.begun.train)

    def set_epoch(self, epoch: int) -> float:
        epochs = self.begun.epochs
        rate = self.schedule.rate(self.learning_rate, epoch, epochs)
        if self.cutout_ramp:
            self.begun.train.cutout_share = epoch / max(epochs - 1, 1)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def train_batch(self) -> ImageBatch:
        """Images (batch, channels, height, width) and labels (batch,)."""
        return self.begun.train.next()

    def held_out_batch(self) -> ImageBatch:
        """Images (batch, channels, height, width) and labels (batch,)."""
        return self.begun.held_out.next()

    def probe_batch(self) -> ImageBatch:
        """Images (batch, channels, height, width), not augmented, and labels (batch,)."""
        source = self.begun.held_out_source
        chosen = source.subset(torch.randperm(len(source))[: self.batch_size])
        return next(in_order(chosen, self.batch_size, self.hardware.device))

    def restored_tally(self, state: Mapping[str, Any]) -> Tally:
        return Tally(**state)

    def logits(self, images: Tensor, weights: EdgeWeights, values: Mapping[str, Tensor] | None = None) -> Tensor:
        """(batch, classes), float32 or wider, of the supernet, or of it with other `values`."""
        call = (images, weights)
        found: Tensor = self.network(*call) if values is None else functional_call(self.network, dict(values), call)
        return found if found.dtype == torch.float64 else found.float()

    def loss(
        self,
        batch: ImageBatch,
        weights: EdgeWeights,
        values: Mapping[str, Tensor] | None = None,
        full_precision: bool = False,
    ) -> Tensor:
        images, labels = batch
        with nullcontext() if full_precision else self.hardware.autocast():
            logits = self.logits(images, weights, values)
        found = F.cross_entropy(logits, labels)
        check_finite(found, "a loss of the architecture step")
        return found

    def backward(self, batch: ImageBatch, weights: EdgeWeights, penalty: Tensor | None = None) -> Tally:
        images, labels = batch
        with self.hardware.autocast():
            logits = self.logits(images, weights)
        loss = F.cross_entropy(logits, labels)
        check_finite(loss, "the training loss of the supernet")
        total = loss if penalty is None else loss + penalty
        total.backward()  # type: ignore[no-untyped-call]
        return Tally.of(loss, logits, labels)

    @torch.no_grad()
    def validate(self, weights: EdgeWeights, recalibrate: bool = False) -> Tally:
        total = Tally()
        with self._recalibrated(weights) if recalibrate else nullcontext():
            self.network.eval()
            for images, labels in self._in_order(self.begun.held_out_source):
                with self.hardware.autocast():
                    logits = self.logits(images, weights)
                loss = F.cross_entropy(logits, labels)
                check_finite(loss, "the validation loss of the supernet")
                total += Tally.of(loss, logits, labels)
        return total

    def score(self, metrics: Mapping[str, float]) -> float:
        return metrics["valid_accuracy"]

    def _in_order(self, source: Source) -> Iterator[ImageBatch]:
        return in_order(source, 2 * self.batch_size, self.hardware.device)  # without gradients twice the batch fits

    @contextmanager
    def _recalibrated(self, weights: EdgeWeights) -> Iterator[None]:
        """Running statistics that are plain means over training batches with these edge weights."""
        norms = [module for module in self.network.modules() if isinstance(module, nn.BatchNorm2d)]
        kept = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        momenta = [norm.momentum for norm in norms]
        self.network.train()
        batches = islice(self._in_order(self.begun.train_source), CALIBRATION_BATCHES)
        for number, (images, _) in enumerate(batches):
            for norm in norms:
                norm.momentum = 1 / (number + 1)
            with self.hardware.autocast():
                self.logits(images, weights)
        try:
            yield
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
            for name, buffer in self.network.named_buffers():
                buffer.copy_(kept[name])

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "train": self.begun.train.state_dict(),
            "held_out": self.begun.held_out.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.begun.train.load_state_dict(state["train"])
        self.begun.held_out.load_state_dict(state["held_out"])
