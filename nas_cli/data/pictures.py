"""Single picture files: what their header says, and a window of their pixels as a small square."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_cli.data.files import one_line
from nas_cli.data.windows import Box, centred_square
from nas_cli.errors import InputError

ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
GREY_16_BIT = {"I", "I;16", "I;16B", "I;16L", "I;16N"}  # modes in which PIL gives 16-bit grey
GREY = {"1", "L", "LA", "F"} | GREY_16_BIT
CHUNK = 256  # pictures decoded at a time: bounds the memory, and the wait after a damaged file


def read_header(path: str) -> tuple[int, bool]:
    """(shorter side in pixels, whether the picture is grey) without decoding it.

    Raises: InputError naming the file if it is not a picture.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return min(picture.size), picture.mode in GREY
    except Exception as error:  # a damaged file can raise nearly anything here
        raise _unreadable(path, error) from None


def decode(path: str, channels: int, size: int, box: Callable[[int, int], Box] = centred_square) -> Tensor:
    """A window of a picture, by default the largest centred square, resized.

    The same as to resize the shorter side and then crop the centre, without the large picture in between. The camera's
    note of how it was held is followed; transparency is dropped; of a film the first picture counts.

    Args:
        path: of the picture.
        channels: 1 (grey) or 3 (red, green, blue).
        size: side of the result in pixels.
        box: from a picture's width and height to the window's left, top, right and bottom.
    Returns: (channels, size, size) uint8.
    Raises: InputError naming the file if it is damaged.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode in GREY_16_BIT:
                high_byte = np.clip(np.asarray(picture).astype(np.int64) >> 8, 0, 255)
                picture = Image.fromarray(high_byte.astype(np.uint8))
            picture = picture.convert("L" if channels == 1 else "RGB")
            window = box(picture.width, picture.height)
            pixels = np.array(picture.resize((size, size), Image.Resampling.BILINEAR, box=window))
    except Exception as error:  # a damaged file can raise nearly anything here
        raise _unreadable(path, error) from None
    return torch.from_numpy(pixels).view(size, size, channels).permute(2, 0, 1).contiguous()


def decode_all(paths: Sequence[str], channels: int, size: int, workers: int) -> Tensor:
    """Pictures as `decode` gives them, decoded by so many threads: (n, channels, size, size) uint8."""
    pixels = torch.empty(len(paths), channels, size, size, dtype=torch.uint8)
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for start in range(0, len(paths), CHUNK):
            chunk = paths[start : start + CHUNK]
            jobs = pool.map(decode, chunk, [channels] * len(chunk), [size] * len(chunk))
            for offset, picture in enumerate(jobs):
                pixels[start + offset] = picture
    return pixels


def _unreadable(path: str, error: Exception) -> InputError:
    return InputError(f"{Path(path)}: not a readable picture ({one_line(error)})")
