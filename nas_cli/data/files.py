"""What every data set that is read from files shares: missing files, downloads, and checks of what was read."""

from __future__ import annotations

import http.client
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from nas_cli.data.base import Images
from nas_cli.errors import InputError

Array = np.ndarray[Any, Any]


def one_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def damaged(name: str, path: Path | str, what: str) -> InputError:
    """The error for a file of data set `name` that is there and is not what it should be."""
    return InputError(f"dataset {name}: {path}: {what}")


def require(name: str, paths: Sequence[Path], fetch: Callable[[], None] | None) -> None:
    """See to it that all files are there.

    Args:
        name: of the data set.
        paths: the files that are needed.
        fetch: downloads them; None where that was not asked for.
    Raises:
        InputError: a file is missing and was not to be downloaded, or the download did not bring it.
    """
    missing = _first_missing(paths)
    if missing is None:
        return
    if fetch is None:
        raise InputError(f"dataset {name}: missing {missing}; put it there, set dataset.root, or dataset.download=true")
    folder = missing.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The runs of a sweep start together, and only one of them may download.
        with FileLock(folder / f".{name}.lock"):
            if _first_missing(paths) is not None:
                fetch()
    except OSError as error:
        raise InputError(f"dataset {name}: cannot write to {folder} ({one_line(error)}); set dataset.root") from None
    missing = _first_missing(paths)
    if missing is not None:
        raise InputError(f"dataset {name}: the download did not bring {missing}")


def download(name: str, url: str, folder: Path, md5: str, extract: bool = False) -> None:
    """Download one file into a folder, and unpack it there if `extract`. Raises `InputError` if that fails."""
    from torchvision.datasets import utils

    get = utils.download_and_extract_archive if extract else utils.download_url
    try:
        get(url, str(folder), md5=md5)
    except (OSError, RuntimeError, EOFError, http.client.HTTPException, tarfile.TarError, zlib.error) as error:
        raise InputError(
            f"dataset {name}: the download of {url} failed ({one_line(error)}); put the files into {folder} by hand"
        ) from None


def check(name: str, path: Path, pixels: Any, labels: Any, shape: tuple[int, int, int], classes: int) -> None:
    """Check what one file (or one pair of files) held.

    Args:
        name: of the data set.
        path: the file that the images came from.
        pixels: should be an array (n, *shape) of uint8 with n >= 1.
        labels: should be an array (n,) of integers in [0, classes).
    Raises:
        InputError: it is something else.
    """
    if not (isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape[1:] == shape):
        found = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise damaged(name, path, f"images must be uint8 of shape (n, {', '.join(map(str, shape))}), not {found}")
    if not (isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype.kind in "iu"):
        raise damaged(name, path, "labels must be a list of whole numbers")
    if len(pixels) != len(labels):
        raise damaged(name, path, f"{len(pixels)} images but {len(labels)} labels")
    if len(pixels) == 0:
        raise damaged(name, path, "holds no images")
    if labels.min() < 0 or labels.max() >= classes:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise damaged(name, path, f"label {wrong} is outside the {classes} classes (0..{classes - 1})")


def hold(parts: Sequence[tuple[Array, Array]], mean: Sequence[float], std: Sequence[float]) -> Images:
    """One source from checked (pixels, labels) parts, in this order."""
    pixels = np.concatenate([part for part, _ in parts])
    labels = np.concatenate([part for _, part in parts]).astype(np.int64)
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels), mean, std)


def _first_missing(paths: Sequence[Path]) -> Path | None:
    return next((path for path in paths if not path.is_file()), None)
