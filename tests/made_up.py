"""A small data set that is made up, and a cell for it."""

from __future__ import annotations

import torch

from nas_cli.architecture import Architecture
from nas_cli.data.augmentation import Augmentation
from nas_cli.data.base import Dataset, Images
from nas_cli.hardware import Hardware
from nas_cli.spaces.darts import DartsSpace

CPU = Hardware("cpu")
OPERATIONS = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
CELL = "sep_conv_3x3:0 + skip_connect:1 | max_pool_3x3:0 + sep_conv_3x3:2 ; concat 2,3"


class MadeUp(Dataset):
    """Grey 8x8 images in three classes: a bright bar whose row says the class, and noise."""

    input_shape = (1, 8, 8)
    classes = 3

    def __init__(self, images: int = 40, augmentation: Augmentation | None = None, scale: float = 1.0) -> None:
        super().__init__("made_up", augmentation or Augmentation())
        self.images = images
        self.scale = scale
        self.reads = {"train": 0, "test": 0}

    def train(self) -> Images:
        self.reads["train"] += 1
        return self._make(self.images, seed=0)

    def test(self) -> Images:
        self.reads["test"] += 1
        return self._make(21, seed=1)

    def _make(self, count: int, seed: int) -> Images:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(count) % 3
        pixels = torch.randint(0, 100, (count, 1, 8, 8), generator=generator)
        for row in range(3):
            pixels[labels == row, :, 2 * row + 1] += 120
        # A deviation of 0 makes every image infinite, and so every loss NaN.
        return Images(pixels.to(torch.uint8), labels, [70.0], [60.0 * self.scale])


def space(channels: int = 2, cells: int = 3, nodes: int = 2) -> DartsSpace:
    return DartsSpace("darts", OPERATIONS, nodes=nodes, channels=channels, cells=cells)


def architecture() -> Architecture:
    return Architecture("darts", (CELL, CELL))
