"""Random changes of colour, for photographs: each image of a batch on its own, in batched tensor operations.

Reference: Howard, Some Improvements on Deep Convolutional Neural Network Based Image Classification, 2013,
arXiv:1312.5402, section 2.2; with these four steps in the code of DARTS (Liu, Simonyan, Yang, ICLR 2019) for ImageNet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_cli.data.augmentation import Augmentation
from nas_cli.errors import InputError, require

LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)
WHITE = 255  # of raw images
Step = Callable[[Tensor, Tensor], Tensor]  # images and a strength for each -> images


@dataclass(frozen=True)
class PhotographAugmentation(Augmentation):
    """Crop and mirror, then random brightness, contrast, saturation and hue in random order, then cutout.

    Args:
        crop_padding, flip, cutout: as of `Augmentation`.
        brightness: factors are uniform in [1 - brightness, 1 + brightness], from 0. DARTS on ImageNet: 0.4.
        contrast: the same, of the distance from the image's mean grey. DARTS: 0.4.
        saturation: the same, of the distance from each pixel's grey. DARTS: 0.4.
        hue: the turn of the colour wheel is uniform in [-hue, hue], at most half a turn. DARTS: 0.2.
    Raises:
        InputError: an option is out of range here; saturation or hue of images without three colours in `check`.
    Differs from the papers' code: between the steps nothing is rounded to whole numbers.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("brightness", "contrast", "saturation"):
            value = getattr(self, option)
            require(value >= 0, f"augmentation.{option}={value}: must be 0 (off) or more")
        require(0 <= self.hue <= 0.5, f"augmentation.hue={self.hue}: must be in [0 (off), 0.5]")

    def check(self, input_shape: tuple[int, int, int]) -> None:
        super().check(input_shape)
        for option in ("saturation", "hue"):
            value = getattr(self, option)
            if value and input_shape[0] != len(LUMA):
                raise InputError(f"augmentation.{option}={value}: grey images have no colours to change; set it to 0")

    def colour(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        steps = self._steps
        if not steps:
            return raw
        images, device = raw.float() / WHITE, raw.device
        # A permutation of the steps and a strength of each step, for every image.
        order = torch.rand(len(raw), len(steps), device=device, generator=generator).argsort(dim=1)
        uniform = torch.rand(len(raw), len(steps), device=device, generator=generator)
        for place in range(len(steps)):
            for number, (step, lowest, highest) in enumerate(steps):
                chosen = order[:, place] == number
                strength = lowest + (highest - lowest) * uniform[chosen, number]
                images[chosen] = step(images[chosen], strength[:, None, None, None])
        return images * WHITE

    @property
    def _steps(self) -> list[tuple[Step, float, float]]:
        """The steps that are on, with the bounds of their strength."""
        factors = ((brighten, self.brightness), (stretch, self.contrast), (saturate, self.saturation))
        steps: list[tuple[Step, float, float]] = [(step, max(0.0, 1 - by), 1 + by) for step, by in factors if by]
        return [*steps, (turn, -self.hue, self.hue)] if self.hue else steps


def brighten(images: Tensor, factor: Tensor) -> Tensor:
    """(n, channels, height, width) in [0, 1] times a factor (n, 1, 1, 1), clipped."""
    return (images * factor).clamp(0, 1)


def stretch(images: Tensor, factor: Tensor) -> Tensor:
    """The distance from each image's mean grey, times a factor (n, 1, 1, 1), clipped."""
    mean = _grey(images).mean(dim=(1, 2, 3), keepdim=True)
    return (mean + factor * (images - mean)).clamp(0, 1)


def saturate(images: Tensor, factor: Tensor) -> Tensor:
    """The distance from each pixel's grey, times a factor (n, 1, 1, 1), clipped."""
    grey = _grey(images)
    return (grey + factor * (images - grey)).clamp(0, 1)


def turn(images: Tensor, angle: Tensor) -> Tensor:
    """The hue of (n, 3, height, width) in [0, 1] moved on by an angle (n, 1, 1, 1), in whole turns.

    Value and saturation stay (the hexcone model, Smith, Color Gamut Transform Pairs, SIGGRAPH 1978).
    """
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    value, darkest = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    chroma = value - darkest
    span = torch.where(chroma > 0, chroma, 1.0)  # grey has no hue; any will do
    sector = torch.where(
        value == red,
        (green - blue) / span,
        torch.where(value == green, 2 + (blue - red) / span, 4 + (red - green) / span),
    )
    # Along the wheel, in sixths of a turn, each colour falls from the value by a trapezium of height chroma.
    sixths = (sector + 6 * angle + torch.tensor([5.0, 3.0, 1.0], device=images.device)[:, None, None]) % 6
    return value - chroma * torch.minimum(sixths, 4 - sixths).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    """(n, 1, height, width); grey images are as they are."""
    if images.shape[1] != len(LUMA):
        return images
    weights = torch.tensor(LUMA, device=images.device)[:, None, None]
    return (images * weights).sum(dim=1, keepdim=True)


# What ImageNet's recipes apply: DARTS, PC-DARTS and P-DARTS.
PHOTOGRAPHS = PhotographAugmentation(flip=True, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2)
