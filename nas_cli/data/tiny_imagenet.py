"""Tiny-ImageNet: 200 classes of ImageNet at 64x64."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch

from nas_cli.data.augmentation import CROP_AND_FLIP, Augmentation
from nas_cli.data.base import Dataset, Images, Source
from nas_cli.data.class_folders import pictures
from nas_cli.data.files import damaged, download, one_line, require
from nas_cli.data.imagenet import MEAN, STD
from nas_cli.data.pictures import decode_all
from nas_cli.data.splits import split_by_class
from nas_cli.data.streamed import Streamed
from nas_cli.errors import InputError

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
SIZE = 64
WNIDS, ANNOTATIONS = "wnids.txt", "val/val_annotations.txt"


class TinyImageNet(Dataset):
    """100,000 + 10,000 colour 64x64 photographs in 200 classes, in root/tiny-imagenet-200.

    The folder holds wnids.txt, train/WNID/images/*.JPEG, val/images/*.JPEG and val/val_annotations.txt. Classes are
    numbered in the order of wnids.txt. The test images have no public labels, so the validation images are the test.

    Args:
        name: the name under which it was configured.
        root: folder of data sets.
        download: fetch the archive if files are missing.
        memory_mb: MiB of decoded images up to which all are held in memory (they have 1,290); beyond, they are read
            again each time.
        workers: threads (held) or processes (streamed) that decode.
        augmentation: crop with padding 4 and mirror.
    Raises:
        InputError: an option out of range, here; missing or damaged files, at first use.
    Reference: Le and Yang, Tiny ImageNet Visual Recognition Challenge, Stanford CS 231N, 2015. Mean and std are those
        of ImageNet.
    """

    input_shape = (3, SIZE, SIZE)
    classes = 200

    def __init__(
        self,
        name: str,
        root: str = "data",
        download: bool = False,
        memory_mb: int = 2048,
        workers: int = 2,
        augmentation: Augmentation = CROP_AND_FLIP,
    ) -> None:
        super().__init__(name, augmentation)
        for option, value in (("memory_mb", memory_mb), ("workers", workers)):
            if value < 0:
                raise InputError(f"dataset.{option}={value}: must be 0 or more")
        self._root = Path(root).expanduser()
        self._folder = self._root / "tiny-imagenet-200"
        self._fetch = download
        self._memory = memory_mb * 2**20
        self._workers = workers

    def train(self) -> Source:
        return self._train

    def test(self) -> Source:
        return self._test

    def search_split(self, fraction: float = 0.5) -> tuple[Source, Source]:
        """As of `Dataset`, but of each class the same share: they are stored class by class."""
        return split_by_class(self.name, self._train, self._train_files[1], fraction)

    @cached_property
    def _train(self) -> Source:
        return self._source(*self._train_files)

    @cached_property
    def _test(self) -> Source:
        return self._source(*self._test_files)

    def _source(self, paths: list[str], labels: list[int]) -> Source:
        count = len(self._train_files[0]) + len(self._test_files[0])
        if count * 3 * SIZE**2 <= self._memory:
            return Images(decode_all(paths, 3, SIZE, self._workers), torch.tensor(labels), MEAN, STD)
        mean, std = torch.tensor(MEAN), torch.tensor(STD)
        return Streamed(paths, torch.tensor(labels), 3, SIZE, mean, std, self._workers)

    @cached_property
    def _train_files(self) -> tuple[list[str], list[int]]:
        """All training pictures class by class, and their classes."""
        paths, labels = [], []
        for wnid, label in self._classes.items():
            folder = self._folder / "train" / wnid / "images"
            found = pictures(folder)
            if not found:
                raise damaged(self.name, folder, f"holds no pictures of class {wnid}")
            paths += found
            labels += [label] * len(found)
        return paths, labels

    @cached_property
    def _test_files(self) -> tuple[list[str], list[int]]:
        """All validation pictures in the order of their list, and their classes."""
        paths, labels = [], []
        path, folder = self._folder / ANNOTATIONS, self._folder / "val" / "images"
        for number, line in enumerate(self._lines(ANNOTATIONS), start=1):
            file, wnid, *_ = [*line.split("\t"), "", ""]  # four more columns say where the object is
            if wnid not in self._classes:
                raise damaged(self.name, path, f"line {number} must be a file and a class of wnids.txt, not {line!r}")
            paths.append(str(folder / file))
            labels.append(self._classes[wnid])
        return paths, labels

    @cached_property
    def _classes(self) -> dict[str, int]:
        """The number of each WordNet id."""
        wnids = self._lines(WNIDS)
        if len(set(wnids)) != self.classes or len(wnids) != self.classes:
            path = self._folder / WNIDS
            raise damaged(self.name, path, f"must list {self.classes} different classes, not {len(set(wnids))}")
        return {wnid: number for number, wnid in enumerate(wnids)}

    def _lines(self, file: str) -> list[str]:
        """The lines of a text file that are not empty."""
        fetch = self._download if self._fetch else None
        require(self.name, [self._folder / WNIDS, self._folder / ANNOTATIONS], fetch)
        path = self._folder / file
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise damaged(self.name, path, f"cannot be read ({one_line(error)})") from None
        return [line.strip() for line in lines if line.strip()]

    def _download(self) -> None:
        download(self.name, URL, self._root, MD5, extract=True)
