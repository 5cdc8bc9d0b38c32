"""Which window of a picture is seen: a square in the middle, or in training a random one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from nas_cli.errors import require

ATTEMPTS = 10  # random windows that are tried before a fixed one is taken
DRAWS = 2 * ATTEMPTS + 2  # uniform numbers that decide one window: area and shape of each attempt, then the place
NARROWEST, WIDEST = 3 / 4, 4 / 3  # width / height of a random window

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


def centred_square(width: int, height: int, share: float = 1.0) -> Box:
    """The square in the middle of a picture whose side is this share of the shorter side."""
    side = share * min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def random_window(width: int, height: int, smallest_area: float, draws: Sequence[float]) -> Box:
    """A window of random area and shape at a random place, in whole pixels.

    A function of numbers drawn beforehand: which process decodes a picture, and when, makes no difference.

    Args:
        width, height: of the picture.
        smallest_area: least share of the picture's area; the share is uniform from there to 1.
        draws: `DRAWS` numbers in [0, 1).
    Reference: Szegedy et al., Going Deeper with Convolutions, CVPR 2015, arXiv:1409.4842, section 6.
    """
    *pairs, down, across = draws
    for area, shape in zip(pairs[:ATTEMPTS], pairs[ATTEMPTS:], strict=True):
        pixels = width * height * (smallest_area + (1 - smallest_area) * area)
        ratio = NARROWEST * (WIDEST / NARROWEST) ** shape  # uniform in its logarithm
        w, h = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < w <= width and 0 < h <= height:
            return _at(math.floor(across * (width - w + 1)), math.floor(down * (height - h + 1)), w, h)
    # A very long picture: the largest window in the middle whose shape is allowed.
    w, h = min(width, round(height * WIDEST)), min(height, round(width / NARROWEST))
    return _at((width - w) // 2, (height - h) // 2, w, h)


@dataclass(frozen=True)
class Windows:
    """How the windows of a set of pictures are chosen.

    Args:
        share: side of the centred square, as a share of the shorter side. ImageNet: 224 / 256.
        smallest_area: of the random windows in training. ImageNet: 0.08; None: training sees the centred square too.
    """

    share: float = 1.0
    smallest_area: float | None = None

    def __post_init__(self) -> None:
        require(0 < self.share <= 1, f"share must be in (0, 1], not {self.share}")
        area = self.smallest_area
        require(area is None or 0 < area <= 1, f"smallest_area must be in (0, 1] or null, not {area}")

    def choose(self, draws: Sequence[float] | None) -> Callable[[int, int], Box]:
        """The window as a function of a picture's width and height; random where `DRAWS` numbers are given for it."""
        if self.smallest_area is None or draws is None:
            return partial(centred_square, share=self.share)
        return partial(random_window, smallest_area=self.smallest_area, draws=draws)


def _at(left: int, top: int, width: int, height: int) -> Box:
    return left, top, left + width, top + height


#: All that fits: what data sets of small pictures have.
LARGEST_SQUARE = Windows()
