"""Augmentation of whole batches on the device: random crop and flip of raw images, cutout of normalised ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nas_cli.errors import InputError


@dataclass(frozen=True)
class Augmentation:
    """Random crop, then mirror, then (after normalisation) cutout, drawn for each image of a batch on its own.

    Args:
        crop_padding: black pixels added on every side before a crop back to the old size; 0 is off. DARTS: 4 on 32x32.
        flip: mirror left and right with probability 1/2.
        cutout: side of the erased square; 0 is off. Cutout paper, section 4.1, and DARTS' evaluation: 16 on 32x32.
    Raises:
        InputError: an option is negative here, or too large for the images in `check` and when it is applied.
    Reference: DeVries and Taylor, Cutout, 2017, arXiv:1708.04552; Liu et al., DARTS, ICLR 2019, arXiv:1806.09055, A.1.
    """

    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0

    def __post_init__(self) -> None:
        for option, value in (("crop_padding", self.crop_padding), ("cutout", self.cutout)):
            if value < 0:
                raise InputError(f"augmentation.{option}={value}: must be 0 (off) or more")

    def check(self, input_shape: tuple[int, int, int]) -> None:
        """Raise `InputError` where an option is too large for images of (channels, height, width)."""
        self._check_padding(*input_shape[1:])
        self._check_cutout(*input_shape[1:])

    def geometric(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Crop and mirror raw images: what the crop adds is 0 in raw units, so black.

        Args:
            raw: (batch, channels, height, width), any type.
            generator: on the images' device.
        Returns: the same shape and type.
        Raises: InputError if the padding is not smaller than the image.
        """
        batch, _, height, width = raw.shape
        padding, device = self.crop_padding, raw.device
        self._check_padding(height, width)
        if not (padding or self.flip):
            return raw
        rows = torch.arange(height, device=device).expand(batch, height)
        columns = torch.arange(width, device=device).expand(batch, width)
        if padding:
            top, left = torch.randint(0, 2 * padding + 1, (2, batch, 1), device=device, generator=generator)
            rows, columns = rows + top, columns + left
            raw = functional.pad(raw, (padding, padding, padding, padding))
        if self.flip:
            mirrored = torch.randint(0, 2, (batch, 1), device=device, generator=generator).bool()
            columns = torch.where(mirrored, columns.flip(1), columns)
        image = torch.arange(batch, device=device)[:, None, None]
        # One gather for crop and flip. Its result is (batch, height, width, channels): channels_last without a copy.
        return raw[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def colour(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Change the colours of raw images: here not at all.

        Args:
            raw: (batch, channels, height, width), any type.
            generator: on the images' device.
        Returns: the same shape and units, this type or floating point.
        """
        return raw

    def erase(self, normalised: Tensor, generator: torch.Generator) -> Tensor:
        """Cutout: set one square of each image to 0, its centre uniform over all pixels, clipped at the border.

        Args:
            normalised: (batch, channels, height, width), floating point.
            generator: on the images' device.
        Returns: a new tensor of the same shape (the same tensor where cutout is off).
        Raises: InputError if the square is larger than the image.
        """
        if not self.cutout:
            return normalised
        batch, _, height, width = normalised.shape
        self._check_cutout(height, width)
        down = self._covered(height, batch, normalised.device, generator)
        across = self._covered(width, batch, normalised.device, generator)
        return normalised.masked_fill((down[:, :, None] & across[:, None, :])[:, None], 0.0)

    def _check_padding(self, height: int, width: int) -> None:
        if self.crop_padding >= min(height, width):
            raise InputError(
                f"augmentation.crop_padding={self.crop_padding}: must be below the image side {min(height, width)} "
                f"(images are {height}x{width})"
            )

    def _check_cutout(self, height: int, width: int) -> None:
        if self.cutout > min(height, width):
            raise InputError(
                f"augmentation.cutout={self.cutout}: must be at most the image side {min(height, width)} "
                f"(images are {height}x{width})"
            )

    def _covered(self, side: int, batch: int, device: torch.device, generator: torch.Generator) -> Tensor:
        """Which positions along one axis the square covers: (batch, side), [centre - cutout/2, centre + cutout/2)."""
        first = torch.randint(0, side, (batch, 1), device=device, generator=generator) - self.cutout // 2
        position = torch.arange(side, device=device)
        return (position >= first) & (position < first + self.cutout)


# What data sets apply by default.
PLAIN = Augmentation()
CROP_AND_FLIP = Augmentation(crop_padding=4, flip=True)
CROP_2_AND_FLIP = Augmentation(crop_padding=2, flip=True)
