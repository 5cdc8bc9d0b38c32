"""Colour jitter in batches against an image-by-image reference, and its statistics."""

from __future__ import annotations

import colorsys
import itertools

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from nas_cli.data.augmentation import Augmentation
from nas_cli.data.colour import PHOTOGRAPHS, PhotographAugmentation, brighten, saturate, stretch, turn
from nas_cli.errors import InputError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(batch: int = 6, side: int = 5) -> Tensor:
    return torch.rand(batch, 3, side, side, generator=generator(9))


@pytest.mark.parametrize(
    ("ours", "theirs", "strengths"),
    [
        (brighten, reference.adjust_brightness, (0.0, 0.6, 1.0, 1.7)),
        (stretch, reference.adjust_contrast, (0.0, 0.6, 1.0, 1.7)),
        (saturate, reference.adjust_saturation, (0.0, 0.6, 1.0, 1.7)),
        (turn, reference.adjust_hue, (-0.5, -0.2, 0.0, 0.13, 0.5)),
    ],
)
def test_each_step_is_the_reference_of_each_image(ours, theirs, strengths) -> None:  # type: ignore[no-untyped-def]
    batch = images(len(strengths))
    batch[0, :, 0, 0] = 0.4  # grey, black and white have no hue
    batch[0, :, 0, 1], batch[0, :, 0, 2] = 0.0, 1.0
    result = ours(batch, torch.tensor(strengths)[:, None, None, None])
    wanted = torch.stack([theirs(image, strength) for image, strength in zip(batch, strengths, strict=True)])
    # Their weights of grey are rounded otherwise: .2989 for .299.
    assert torch.allclose(result, wanted, atol=5e-4)


def test_turning_the_hue_pixel_by_pixel() -> None:
    batch = images(1, 4)
    result = turn(batch, torch.full((1, 1, 1, 1), 0.3))
    for row, column in itertools.product(range(4), range(4)):
        hue, saturation, value = colorsys.rgb_to_hsv(*batch[0, :, row, column].tolist())
        wanted = colorsys.hsv_to_rgb((hue + 0.3) % 1, saturation, value)
        assert result[0, :, row, column].tolist() == pytest.approx(wanted, abs=1e-5)


def test_a_batch_is_each_image_on_its_own() -> None:
    """The order and the strengths of every image, drawn again here, applied to it alone."""
    raw = (255 * images(32)).to(torch.uint8)
    augmentation = PhotographAugmentation(brightness=0.4, contrast=0.3, saturation=0.2, hue=0.1)
    batched = augmentation.colour(raw, generator(3))
    again = generator(3)
    orders = torch.rand(32, 4, generator=again).argsort(dim=1).tolist()
    uniform = torch.rand(32, 4, generator=again)
    spans = ((brighten, 0.6, 1.4), (stretch, 0.7, 1.3), (saturate, 0.8, 1.2), (turn, -0.1, 0.1))
    for image, order, numbers, found in zip(raw, orders, uniform, batched, strict=True):
        wanted = image[None].float() / 255
        for number in order:
            step, lowest, highest = spans[number]
            wanted = step(wanted, (lowest + (highest - lowest) * numbers[number]).view(1, 1, 1, 1))
        assert torch.allclose(found, 255 * wanted[0], atol=1e-3)
    assert len({tuple(order) for order in orders}) > 10  # of 24


def test_strengths_are_uniform_in_their_span() -> None:
    raw = torch.full((4000, 1, 1, 1), 100.0)
    factors = PhotographAugmentation(brightness=0.4).colour(raw, generator()).flatten() / 100
    assert factors.min().item() == pytest.approx(0.6, abs=0.002)
    assert factors.max().item() == pytest.approx(1.4, abs=0.002)
    assert factors.mean().item() == pytest.approx(1.0, abs=0.012)  # the standard error is 0.004
    assert factors.var().item() == pytest.approx(0.8**2 / 12, rel=0.05)


def test_off_it_is_the_plain_augmentation() -> None:
    raw = (255 * images()).to(torch.uint8)
    assert PhotographAugmentation().colour(raw, generator()) is raw
    assert Augmentation().colour(raw, generator()) is raw


def test_values_stay_in_the_raw_range_and_the_input_is_left_alone() -> None:
    raw = (255 * images(64)).to(torch.uint8)
    kept = raw.clone()
    result = PhotographAugmentation(brightness=0.9, contrast=0.9, saturation=0.9, hue=0.5).colour(raw, generator())
    assert result.shape == raw.shape
    assert result.min().item() >= -1e-3
    assert result.max().item() <= 255 + 1e-3
    assert torch.equal(raw, kept)


def test_same_seed_same_colours_and_global_state_untouched() -> None:
    before = torch.get_rng_state()
    raw = 255 * images()
    assert torch.equal(PHOTOGRAPHS.colour(raw, generator(1)), PHOTOGRAPHS.colour(raw, generator(1)))
    assert not torch.equal(PHOTOGRAPHS.colour(raw, generator(1)), PHOTOGRAPHS.colour(raw, generator(2)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("option", "value"), [("brightness", -0.1), ("contrast", -1.0), ("saturation", -0.5), ("hue", 0.6), ("hue", -0.1)]
)
def test_ranges(option: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"augmentation\.{option}={value}: must be"):
        PhotographAugmentation(**{option: value})  # type: ignore[arg-type]


def test_grey_images_have_no_colours_to_change() -> None:
    with pytest.raises(InputError, match=r"augmentation\.hue=0\.2: grey images"):
        PhotographAugmentation(hue=0.2).check((1, 8, 8))
    grey = PhotographAugmentation(brightness=0.2, contrast=0.2)
    grey.check((1, 8, 8))
    assert grey.colour(torch.rand(3, 1, 4, 4), generator()).shape == (3, 1, 4, 4)
    with pytest.raises(InputError, match=r"augmentation\.cutout=9"):
        PhotographAugmentation(cutout=9).check((3, 8, 8))
