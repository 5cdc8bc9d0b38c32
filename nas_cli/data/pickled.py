"""CIFAR-10, CIFAR-100 and ImageNet16-120: batches of images in Python pickles, read without running what is in them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nas_cli.data.augmentation import CROP_2_AND_FLIP, CROP_AND_FLIP, Augmentation
from nas_cli.data.base import Dataset, Images
from nas_cli.data.files import Array, check, damaged, download, hold, one_line, require
from nas_cli.errors import InputError

IMAGENET_CLASSES = 1000


def _encode(text: str, encoding: str) -> bytes:
    """How old pickle protocols write bytes: as text in latin1."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in encoding {encoding}")
    return text.encode("latin1")


# What arrays and numbers are made of, under the module names that numpy 1 and numpy 2 write.
_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
    **{
        (f"numpy.{core}.{module}", function): value.__reduce_ex__(protocol)[0]
        for core in ("core", "_core")
        for module, function, value, protocol in (
            ("multiarray", "_reconstruct", np.zeros(1), 2),
            ("multiarray", "scalar", np.int64(0), 2),
            ("numeric", "_frombuffer", np.zeros(1), 5),
        )
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is not admitted") from None


def read_pickle(name: str, path: Path) -> dict[str, Any]:
    """The dictionary in a pickle file that holds nothing but numpy arrays and plain containers.

    Args:
        name: of the data set, for errors.
        path: written by Python 2 or 3; keys may be bytes.
    Raises:
        InputError: anything else, also a pickle that would call other code; nothing of it is run.
    """
    try:
        content = _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except Exception as error:  # damaged bytes can raise nearly anything here
        raise damaged(name, path, f"not a pickled batch of images ({one_line(error)})") from None
    if not isinstance(content, dict):
        raise damaged(name, path, f"must hold a dictionary, not a {type(content).__name__}")
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in content.items()}


def read_batch(name: str, path: Path, shape: tuple[int, int, int], key: str) -> tuple[Any, Any]:
    """Images (n, *shape) and labels (n,) of one file, shapes made right where they can be, types not yet checked.

    Args:
        name: of the data set, for errors.
        path: of the pickle.
        shape: (channels, height, width); rows of ``data`` hold the pixels in this order.
        key: of the labels.
    Raises:
        InputError: no such keys, or rows of another length.
    """
    content = read_pickle(name, path)
    for wanted in ("data", key):
        if wanted not in content:
            raise damaged(name, path, f"has no '{wanted}'")
    pixels = content["data"]
    size = int(np.prod(shape))
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != size:
        raise damaged(name, path, f"'data' must be an array of rows of {size} numbers")
    try:
        labels = np.asarray(content[key])
    except ValueError:
        raise damaged(name, path, f"'{key}' must be a list of whole numbers") from None
    return pixels.reshape(-1, *shape), labels


class _Pickled(Dataset):
    """Files of pickled batches in root/FOLDER.

    Args:
        name: the name under which it was configured.
        augmentation: what a training on it applies.
        root: folder of data sets.
        fetch: whether to download what is missing.
    """

    input_shape: tuple[int, int, int] = (3, 32, 32)
    classes: int
    folder: str
    train_files: tuple[str, ...]
    test_files: tuple[str, ...]
    key: str = "labels"
    url: str  # of the archive
    md5: str
    mean: tuple[float, ...]  # of raw pixels, as is std
    std: tuple[float, ...]

    def __init__(self, name: str, augmentation: Augmentation, root: str, fetch: bool) -> None:
        super().__init__(name, augmentation)
        self._root = Path(root).expanduser()
        self._fetch = fetch

    def train(self) -> Images:
        return self._train

    def test(self) -> Images:
        return self._test

    @cached_property
    def _train(self) -> Images:
        return self._read(self.train_files)

    @cached_property
    def _test(self) -> Images:
        return self._read(self.test_files)

    def _read(self, files: Sequence[str]) -> Images:
        paths = [self._root / self.folder / file for file in files]
        fetch: Callable[[], None] | None = self._download if self._fetch else None
        require(self.name, paths, fetch)
        return hold([self._batch(path) for path in paths], self.mean, self.std)

    def _batch(self, path: Path) -> tuple[Array, Array]:
        pixels, labels = read_batch(self.name, path, self.input_shape, self.key)
        check(self.name, path, pixels, labels, self.input_shape, self.classes)
        return pixels, labels

    def _download(self) -> None:
        download(self.name, self.url, self._root, self.md5, extract=True)


class Cifar10(_Pickled):
    """50,000 + 10,000 colour 32x32 photographs in 10 classes, in root/cifar-10-batches-py.

    Args:
        name: the name under which it was configured.
        root: folder of data sets.
        download: fetch the archive if files are missing.
        augmentation: DARTS: crop with padding 4 and mirror.
    Reference: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Mean and std as in DARTS' code.
    """

    classes = 10
    folder = "cifar-10-batches-py"
    train_files = tuple(f"data_batch_{number}" for number in range(1, 6))
    test_files = ("test_batch",)
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    md5 = "c58f30108f718f92721af3b95e74349a"
    mean = (0.49139968 * 255, 0.48215827 * 255, 0.44653124 * 255)
    std = (0.24703233 * 255, 0.24348505 * 255, 0.26158768 * 255)

    def __init__(
        self, name: str, root: str = "data", download: bool = False, augmentation: Augmentation = CROP_AND_FLIP
    ) -> None:
        super().__init__(name, augmentation, root, download)


class Cifar100(_Pickled):
    """50,000 + 10,000 colour 32x32 photographs in 100 (fine) classes, in root/cifar-100-python.

    Args and reference: as `Cifar10`.
    """

    classes = 100
    folder = "cifar-100-python"
    train_files = ("train",)
    test_files = ("test",)
    key = "fine_labels"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    mean = (0.5071 * 255, 0.4865 * 255, 0.4409 * 255)
    std = (0.2673 * 255, 0.2564 * 255, 0.2762 * 255)

    def __init__(
        self, name: str, root: str = "data", download: bool = False, augmentation: Augmentation = CROP_AND_FLIP
    ) -> None:
        super().__init__(name, augmentation, root, download)


class ImageNet16(_Pickled):
    """ImageNet16-120: the first 120 classes of ImageNet at 16x16, in root/ImageNet16.

    About 151,700 training images; NAS-Bench-201 calls the 6,000 validation images its validation and test halves.
    Labels in the files count from 1 and go to 1000; other classes are dropped here.

    Args:
        name: the name under which it was configured.
        root: folder of data sets.
        download: there is nothing to download without an account; says where to get it.
        augmentation: NAS-Bench-201: crop with padding 2 and mirror.
    Reference: Chrabaszcz, Loshchilov, Hutter, A downsampled variant of ImageNet, 2017, arXiv:1707.08819; Dong and Yang,
        NAS-Bench-201, ICLR 2020, arXiv:2001.00326, section 2.2 and its code for mean and std.
    """

    input_shape = (3, 16, 16)
    classes = 120
    folder = "ImageNet16"
    train_files = tuple(f"train_data_batch_{number}" for number in range(1, 11))
    test_files = ("val_data",)
    mean = (122.68, 116.66, 104.01)
    std = (63.22, 61.26, 65.09)

    def __init__(
        self, name: str, root: str = "data", download: bool = False, augmentation: Augmentation = CROP_2_AND_FLIP
    ) -> None:
        super().__init__(name, augmentation, root, download)

    def _batch(self, path: Path) -> tuple[Array, Array]:
        pixels, labels = read_batch(self.name, path, self.input_shape, self.key)
        if labels.dtype.kind in "iu":
            labels = labels.astype(np.int64) - 1
        check(self.name, path, pixels, labels, self.input_shape, IMAGENET_CLASSES)
        kept = labels < self.classes
        if not kept.any():
            raise damaged(self.name, path, f"holds no image of the first {self.classes} classes")
        return pixels[kept], labels[kept]

    def _download(self) -> None:
        raise InputError(
            f"dataset {self.name}: no download without an account; get the 16x16 images at "
            f"https://image-net.org/download-images and unpack them into {self._root / self.folder}"
        )
