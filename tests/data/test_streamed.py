"""Streaming from worker processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_cli.data.augmentation import Augmentation
from nas_cli.data.loader import Loader, in_order
from nas_cli.data.streamed import Streamed
from nas_cli.errors import InputError

CPU = torch.device("cpu")


def pictures(folder: Path, count: int) -> list[str]:
    paths = []
    for number in range(count):
        paths.append(str(folder / f"{number}.png"))
        Image.fromarray(np.full((8, 8), number * 10, np.uint8)).save(paths[-1])
    return paths


def source_of(paths: list[str], workers: int = 1) -> Streamed:
    return Streamed(paths, torch.arange(len(paths)), 1, 8, torch.zeros(1), torch.ones(1), workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_what_the_order_says_and_global_state_is_untouched(workers: int, tmp_path: Path) -> None:
    source = source_of(pictures(tmp_path, 6), workers)
    before = torch.get_rng_state()
    batches = list(source.batches([torch.tensor([4, 0]), torch.tensor([5]), torch.tensor([1, 2, 3])], CPU))
    assert torch.equal(torch.get_rng_state(), before)
    assert [labels.tolist() for _, labels in batches] == [[4, 0], [5], [1, 2, 3]]
    assert [images[:, 0, 0, 0].tolist() for images, _ in batches] == [[40, 0], [50], [10, 20, 30]]
    assert batches[0][0].dtype == torch.uint8


def test_a_subset_is_a_view_in_its_order(tmp_path: Path) -> None:
    source = source_of(pictures(tmp_path, 6), 0).subset([5, 3, 1]).subset(torch.tensor([2, 0]))
    ((images, labels),) = source.batches([torch.arange(len(source))], CPU)
    assert labels.tolist() == [1, 5]
    assert images[:, 0, 0, 0].tolist() == [10, 50]


def test_resume_inside_an_epoch_equals_uninterrupted(tmp_path: Path) -> None:
    source = source_of(pictures(tmp_path, 7))
    augmentation = Augmentation(crop_padding=2, flip=True)
    whole = Loader(source, 2, 0, CPU, augmentation)
    for _ in range(2):
        whole.next()
    resumed = Loader(source, 2, 0, CPU, augmentation)
    resumed.load_state_dict(whole.state_dict())
    for _ in range(4):
        expected, got = whole.next(), resumed.next()
        assert torch.equal(expected[0], got[0])
        assert torch.equal(expected[1], got[1])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_damaged_meanwhile_is_one_line_in_the_main_process(workers: int, tmp_path: Path) -> None:
    paths = pictures(tmp_path, 4)
    Path(paths[2]).write_bytes(b"\x89PNG")
    with pytest.raises(InputError) as caught:
        list(in_order(source_of(paths, workers), 2, CPU))
    assert paths[2] in str(caught.value)
    assert "\n" not in str(caught.value)
