"""MNIST and Fashion-MNIST: the IDX format, plain or gzipped, laid out as torchvision does."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from nas_cli.data.augmentation import CROP_AND_FLIP, PLAIN, Augmentation
from nas_cli.data.base import Dataset, Images
from nas_cli.data.files import Array, check, damaged, download, hold, one_line, require

UNSIGNED_BYTE = 8  # the third byte of an IDX file: the type of its numbers


def read_idx(name: str, path: Path, dimensions: int) -> Array:
    """The uint8 array in one IDX file: two zero bytes, the type, the number of dimensions, each size, the data.

    Args:
        name: of the data set, for errors.
        path: plain, or gzipped if it ends in ``.gz``.
        dimensions: how many the array must have.
    Raises:
        InputError: another kind of file, or one of the wrong length.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(name, path, f"cannot be read ({one_line(error)})") from None
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
        raise damaged(name, path, f"not an IDX file of bytes in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", data[4:header])
    if len(data) - header != math.prod(shape):
        raise damaged(name, path, f"holds {len(data) - header} bytes of data where its header says {math.prod(shape)}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


class _Idx(Dataset):
    """Two IDX files for each part, in root/FOLDER/raw.

    Args:
        name: the name under which it was configured.
        augmentation: what a training on it applies.
        root: folder of data sets.
        fetch: whether to download what is missing.
    """

    input_shape = (1, 28, 28)
    classes = 10
    folder: str
    url: str
    md5: ClassVar[dict[str, str]]  # of each gzipped file
    mean: float  # of pixel / 255, as is std
    std: float
    installed: Path | None = None  # where a Linux distribution's package puts the same files

    def __init__(self, name: str, augmentation: Augmentation, root: str, fetch: bool) -> None:
        super().__init__(name, augmentation)
        self._raw = Path(root).expanduser() / self.folder / "raw"
        self._fetch = fetch

    def train(self) -> Images:
        return self._train

    def test(self) -> Images:
        return self._test

    @cached_property
    def _train(self) -> Images:
        return self._read("train")

    @cached_property
    def _test(self) -> Images:
        return self._read("t10k")

    def _read(self, part: str) -> Images:
        names = (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
        folder = self._raw
        if self.installed is not None and not any(_present(folder / name).is_file() for name in names):
            folder = self.installed if self.installed.is_dir() else folder
        paths = [_present(folder / name) for name in names]
        if any(not path.is_file() for path in paths):
            paths = [self._fetched(name) for name in names]
        pixels = read_idx(self.name, paths[0], 3)[:, None]
        labels = read_idx(self.name, paths[1], 1)
        check(self.name, paths[0], pixels, labels, self.input_shape, self.classes)
        return hold([(pixels, labels)], [self.mean * 255], [self.std * 255])

    def _fetched(self, name: str) -> Path:
        path = _present(self._raw / name)
        if path.is_file() or not self._fetch:
            require(self.name, [path], None)
            return path
        packed = self._raw / f"{name}.gz"
        require(self.name, [packed], lambda: download(self.name, self.url + packed.name, self._raw, self.md5[name]))
        return packed


class Mnist(_Idx):
    """Handwritten digits: 60,000 + 10,000 grey 28x28 images, in root/MNIST/raw.

    Args:
        name: the name under which it was configured.
        root: folder of data sets.
        download: fetch missing files.
        augmentation: off by default; a mirrored digit is another sign.
    Reference: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998.
    """

    folder = "MNIST"
    url = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    md5: ClassVar = {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    mean, std = 0.1307, 0.3081

    def __init__(
        self, name: str, root: str = "data", download: bool = False, augmentation: Augmentation = PLAIN
    ) -> None:
        super().__init__(name, augmentation, root, download)


class FashionMnist(_Idx):
    """Articles of clothing: 60,000 + 10,000 grey 28x28 images, in root/FashionMNIST/raw.

    Where that folder has none of them, those of Debian's package dataset-fashion-mnist are used if it is installed.

    Args:
        name: the name under which it was configured.
        root: folder of data sets.
        download: fetch missing files.
        augmentation: crop and mirror by default.
    Reference: Xiao, Rasul, Vollgraf, Fashion-MNIST, 2017, arXiv:1708.07747.
    """

    folder = "FashionMNIST"
    url = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    md5: ClassVar = {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    mean, std = 0.2860, 0.3530
    installed = Path("/usr/share/datasets/fashion-mnist")

    def __init__(
        self, name: str, root: str = "data", download: bool = False, augmentation: Augmentation = CROP_AND_FLIP
    ) -> None:
        super().__init__(name, augmentation, root, download)


def _present(path: Path) -> Path:
    """The plain file if it is there, else the gzipped one if that is, else where the plain one belongs."""
    packed = path.with_name(path.name + ".gz")
    return packed if packed.is_file() and not path.is_file() else path
