"""A person's own pictures: one folder per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_cli.data.augmentation import CROP_AND_FLIP, Augmentation
from nas_cli.data.base import Dataset, Images, Source
from nas_cli.data.class_folders import check_same_classes, classes_in, folders
from nas_cli.data.pictures import CHUNK, decode_all, read_header
from nas_cli.data.streamed import Streamed
from nas_cli.errors import InputError

ORDER_SEED = 0  # of the fixed permutation of the files
SMALLEST_SIZE, LARGEST_SIZE = 8, 224  # pixels, bounds of the size that is chosen by default
SIZE_STEP = 4  # two reductions halve the image twice
STATISTICS_PICTURES = 2000  # so many give mean and std to about a hundredth


@dataclass(frozen=True)
class _Part:
    """Picture files in their fixed order, with labels (n,) int64."""

    paths: list[str]
    labels: Tensor

    def cut(self, start: int, stop: int) -> _Part:
        return _Part(self.paths[start:stop], self.labels[start:stop])


@dataclass(frozen=True)
class _Found:
    """What the folder holds, known from names and headers alone."""

    train: _Part
    test: _Part | None
    classes: int
    channels: int
    size: int


class ImageFolder(Dataset):
    """Pictures in root/train/CLASS/* and root/test/CLASS/*, or in root/CLASS/*, which is then split.

    Sizes, colour modes and counts may differ. Files that do not end like a picture, and hidden ones, are passed over.
    Images are grey if every picture is, else in colour.

    Args:
        name: the name under which it was configured.
        root: the folder.
        size: side of the images in pixels; None takes the median shorter side, rounded down to a multiple of 4, in
            [8, 224].
        test_fraction: share of root/CLASS/* that is held back for test; unused where there is root/test.
        memory_mb: MiB of decoded images up to which all are held in memory; beyond, they are read again each time.
        workers: threads (held) or processes (streamed) that decode.
        augmentation: crop and mirror by default.
    Raises:
        InputError: an option out of range, here; a wrong layout or an unreadable picture, at first use.
    """

    def __init__(
        self,
        name: str,
        root: str = "data/pictures",
        size: int | None = None,
        test_fraction: float = 0.2,
        memory_mb: int = 1024,
        workers: int = 2,
        augmentation: Augmentation = CROP_AND_FLIP,
    ) -> None:
        super().__init__(name, augmentation)
        if size is not None and size < 1:
            raise InputError(f"dataset.size={size}: must be 1 pixel or more, or null")
        if not 0 < test_fraction < 1:
            raise InputError(f"dataset.test_fraction={test_fraction}: must be between 0 and 1")
        for option, value in (("memory_mb", memory_mb), ("workers", workers)):
            if value < 0:
                raise InputError(f"dataset.{option}={value}: must be 0 or more")
        self._root = Path(root).expanduser()
        self._size = size
        self._test_fraction = test_fraction
        self._memory = memory_mb * 2**20
        self._workers = workers

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return (self._found.channels, self._found.size, self._found.size)

    @property
    def classes(self) -> int:
        return self._found.classes

    def train(self) -> Source:
        return self._train

    def test(self) -> Source:
        return self._test

    @cached_property
    def _train(self) -> Source:
        return self._source(self._found.train)

    @cached_property
    def _test(self) -> Source:
        if self._found.test is None:
            raise InputError(f"dataset {self.name}: missing {self._root / 'test'}; put the test pictures there")
        return self._source(self._found.test)

    @cached_property
    def _found(self) -> _Found:
        apart = any(folders(self._root / "train"))
        folder = self._root / "train" if apart else self._root
        if not any(folders(folder)):
            raise InputError(
                f"dataset {self.name}: no class folders in {folder}; put pictures into {folder}/CLASS, "
                "or set dataset.root"
            )
        names, train = self._listed(folder)
        if len(names) < 2:
            raise InputError(f"dataset {self.name}: {folder} has one class folder, {names[0]}; at least 2 are needed")
        test = None
        if not apart:
            test_count = min(max(round(self._test_fraction * len(train.paths)), 1), len(train.paths) - 1)
            train, test = train.cut(test_count, len(train.paths)), train.cut(0, test_count)
        elif (self._root / "test").is_dir():
            test_names, test = self._listed(self._root / "test")
            check_same_classes(self.name, folder, names, self._root / "test", test_names)
        headers = [read_header(path) for path in train.paths + (test.paths if test is not None else [])]
        channels = 1 if all(grey for _, grey in headers) else 3
        return _Found(train, test, len(names), channels, self._size or _fitting([side for side, _ in headers]))

    def _listed(self, folder: Path) -> tuple[list[str], _Part]:
        """Class names in order, and all their pictures in the fixed permutation: stored order is not class by class."""
        names, paths, labels = classes_in(self.name, folder)
        # RandomState, because numpy promises that its stream never changes; a Generator's may.
        order = np.random.RandomState(ORDER_SEED).permutation(len(paths))
        return names, _Part([paths[index] for index in order], torch.tensor(labels)[torch.from_numpy(order)])

    def _source(self, part: _Part) -> Source:
        found = self._found
        pictures = len(found.train.paths) + (len(found.test.paths) if found.test is not None else 0)
        mean, std = self._statistics
        if pictures * found.channels * found.size**2 <= self._memory:
            return Images(self._decoded(part), part.labels, mean, std)
        return Streamed(part.paths, part.labels, found.channels, found.size, mean, std, self._workers)

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and std (channels,) of the first training pictures; their order is random already."""
        part = self._found.train.cut(0, STATISTICS_PICTURES)
        counts = torch.zeros(self._found.channels, 256, dtype=torch.float64)
        for start in range(0, len(part.paths), CHUNK):
            pixels = self._decoded(part.cut(start, start + CHUNK))
            for channel, count in enumerate(counts):
                count += torch.bincount(pixels[:, channel].flatten(), minlength=256)
        value = torch.arange(256, dtype=torch.float64)
        total = counts.sum(1)
        mean = counts @ value / total
        variance = (counts * (value - mean[:, None]).square()).sum(1) / total
        std = torch.where(variance > 0, variance.sqrt(), 1.0)  # pictures of one colour: do not divide by 0
        return mean.float(), std.float()

    def _decoded(self, part: _Part) -> Tensor:
        """(n, channels, size, size) uint8."""
        return decode_all(part.paths, self._found.channels, self._found.size, self._workers)


def _fitting(sides: Sequence[int]) -> int:
    """The default size for pictures with these shorter sides."""
    size = int(np.median(sides)) // SIZE_STEP * SIZE_STEP
    return min(max(size, SMALLEST_SIZE), LARGEST_SIZE)
