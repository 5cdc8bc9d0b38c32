"""What a data set is: a training and a test part, each read in batches by number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from nas_cli.data.augmentation import Augmentation
from nas_cli.errors import InputError


class Source(ABC):
    """Labelled images that can be read by number.

    Attributes:
        mean, std: (channels,) float32, in the images' raw units (0..255 for photographs).
    """

    mean: Tensor
    std: Tensor

    @abstractmethod
    def __len__(self) -> int:
        """How many images there are."""

    @abstractmethod
    def subset(self, indices: Sequence[int] | Tensor) -> Source:
        """A view of the images with these numbers, in this order."""

    @abstractmethod
    def batches(
        self, order: Sequence[Tensor], device: torch.device, seeds: Sequence[int] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Read batch after batch.

        Args:
            order: the images of each batch, (batch,) int64 on the CPU.
            device: where the batches are wanted.
            seeds: one for each batch, of what reading leaves to chance in training (a random window of a picture that
                is larger than the image); None: no chance, as for test.
        Yields: raw images (batch, channels, height, width) and int64 labels (batch,), on the device.
        Raises: InputError for a file that turns out to be unreadable.
        """


class Images(Source):
    """Images held whole in memory, and moved to a device once, when batches are first asked for there.

    Args:
        pixels: (n, channels, height, width) uint8.
        labels: (n,) int64.
        mean, std: one value per channel, in the units of `pixels`.
    """

    def __init__(
        self, pixels: Tensor, labels: Tensor, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor
    ) -> None:
        self.mean = torch.as_tensor(mean, dtype=torch.float32)
        self.std = torch.as_tensor(std, dtype=torch.float32)
        self._copies = {pixels.device: (pixels, labels)}
        self._chosen: Tensor | None = None

    def __len__(self) -> int:
        if self._chosen is not None:
            return len(self._chosen)
        return len(next(iter(self._copies.values()))[1])

    def subset(self, indices: Sequence[int] | Tensor) -> Images:
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        view = Images.__new__(Images)
        view.mean, view.std = self.mean, self.std
        view._copies = self._copies  # shared, so that both halves of a split use one copy on the device
        view._chosen = chosen if self._chosen is None else self._chosen[chosen]
        return view

    def batches(
        self, order: Sequence[Tensor], device: torch.device, seeds: Sequence[int] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        if not order:
            return
        pixels, labels = self._on(device)
        numbers = torch.cat(list(order))
        if self._chosen is not None:
            numbers = self._chosen[numbers]
        # The whole order crosses to the device at once, not batch by batch.
        for batch in torch.split(numbers.to(device), [len(part) for part in order]):
            yield pixels[batch], labels[batch]

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        device = torch.empty(0, device=device).device  # "cuda" and "cuda:0" must share a copy
        if device not in self._copies:
            pixels, labels = next(iter(self._copies.values()))
            self._copies[device] = (pixels.to(device), labels.to(device))
        return self._copies[device]


class Dataset(ABC):
    """A named data set. Making one is cheap: nothing is read before `train()` or `test()`.

    Args:
        name: the name under which it was configured.
        augmentation: what a training on it applies unless told otherwise.
    """

    def __init__(self, name: str, augmentation: Augmentation) -> None:
        self.name = name
        self.augmentation = augmentation

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """How many classes there are; labels are 0 … classes - 1."""

    @abstractmethod
    def train(self) -> Source:
        """The training images. Raises `InputError` for missing or damaged files."""

    @abstractmethod
    def test(self) -> Source:
        """The test images. Raises `InputError` for missing or damaged files."""

    def search_split(self, fraction: float = 0.5) -> tuple[Source, Source]:
        """The training images in two parts: the first for network weights, the rest for the architecture.

        The parts are taken in stored order, as DARTS takes them (section 3.1: one half each); the test images are
        not read.

        Raises: InputError if a part would be empty.
        """
        if not 0 < fraction < 1:
            raise InputError(f"fraction={fraction} of the training images for weights: must be between 0 and 1")
        train = self.train()
        border = int(fraction * len(train))
        if not 0 < border < len(train):
            raise InputError(
                f"dataset {self.name}: {len(train)} training images cannot be split at fraction={fraction}; "
                "each part needs at least one"
            )
        return train.subset(range(border)), train.subset(range(border, len(train)))
