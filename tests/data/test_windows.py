"""Windows of pictures: the centred square, and random windows against a reference and their distribution."""

from __future__ import annotations

import math

import pytest
import torch

from nas_cli.data.windows import ATTEMPTS, DRAWS, Windows, centred_square, random_window
from nas_cli.errors import InputError


def draws(windows: int, seed: int = 0) -> list[list[float]]:
    generator = torch.Generator().manual_seed(seed)
    numbers: list[list[float]] = torch.rand(windows, DRAWS, generator=generator, dtype=torch.float64).tolist()
    return numbers


def first_attempt(area: float, shape: float, down: float, across: float) -> list[float]:
    """The numbers of a window whose first attempt has this area and shape."""
    return [area] * ATTEMPTS + [shape] * ATTEMPTS + [down, across]


@pytest.mark.parametrize(
    ("size", "share", "box"),
    [((500, 400), 1.0, (50, 0, 450, 400)), ((400, 500), 0.875, (25, 75, 375, 425)), ((7, 7), 1.0, (0, 0, 7, 7))],
)
def test_centred_square(size: tuple[int, int], share: float, box: tuple[float, ...]) -> None:
    assert centred_square(*size, share=share) == box


def test_a_window_by_hand() -> None:
    # Area 0.08 + 0.92 / 2 = 0.54 of 100x100, ratio 3/4 · (16/9)^½ = 1: a square of side √5400 = 73.48.
    assert random_window(100, 100, 0.08, first_attempt(0.5, 0.5, 0, 0.999)) == (27, 0, 100, 73)
    # Area 0.08 of 100x100 at ratio 3/4: 24.49 x 32.66; the place is the whole part of across · 77, down · 68.
    assert random_window(100, 100, 0.08, first_attempt(0, 0, 0.5, 0.25)) == (19, 34, 43, 67)


def test_an_attempt_that_does_not_fit_gives_way_to_the_next() -> None:
    numbers = first_attempt(0.5, 0.5, 0.0, 0.0)  # 0.54 of 100x50: a square of side 51.96
    numbers[1] = 0.0  # the second attempt takes 0.08 of 100x50: 20 x 20
    assert random_window(100, 50, 0.08, numbers) == (0, 0, 20, 20)


@pytest.mark.parametrize(("size", "box"), [((400, 30), (180, 0, 220, 30)), ((30, 400), (0, 180, 30, 220))])
def test_a_very_long_picture_shows_its_middle(size: tuple[int, int], box: tuple[int, ...]) -> None:
    assert random_window(*size, 0.9, first_attempt(0.5, 0.5, 0.3, 0.3)) == box


@pytest.mark.parametrize("size", [(500, 375), (333, 500), (64, 64), (9, 11), (1, 1), (2000, 10)])
def test_windows_lie_inside_and_have_whole_pixels(size: tuple[int, int]) -> None:
    for numbers in draws(300):
        left, top, right, bottom = random_window(*size, 0.08, numbers)
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        assert all(isinstance(side, int) for side in (left, top, right, bottom))


def test_area_shape_and_place_are_uniform() -> None:
    # On a square picture an attempt fits unless its area times the ratio, or through it, is above the picture's.
    side, areas, shapes, places = 1000, [], [], []
    for numbers in draws(4000):
        left, top, right, bottom = random_window(side, side, 0.08, numbers)
        areas.append((right - left) * (bottom - top) / side**2)
        shapes.append(math.log((right - left) / (bottom - top)))
        places.append(left / max(side - (right - left), 1))
    assert min(areas) == pytest.approx(0.08, abs=0.01)
    below_half = sum(area < 0.5 for area in areas) / len(areas)
    # Areas to 0.75 always fit; of those above, as many as have |log ratio| < -log area.
    kept = (
        0.75
        - 0.08
        + sum(min(1.0, -math.log(a) / math.log(4 / 3)) * 0.001 for a in (0.7505 + i / 1000 for i in range(250)))
    )
    assert below_half == pytest.approx(0.42 / kept, abs=0.03)
    assert sum(shapes) / len(shapes) == pytest.approx(0, abs=0.02)
    assert max(map(abs, shapes)) == pytest.approx(math.log(4 / 3), abs=0.01)
    assert sum(places) / len(places) == pytest.approx(0.5, abs=0.03)


def test_only_drawn_numbers_make_a_window_random() -> None:
    (numbers,) = draws(1)
    windows = Windows(share=0.875, smallest_area=0.08)
    assert windows.choose(None)(400, 500) == (25, 75, 375, 425)
    assert windows.choose(numbers)(400, 500) == random_window(400, 500, 0.08, numbers)
    assert Windows(share=0.875).choose(numbers)(400, 500) == (25, 75, 375, 425)


@pytest.mark.parametrize(
    ("option", "value"), [("share", 0.0), ("share", 1.1), ("smallest_area", 0.0), ("smallest_area", 2.0)]
)
def test_ranges(option: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"^{option} must be in \(0, 1\].*, not {value}$"):
        Windows(**{option: value})
