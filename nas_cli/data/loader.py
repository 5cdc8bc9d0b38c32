"""Batches for training (endless, shuffled, augmented) and for validation (one pass in order)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from nas_cli.data.augmentation import PLAIN, Augmentation
from nas_cli.data.base import Source
from nas_cli.errors import InputError
from nas_cli.seeding import derive


class Loader:
    """Endless shuffled batches, normalised and augmented on the device; its whole state is how many were drawn.

    Args:
        source: where images come from.
        batch_size: images per batch; the last batch of an epoch holds what is left. Were that a single image, it is
            left out, because batch normalisation of 1x1 maps needs two values; the next epoch's order leaves out
            another one.
        seed: of the order (one generator per epoch), of the augmentation and of what reading leaves to chance (one each
            per batch).
        device: where batches are made.
        augmentation: None for none, and nothing left to chance in reading.
    Attributes:
        cutout_share: probability with which the cutout of the augmentation is applied to an image; may be set.
    Raises:
        InputError: batch_size below 1, or a source without images.
    """

    drawn: int
    cutout_share: float

    def __init__(
        self,
        source: Source,
        batch_size: int,
        seed: int,
        device: torch.device,
        augmentation: Augmentation | None = None,
    ) -> None:
        _check(source, batch_size)
        self.drawn = 0
        self.cutout_share = 1.0
        self._source = source
        self._batch_size = batch_size
        self._seed = seed
        self._device = device
        self._augmentation = PLAIN if augmentation is None else augmentation
        self._by_chance = augmentation is not None
        self._generator = torch.Generator(device)
        self._normalise = _Normalise(source, device)
        self._epoch: Iterator[tuple[Tensor, Tensor]] | None = None

    def __len__(self) -> int:
        """Batches per epoch."""
        whole, rest = divmod(len(self._source), self._batch_size)
        return whole + (rest > 1 or whole == 0)

    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch, into the next epoch where one ends.

        Returns: float32 images (batch, channels, height, width) in channels_last memory format, int64 labels (batch,).
        Raises: InputError for an unreadable file, or an augmentation too large for the images.
        """
        epoch, batch = divmod(self.drawn, len(self))
        if self._epoch is None or batch == 0:
            # After a resume inside an epoch the order starts at the right batch: what was drawn is not read again.
            order = self._order(epoch)[batch:]
            self._epoch = self._source.batches(order, self._device, self._seeds(len(order)))
        raw, labels = next(self._epoch)
        self._generator.manual_seed(derive(self._seed, "augmentation", self.drawn))
        raw = self._augmentation.geometric(raw, self._generator)
        images = self._normalise(self._augmentation.colour(raw, self._generator))
        images = self._erased(images)
        self.drawn += 1
        return images, labels

    def _erased(self, images: Tensor) -> Tensor:
        """Cutout on a share of the images, each with this probability."""
        erased = self._augmentation.erase(images, self._generator)
        if erased is images or self.cutout_share == 1:
            return erased
        chosen = torch.rand(len(images), generator=self._generator, device=images.device) < self.cutout_share
        return torch.where(chosen[:, None, None, None], erased, images)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on at this batch."""
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken: `next` gives what it would have given there."""
        self.drawn = int(state["drawn"])
        self._epoch = None

    def _order(self, epoch: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(derive(self._seed, "order", epoch))
        return torch.split(torch.randperm(len(self._source), generator=generator), self._batch_size)[: len(self)]

    def _seeds(self, batches: int) -> list[int] | None:
        """For reading the next so many batches."""
        if not self._by_chance:
            return None
        return [derive(self._seed, "reading", number) for number in range(self.drawn, self.drawn + batches)]


def in_order(source: Source, batch_size: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """One pass in stored order, normalised and not augmented: for validation and test.

    Yields: as `Loader.next`.
    Raises: InputError: batch_size below 1, a source without images, or an unreadable file.
    """
    _check(source, batch_size)
    normalise = _Normalise(source, device)
    for raw, labels in source.batches(torch.split(torch.arange(len(source)), batch_size), device):
        yield normalise(raw), labels


class _Normalise:
    """Raw images -> (raw - mean) / std per channel, float32, channels_last."""

    def __init__(self, source: Source, device: torch.device) -> None:
        self._mean = source.mean.to(device).view(1, -1, 1, 1)
        self._std = source.std.to(device).view(1, -1, 1, 1)

    def __call__(self, raw: Tensor) -> Tensor:
        return ((raw.float() - self._mean) / self._std).contiguous(memory_format=torch.channels_last)


def _check(source: Source, batch_size: int) -> None:
    if batch_size < 1:
        raise InputError(f"batch_size={batch_size}: must be 1 or more")
    if len(source) == 0:
        raise InputError("there are no images to make batches of")
