"""SVHN: street view house numbers, in Matlab files."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from nas_cli.data.augmentation import CROP_AND_FLIP, Augmentation
from nas_cli.data.base import Dataset, Images
from nas_cli.data.files import check, damaged, download, hold, one_line, require

URL = "http://ufldl.stanford.edu/housenumbers/"
MD5 = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}


class Svhn(Dataset):
    """73,257 + 26,032 colour 32x32 images of digits, in root/train_32x32.mat and root/test_32x32.mat.

    The files write the digit 0 as label 10; here it is 0. The "extra" images are not used.

    Args:
        name: the name under which it was configured.
        root: folder of data sets.
        download: fetch missing files.
        augmentation: DARTS' code: crop with padding 4 and mirror, mirrored digits notwithstanding.
    Reference: Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, 2011.
    """

    input_shape = (3, 32, 32)
    classes = 10
    mean = (0.4377 * 255, 0.4438 * 255, 0.4728 * 255)
    std = (0.1980 * 255, 0.2010 * 255, 0.1970 * 255)

    def __init__(
        self, name: str, root: str = "data", download: bool = False, augmentation: Augmentation = CROP_AND_FLIP
    ) -> None:
        super().__init__(name, augmentation)
        self._root = Path(root).expanduser()
        self._fetch = download

    def train(self) -> Images:
        return self._train

    def test(self) -> Images:
        return self._test

    @cached_property
    def _train(self) -> Images:
        return self._read("train_32x32.mat")

    @cached_property
    def _test(self) -> Images:
        return self._read("test_32x32.mat")

    def _read(self, file: str) -> Images:
        from scipy.io import loadmat

        path = self._root / file

        def fetch() -> None:
            download(self.name, URL + file, self._root, MD5[file])

        require(self.name, [path], fetch if self._fetch else None)
        try:
            content = loadmat(path, variable_names=["X", "y"])
        except Exception as error:  # damaged bytes can raise nearly anything here
            raise damaged(self.name, path, f"not a Matlab file ({one_line(error)})") from None
        if not ("X" in content and "y" in content):
            raise damaged(self.name, path, "has no images 'X' and labels 'y'")
        pixels, labels = content["X"], content["y"].ravel()
        if pixels.ndim == 4:
            pixels = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))  # stored (height, width, channels, n)
        if labels.dtype.kind in "iu":
            labels = np.where(labels == 10, 0, labels)
        check(self.name, path, pixels, labels, self.input_shape, self.classes)
        return hold([(pixels, labels)], self.mean, self.std)
