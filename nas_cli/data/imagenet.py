"""ImageNet (ILSVRC2012) as folders of pictures: streamed, since it does not fit in memory."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch

from nas_cli.data.augmentation import Augmentation
from nas_cli.data.base import Dataset, Source
from nas_cli.data.class_folders import check_same_classes, classes_in
from nas_cli.data.colour import PHOTOGRAPHS
from nas_cli.data.splits import split_by_class
from nas_cli.data.streamed import Streamed
from nas_cli.data.windows import Windows
from nas_cli.errors import InputError, require

# Of the training images, raw; as in the code of DARTS and nearly everywhere.
MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)


class ImageNet(Dataset):
    """1,281,167 + 50,000 photographs in 1,000 classes, in root/train/WNID/*.JPEG and root/val/WNID/*.JPEG.

    Classes are numbered in the order of their sorted WordNet ids (n01440764 is 0). The validation pictures are the test
    images, as everywhere. In training a random window of each picture is seen, in a test the centre.

    Args:
        name: the name under which it was configured.
        root: the folder.
        size: side of the images in pixels. Paper: 224.
        resize: length of a picture's shorter side before the centre is cut out for a test. Paper: 256.
        smallest_area: least share of a picture that a random window covers; None: the centre in training too.
        search_share: share of each class's training images that a search uses. PC-DARTS: 0.125, of which
            0.8 go to the weights (the estimator's split): 10 % and 2.5 % of the images.
        workers: processes that decode.
        augmentation: DARTS: mirror, and colours by 0.4, 0.4, 0.4 and 0.2.
    Raises:
        InputError: an option out of range, here; a wrong layout or an unreadable picture, at first use.
    Reference: Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015, arXiv:1409.0575.
    """

    classes = 1000

    def __init__(
        self,
        name: str,
        root: str = "data/imagenet",
        size: int = 224,
        resize: int = 256,
        smallest_area: float | None = 0.08,
        search_share: float = 1.0,
        workers: int = 8,
        augmentation: Augmentation = PHOTOGRAPHS,
    ) -> None:
        super().__init__(name, augmentation)
        require(size >= 1, f"size must be at least 1 pixel, not {size}")
        require(resize >= size, f"resize must be at least size={size}, not {resize}")
        require(0 < search_share <= 1, f"search_share must be in (0, 1], not {search_share}")
        require(workers >= 0, f"workers must be at least 0, not {workers}")
        self._root = Path(root).expanduser()
        self._size = size
        self._windows = Windows(share=size / resize, smallest_area=smallest_area)
        self._search_share = search_share
        self._workers = workers

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return (3, self._size, self._size)

    def train(self) -> Streamed:
        return self._source(*self._listed[0])

    def test(self) -> Streamed:
        _, (paths, labels) = self._listed
        if not paths:
            folder = self._root / "val"
            raise InputError(
                f"dataset {self.name}: no class folders in {folder}; sort the validation pictures into {folder}/WNID"
            )
        return self._source(paths, labels)

    def search_split(self, fraction: float = 0.5) -> tuple[Source, Source]:
        """As of `Dataset`, but of each class the same share, together `search_share` of its images."""
        _, labels = self._listed[0]
        return split_by_class(self.name, self.train(), labels, fraction, self._search_share)

    @cached_property
    def _listed(self) -> tuple[tuple[list[str], list[int]], tuple[list[str], list[int]]]:
        """Files and labels of the training and of the test images; a search needs none of the latter."""
        folder, other = self._root / "train", self._root / "val"
        names, paths, labels = classes_in(self.name, folder)
        if not names:
            raise InputError(
                f"dataset {self.name}: no class folders in {folder}; put ImageNet there, or set dataset.root"
            )
        if len(names) != self.classes:
            raise InputError(f"dataset {self.name}: {folder} holds {len(names)} class folders, not {self.classes}")
        tested, test_paths, test_labels = classes_in(self.name, other)
        if tested:
            check_same_classes(self.name, folder, names, other, tested)
        return (paths, labels), (test_paths, test_labels)

    def _source(self, paths: list[str], labels: list[int]) -> Streamed:
        mean, std = torch.tensor(MEAN), torch.tensor(STD)
        return Streamed(paths, torch.tensor(labels), 3, self._size, mean, std, self._workers, self._windows)
