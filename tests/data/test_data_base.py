"""Sources held in memory, and the split for a search."""

from __future__ import annotations

import pytest
import torch

from nas_cli.data.augmentation import PLAIN
from nas_cli.data.base import Dataset, Images, Source
from nas_cli.errors import InputError

CPU = torch.device("cpu")


def numbered(count: int) -> Images:
    """Images whose pixels and labels are their number."""
    labels = torch.arange(count)
    return Images(labels.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 2, 3, 3).contiguous(), labels, [1, 2], [3, 4])


def labels_of(source: Source) -> list[int]:
    return [int(label) for _, labels in source.batches([torch.arange(len(source))], CPU) for label in labels]


class Counting(Dataset):
    """Counts how often each part is asked for."""

    input_shape = (2, 3, 3)
    classes = 11

    def __init__(self, count: int) -> None:
        super().__init__("counting", PLAIN)
        self.count = count
        self.tests = 0

    def train(self) -> Source:
        return numbered(self.count)

    def test(self) -> Source:
        self.tests += 1
        return numbered(3)


def test_batches_are_what_the_order_says() -> None:
    source = numbered(10)
    order = [torch.tensor([3, 1, 4]), torch.tensor([9])]
    batches = list(source.batches(order, CPU))
    assert [labels.tolist() for _, labels in batches] == [[3, 1, 4], [9]]
    assert [images.shape for images, _ in batches] == [(3, 2, 3, 3), (1, 2, 3, 3)]
    assert batches[0][0].dtype == torch.uint8
    assert batches[0][0][:, 0, 0, 0].tolist() == [3, 1, 4]
    assert source.mean.tolist() == [1, 2]
    assert source.std.tolist() == [3, 4]


def test_no_batches_are_none() -> None:
    assert list(numbered(3).batches([], CPU)) == []


def test_subset_of_a_subset_keeps_order_and_shares_pixels() -> None:
    source = numbered(10)
    outer = source.subset([8, 6, 4, 2])
    inner = outer.subset(torch.tensor([3, 0]))
    assert labels_of(outer) == [8, 6, 4, 2]
    assert labels_of(inner) == [2, 8]
    assert len(inner) == 2
    assert inner._copies is source._copies
    assert inner.mean.tolist() == [1, 2]


@pytest.mark.parametrize(("count", "fraction", "border"), [(10, 0.5, 5), (11, 0.5, 5), (10, 0.8, 8)])
def test_search_split_is_in_stored_order_and_never_asks_for_test(count: int, fraction: float, border: int) -> None:
    dataset = Counting(count)
    weights, architecture = dataset.search_split(fraction)
    assert labels_of(weights) == list(range(border))
    assert labels_of(architecture) == list(range(border, count))
    assert dataset.tests == 0


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 2.0])
def test_search_split_refuses_a_fraction_outside(fraction: float) -> None:
    with pytest.raises(InputError, match=f"fraction={fraction}"):
        Counting(10).search_split(fraction)


def test_search_split_refuses_an_empty_part() -> None:
    with pytest.raises(InputError, match="1 training images cannot be split"):
        Counting(1).search_split()
