"""Batched augmentation against per-image references, and its statistics."""

from __future__ import annotations

import pytest
import torch

from nas_cli.data.augmentation import Augmentation
from nas_cli.errors import InputError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distinct(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Raw images without a zero and with no two equal pixels in an image, so that every shift is seen."""
    return 1 + torch.arange(batch * channels * height * width).view(batch, channels, height, width)


def crop(image: torch.Tensor, padding: int, top: int, left: int) -> torch.Tensor:
    """Pixel by pixel: what a window at (top, left) of the image in a black frame shows."""
    height, width = image.shape[1:]
    result = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            y, x = row + top - padding, column + left - padding
            if 0 <= y < height and 0 <= x < width:
                result[:, row, column] = image[:, y, x]
    return result


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 5, 7), (3, 6, 4)])
def test_every_image_is_one_crop_of_itself_and_every_offset_occurs(channels: int, height: int, width: int) -> None:
    padding = 2
    raw = distinct(300, channels, height, width)
    cropped = Augmentation(crop_padding=padding).geometric(raw, seeded())
    assert cropped.shape == raw.shape
    seen = set()
    for before, after in zip(raw, cropped, strict=True):
        matches = [
            (top, left)
            for top in range(2 * padding + 1)
            for left in range(2 * padding + 1)
            if torch.equal(after, crop(before, padding, top, left))
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) == (2 * padding + 1) ** 2


def test_crop_and_flip_together_match_the_per_image_reference() -> None:
    raw = distinct(64, 3, 5, 5)
    result = Augmentation(crop_padding=1, flip=True).geometric(raw, seeded(3))
    mirrored = 0
    for before, after in zip(raw, result, strict=True):
        crops = [crop(before, 1, top, left) for top in range(3) for left in range(3)]
        plain = any(torch.equal(after, one) for one in crops)
        flipped = any(torch.equal(after, one.flip(-1)) for one in crops)
        assert plain != flipped
        mirrored += flipped
    assert 16 <= mirrored <= 48


def test_crop_pads_with_raw_zeros_and_keeps_uint8() -> None:
    raw = torch.full((200, 3, 8, 8), 255, dtype=torch.uint8)
    cropped = Augmentation(crop_padding=4).geometric(raw, seeded())
    assert cropped.dtype == torch.uint8
    assert set(cropped.unique().tolist()) == {0, 255}


def test_flip_only_mirrors_about_half_of_the_images() -> None:
    raw = distinct(1000, 1, 3, 4)
    flipped = Augmentation(flip=True).geometric(raw, seeded())
    is_same = (flipped == raw).flatten(1).all(1)
    is_mirrored = (flipped == raw.flip(-1)).flatten(1).all(1)
    assert bool((is_same ^ is_mirrored).all())
    assert 420 <= int(is_mirrored.sum()) <= 580


def test_cutout_erases_one_clipped_square_with_a_uniform_centre() -> None:
    side, height, width = 4, 6, 5
    images = torch.ones(3000, 2, height, width)
    erased = Augmentation(cutout=side).erase(images, seeded())
    allowed = {}
    for y in range(height):
        for x in range(width):
            expected = torch.ones(2, height, width)
            expected[:, max(y - 2, 0) : y + 2, max(x - 2, 0) : x + 2] = 0
            allowed[expected.numpy().tobytes()] = allowed.get(expected.numpy().tobytes(), 0) + 1
    seen: dict[bytes, int] = {}
    for image in erased:
        seen[image.numpy().tobytes()] = seen.get(image.numpy().tobytes(), 0) + 1
    assert set(seen) == set(allowed)
    for key, centres in allowed.items():
        assert seen[key] == pytest.approx(3000 * centres / (height * width), rel=0.4)
    assert bool((images == 1).all())


def test_mean_cutout_area_is_196_for_16_on_32() -> None:
    # Exactly: the mean over all 32 centres of how much of [c - 8, c + 8) lies inside, squared.
    mean_side = sum(min(c + 8, 32) - max(c - 8, 0) for c in range(32)) / 32
    assert mean_side**2 == 196
    erased = Augmentation(cutout=16).erase(torch.ones(4000, 1, 32, 32), seeded())
    area = (erased == 0).sum().item() / 4000
    assert area == pytest.approx(196, abs=3)  # the standard error is below 1


def test_odd_cutout_keeps_its_side() -> None:
    erased = Augmentation(cutout=3).erase(torch.ones(500, 1, 9, 9), seeded())
    assert int((erased == 0).flatten(1).sum(1).max()) == 9


def test_off_changes_nothing() -> None:
    raw = distinct(4, 3, 8, 8)
    assert torch.equal(Augmentation().geometric(raw, seeded()), raw)
    assert torch.equal(Augmentation().erase(raw.float(), seeded()), raw.float())


def test_same_seed_same_result_and_global_state_untouched() -> None:
    augmentation = Augmentation(crop_padding=2, flip=True, cutout=4)
    raw = distinct(32, 3, 8, 8)
    before = torch.get_rng_state()

    def run(seed: int) -> torch.Tensor:
        generator = seeded(seed)
        return augmentation.erase(augmentation.geometric(raw, generator).float(), generator)

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("options", [{"crop_padding": -1}, {"cutout": -2}])
def test_negative_options_are_refused(options: dict[str, int]) -> None:
    (name, value), *_ = options.items()
    with pytest.raises(InputError, match=rf"augmentation\.{name}={value}: must be 0"):
        Augmentation(**options)


def test_options_too_large_for_the_images_are_refused() -> None:
    images = torch.ones(2, 1, 8, 6)
    with pytest.raises(InputError, match=r"crop_padding=6: .*8x6"):
        Augmentation(crop_padding=6).geometric(images, seeded())
    with pytest.raises(InputError, match=r"cutout=7: .*8x6"):
        Augmentation(cutout=7).erase(images, seeded())


@pytest.mark.parametrize(
    ("augmentation", "told"),
    [
        (Augmentation(crop_padding=6), r"augmentation\.crop_padding=6: must be below the image side 6 .*8x6"),
        (Augmentation(cutout=7), r"augmentation\.cutout=7: must be at most the image side 6 .*8x6"),
    ],
)
def test_sizes_are_checked_without_images(augmentation: Augmentation, told: str) -> None:
    with pytest.raises(InputError, match=told):
        augmentation.check((1, 8, 6))
    augmentation.check((1, 8, 7))
