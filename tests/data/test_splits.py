"""The parts that a search takes of each class."""

from __future__ import annotations

import pytest
import torch

from nas_cli.data.base import Images
from nas_cli.data.splits import split_by_class
from nas_cli.errors import InputError

CPU = torch.device("cpu")


def numbered(counts: list[int]) -> tuple[Images, list[int]]:
    """Images whose label is their number, and the classes in mixed order."""
    classes = [label for label, count in enumerate(counts) for _ in range(count)]
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(0)).tolist()
    pixels = torch.zeros(len(classes), 1, 1, 1, dtype=torch.uint8)
    return Images(pixels, torch.arange(len(classes)), [0.0], [1.0]), [classes[index] for index in order]


def numbers(part: Images) -> list[int]:
    ((_, found),) = part.batches([torch.arange(len(part))], CPU)
    return [int(number) for number in found]


@pytest.mark.parametrize(
    ("share", "fraction", "expected"),
    [(0.125, 0.8, ([130, 73], [32, 19])), (1.0, 0.5, ([650, 366], [650, 366])), (0.5, 0.1, ([65, 37], [585, 329]))],
)
def test_each_class_has_its_share_in_both_parts(
    share: float, fraction: float, expected: tuple[list[int], list[int]]
) -> None:
    # ImageNet's classes have 732 to 1,300 images; PC-DARTS takes 10 % and 2.5 % of each.
    source, labels = numbered([1300, 732])
    parts = [numbers(part) for part in split_by_class("made", source, labels, fraction, share)]  # type: ignore[arg-type]
    for part, counts in zip(parts, expected, strict=True):
        assert torch.bincount(torch.tensor([labels[number] for number in part])).tolist() == counts
    assert not set(parts[0]) & set(parts[1])


def test_with_all_images_the_parts_are_a_partition_and_always_the_same() -> None:
    source, labels = numbered([7, 1, 4])
    first, second = (numbers(part) for part in split_by_class("made", source, labels, 0.5))  # type: ignore[arg-type]
    assert sorted(first + second) == list(range(12))
    again, _ = split_by_class("made", source, labels, 0.5)
    assert numbers(again) == first  # type: ignore[arg-type]
    of_a_class = [number for number in first if labels[number] == 0]
    assert of_a_class != sorted(of_a_class)  # taken at random, not in stored order


def test_parts_without_images_are_refused() -> None:
    source, labels = numbered([4, 4])
    with pytest.raises(InputError, match=r"dataset made: 0\.1 of 8 training images cannot be split at fraction=0\.5"):
        split_by_class("made", source, labels, 0.5, 0.1)
    for fraction in (0.0, 1.0):
        with pytest.raises(InputError, match=f"fraction={fraction} .* must be between 0 and 1"):
            split_by_class("made", source, labels, fraction)
