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
from nas_cli.data.windows import DRAWS, Windows, random_window
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


def photographs(folder: Path, count: int) -> list[str]:
    """Colour pictures of unequal sizes."""
    paths = []
    for number in range(count):
        paths.append(str(folder / f"{number}.png"))
        pixels = np.random.default_rng(number).integers(0, 256, (20 + 3 * number, 31 - 2 * number, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    return paths


def windowed(paths: list[str], workers: int = 0) -> Streamed:
    windows = Windows(share=0.875, smallest_area=0.08)
    return Streamed(paths, torch.arange(len(paths)), 3, 8, torch.zeros(3), torch.ones(3), workers, windows)


@pytest.mark.parametrize("workers", [0, 2])
def test_seeded_batches_are_the_random_windows_of_each_picture(workers: int, tmp_path: Path) -> None:
    paths = photographs(tmp_path, 6)
    order, seeds = [torch.tensor([4, 0]), torch.tensor([4, 1, 2, 3])], [11, 12]
    batches = list(windowed(paths, workers).batches(order, CPU, seeds))
    for (images, labels), numbers, seed in zip(batches, order, seeds, strict=True):
        assert torch.equal(labels, numbers)
        generator = torch.Generator().manual_seed(seed)
        draws = torch.rand(len(numbers), DRAWS, generator=generator, dtype=torch.float64).tolist()
        for image, number, mine in zip(images, numbers.tolist(), draws, strict=True):
            with Image.open(paths[number]) as picture:
                box = random_window(*picture.size, 0.08, mine)
                wanted = np.array(picture.resize((8, 8), Image.Resampling.BILINEAR, box=box))
            assert np.array_equal(image.permute(1, 2, 0).numpy(), wanted)
    assert not torch.equal(batches[0][0][0], batches[1][0][0])  # picture 4, in another window


def test_unseeded_batches_show_the_centre(tmp_path: Path) -> None:
    paths = photographs(tmp_path, 3)
    ((images, _),) = windowed(paths).subset([2, 0]).batches([torch.tensor([0])], CPU)
    with Image.open(paths[2]) as picture:
        side = 0.875 * min(picture.size)
        left, top = (picture.width - side) / 2, (picture.height - side) / 2
        box = (left, top, left + side, top + side)
        wanted = np.array(picture.resize((8, 8), Image.Resampling.BILINEAR, box=box))
    assert np.array_equal(images[0].permute(1, 2, 0).numpy(), wanted)


def test_a_subset_keeps_its_random_windows(tmp_path: Path) -> None:
    source = windowed(photographs(tmp_path, 3))
    order = [torch.tensor([0, 1])]
    ((whole, _),) = source.batches([torch.tensor([2, 0])], CPU, [5])
    ((part, _),) = source.subset([2, 0]).batches(order, CPU, [5])
    assert torch.equal(part, whole)


def test_random_windows_go_on_after_a_resume_as_if_uninterrupted(tmp_path: Path) -> None:
    source = windowed(photographs(tmp_path, 7))
    whole = Loader(source, 3, 0, CPU, Augmentation(flip=True))
    seen = [whole.next()[0] for _ in range(5)]
    resumed = Loader(source, 3, 0, CPU, Augmentation(flip=True))
    resumed.load_state_dict({"drawn": 1})
    for images in seen[1:]:
        assert torch.equal(resumed.next()[0], images)
