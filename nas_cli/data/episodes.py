"""Few-shot episodes: small tasks of a few classes, made from any labelled images.

Reference: Vinyals et al., Matching Networks for One Shot Learning, NeurIPS 2016, arXiv:1606.04080, sec. 2.2; rotated
classes: Santoro et al., Meta-Learning with Memory-Augmented Neural Networks, ICML 2016, sec. 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nas_cli.data.base import Dataset, Source
from nas_cli.data.few_shot import FewShotDataset
from nas_cli.errors import require
from nas_cli.seeding import numpy_generator

QUARTER_TURNS = 4  # a class, and the same turned by 90, 180 and 270 degrees
LABELS_AT_ONCE = 1024  # images read at a time to learn their labels


@dataclass(frozen=True)
class Episode:
    """One task.

    Args:
        support: images (ways * shots, channels, height, width), float32, and labels (ways * shots,) in 0 … ways - 1.
        query: the same with `queries` images a class, none of them in the support.
    """

    support: tuple[Tensor, Tensor]
    query: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Episodes:
    """How episodes are made from a data set; the images are not augmented.

    Args:
        ways: N, classes of a task. Papers: 5.
        shots: K, support images of a class. Papers: 1 and 5.
        queries: query images of a class. Papers: 15.
        train_classes: so many first classes are for meta-train, the others for meta-test; without use where the data
            set has its own split. Meta-train tasks come from its training images, meta-test tasks from its test images.
        rotations: whether a class turned by 90, 180 or 270 degrees is a class of its own. Papers: on Omniglot.
        side: of the images, averaged down from larger ones; None: as they are.
    Raises:
        InputError: an option out of range.
    """

    ways: int = 3
    shots: int = 5
    queries: int = 5
    train_classes: int = 6
    rotations: bool = True
    side: int | None = None

    def __post_init__(self) -> None:
        require(self.ways >= 2, f"ways must be at least 2, not {self.ways}")
        for name in ("shots", "queries", "train_classes"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}")
        require(self.side is None or self.side >= 1, f"side must be at least 1 or null, not {self.side}")

    def input_shape(self, dataset: Dataset) -> tuple[int, int, int]:
        """(channels, height, width) of an episode's images. Raises `InputError` where they would be enlarged."""
        channels, height, width = dataset.input_shape
        require(
            not self.rotations or height == width,
            f"episodes.rotations=true: images must be square, not {height}x{width}",
        )
        if self.side is None:
            return channels, height, width
        require(
            self.side <= min(height, width),
            f"episodes.side={self.side}: must be at most {min(height, width)}, as of images of dataset {dataset.name}",
        )
        return channels, self.side, self.side

    def train(self, dataset: Dataset, seed: int, device: torch.device) -> Sampler:
        """Tasks of the meta-train classes. Raises `InputError` for bad files, or too few classes or images."""
        if isinstance(dataset, FewShotDataset):
            return self._sampler(dataset.meta_train(), None, dataset, seed, device)
        return self._sampler(dataset.train(), range(self._border(dataset)), dataset, seed, device)

    def test(self, dataset: Dataset, seed: int, device: torch.device) -> Sampler:
        """Tasks of the meta-test classes. Raises as `train`."""
        if isinstance(dataset, FewShotDataset):
            return self._sampler(dataset.meta_test(), None, dataset, seed, device)
        return self._sampler(dataset.test(), range(self._border(dataset), dataset.classes), dataset, seed, device)

    def _border(self, dataset: Dataset) -> int:
        require(
            self.train_classes < dataset.classes,
            f"episodes.train_classes={self.train_classes}: must leave some of the {dataset.classes} classes of dataset "
            f"{dataset.name} for meta-test",
        )
        return self.train_classes

    def _sampler(
        self, source: Source, classes: Sequence[int] | None, dataset: Dataset, seed: int, device: torch.device
    ) -> Sampler:
        labels = torch.cat([labels for _, labels in source.batches(_chunks(len(source)), torch.device("cpu"))])
        wanted = range(int(labels.max()) + 1) if classes is None else classes
        images = [torch.nonzero(labels == label).flatten() for label in wanted]
        needed = self.shots + self.queries
        for label, numbers in zip(wanted, images, strict=True):
            require(
                len(numbers) >= needed,
                f"dataset {dataset.name}: class {label} has {len(numbers)} images, fewer than shots + queries = "
                f"{needed}",
            )
        return Sampler(source, images, self, seed, device)


class Sampler:
    """Episodes by number: the same number gives the same episode, whatever was drawn before.

    Args:
        source: of the images.
        images: for each class the numbers of its images in `source`.
        options: how episodes are made.
        seed: of the draws.
        device: where the images are wanted.
    Raises:
        InputError: fewer classes than ways.
    """

    def __init__(
        self, source: Source, images: Sequence[Tensor], options: Episodes, seed: int, device: torch.device
    ) -> None:
        self._source, self._images, self._options, self._seed, self._device = source, images, options, seed, device
        self._turns = QUARTER_TURNS if options.rotations else 1
        require(
            self.classes >= options.ways,
            f"episodes.ways={options.ways}: there are only {self.classes} classes to make tasks of",
        )

    @property
    def classes(self) -> int:
        """How many classes tasks are made of, turned ones included."""
        return self._turns * len(self._images)

    def halves(self) -> tuple[Sampler, Sampler]:
        """Two samplers on one half of the classes each, with the turned forms of a class on the same side."""
        middle = len(self._images) // 2
        first, second = (
            Sampler(self._source, part, self._options, self._seed, self._device)
            for part in (self._images[:middle], self._images[middle:])
        )
        return first, second

    def episode(self, number: int) -> Episode:
        """The episode of a number. Raises `InputError` for an unreadable picture."""
        options = self._options
        generator = numpy_generator(self._seed, "episode", number)
        chosen = generator.choice(self.classes, options.ways, replace=False)
        per_class = options.shots + options.queries
        numbers, turns = [], []
        for place in chosen.tolist():
            own, turn = divmod(place, self._turns)
            numbers.append(self._images[own][_draw(generator, len(self._images[own]), per_class)])
            turns.append(turn)
        ((raw, _),) = self._source.batches([torch.cat(numbers)], self._device)
        turned = [part.rot90(turn, (-2, -1)) for part, turn in zip(torch.split(raw, per_class), turns, strict=True)]
        images = torch.stack(turned)
        return Episode(self._finished(images[:, : options.shots]), self._finished(images[:, options.shots :]))

    def _finished(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Raw (ways, n, channels, height, width), as the images and labels of a part."""
        ways, count = images.shape[:2]
        labels = torch.arange(ways, device=images.device).repeat_interleave(count)
        mean, std = self._statistics
        flat = (images.flatten(0, 1).float() - mean) / std
        if self._options.side is not None:
            flat = F.interpolate(flat, (self._options.side, self._options.side), mode="area")
        return flat.contiguous(memory_format=torch.channels_last), labels

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        mean, std = (value.to(self._device).view(1, -1, 1, 1) for value in (self._source.mean, self._source.std))
        return mean, std


def _draw(generator: np.random.Generator, count: int, wanted: int) -> Tensor:
    return torch.from_numpy(generator.choice(count, wanted, replace=False))


def _chunks(count: int) -> Sequence[Tensor]:
    return torch.split(torch.arange(count), LABELS_AT_ONCE)
