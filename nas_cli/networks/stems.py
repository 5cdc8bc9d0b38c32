"""Stems: the first layers of a stack of cells, which make its two inputs from the image.

Reference: Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019, arXiv:1806.09055, app. A.1;
the stem for ImageNet is that of its code.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from nas_cli.errors import require

StemName = Literal["cifar", "imagenet"]
STEM_MULTIPLIER = 3  # width of a CIFAR stem (and of both stems in a search), in channels of the first cells


class CifarStem(nn.Sequential):
    """One convolution that keeps the side; both inputs of the first cell are its output.

    Args:
        inputs: channels of the images.
        width: channels of the output.
    Attributes:
        multiplier: the derived network's width, in channels of its first cells.
        halvings: how often the second output's side is halved.
        reduces: whether the first output has twice the side of the second.
    Shape:
        x: (batch, inputs, height, width)
        returns: twice the same (batch, width, height, width)
    """

    multiplier = STEM_MULTIPLIER
    halvings = 0
    reduces = False

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        output: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return output, output


class ImageNetStem(nn.Module):
    """Three convolutions of stride 2; the inputs of the first cell are what the second and the third of them make.

    Args and attributes: as `CifarStem`; `width` must be even.
    Shape:
        x: (batch, inputs, height, width), both sides multiples of 8
        returns: (batch, width, height / 4, width / 4) and (batch, width, height / 8, width / 8)
    """

    multiplier = 1
    halvings = 3
    reduces = True

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        require(width % 2 == 0, f"a stem for ImageNet makes an even number of channels, not {width}")
        self.quarter = nn.Sequential(
            nn.Conv2d(inputs, width // 2, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.eighth = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.quarter(x)
        return first, self.eighth(first)


STEMS: dict[StemName, type[CifarStem | ImageNetStem]] = {"cifar": CifarStem, "imagenet": ImageNetStem}
