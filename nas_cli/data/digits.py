"""Handwritten digits that scikit-learn ships: 1,797 grey 8x8 images, so nothing has to be downloaded."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from nas_cli.data.augmentation import PLAIN, Augmentation
from nas_cli.data.base import Dataset, Images
from nas_cli.data.files import hold

TRAINING_IMAGES = 1400  # of 1,797; the other 397 are the test images
SPLIT_SEED = 0  # of the fixed permutation: results of different runs must be about the same test images
MEAN, STD = (4.885546875,), (6.013340158,)  # of the training images, in raw units 0..16


class Digits(Dataset):
    """The test part of the UCI optical digits, as `sklearn.datasets.load_digits` gives it.

    Args:
        name: the name under which it was configured.
        augmentation: off by default; a mirrored digit is another sign.
    Reference: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998.
    """

    input_shape = (1, 8, 8)
    classes = 10

    def __init__(self, name: str, augmentation: Augmentation = PLAIN) -> None:
        super().__init__(name, augmentation)

    def train(self) -> Images:
        return self._all.subset(range(TRAINING_IMAGES))

    def test(self) -> Images:
        return self._all.subset(range(TRAINING_IMAGES, len(self._all)))

    @cached_property
    def _all(self) -> Images:
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        # RandomState, because numpy promises that its stream never changes; a Generator's may.
        order = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
        images = pixels[order].astype(np.uint8).reshape(-1, *self.input_shape)
        return hold([(images, labels[order])], MEAN, STD)
