"""Images as the learners of the older papers read them: all at once, as numbers from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nas_cli.data.base import Dataset, Source
from nas_cli.hardware import Hardware
from nas_cli.spaces.learning import LearningProblem

READ_AT_ONCE = 1024  # images, so that those of a streamed data set are decoded in portions


@dataclass(frozen=True)
class Examples:
    """Inputs and their labels.

    Shape:
        inputs: (n, features), or (n, channels, height, width); float32
        labels: (n,), int64
    """

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Parts:
    """What is learnt from, what it is chosen by, what is only reported on; all on one device."""

    train: Examples
    valid: Examples
    test: Examples
    classes: int

    @property
    def features(self) -> int:
        """How many numbers one input is."""
        return self.train.inputs[0].numel()

    @property
    def device(self) -> torch.device:
        return self.train.inputs.device

    def with_inputs(self, change: Callable[[Tensor], Tensor]) -> Parts:
        """The same examples with other inputs; what `change` depends on may come from the training part alone."""
        train, valid, test = (
            Examples(change(part.inputs), part.labels) for part in (self.train, self.valid, self.test)
        )
        return Parts(train, valid, test, self.classes)

    def flat(self) -> Parts:
        """Every image as one row of numbers."""
        return self.with_inputs(lambda images: images.flatten(1))


class ImageProblem(LearningProblem):
    """Hyper-parameters of a classifier of images."""

    def read(self, dataset: Any, split: float, hardware: Hardware) -> Parts:
        return read(dataset, split, hardware.device)


def read(dataset: Dataset, split: float, device: torch.device) -> Parts:
    """All images of a data set, divided by the greatest number in its training part.

    Args:
        split: share of the training images to train on.
        device: where they are to be.
    Returns: inputs of shape (n, channels, height, width).
    """
    train, valid, test = (_whole(source, device) for source in (*dataset.search_split(split), dataset.test()))
    greatest = train.inputs.max().clamp(min=1)
    return Parts(train, valid, test, dataset.classes).with_inputs(lambda images: images / greatest)


def _whole(source: Source, device: torch.device) -> Examples:
    order = torch.split(torch.arange(len(source)), READ_AT_ONCE)
    images, labels = zip(*source.batches(order, device), strict=True)
    return Examples(torch.cat(images).float(), torch.cat(labels))
