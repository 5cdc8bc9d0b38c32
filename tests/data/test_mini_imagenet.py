"""Mini-ImageNet's lists and pictures, made small."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nas_cli.data.base import Images
from nas_cli.data.episodes import Episodes
from nas_cli.data.mini_imagenet import MiniImagenet
from nas_cli.errors import InputError

CPU = torch.device("cpu")
CLASSES = {"train": ["n02", "n01", "n07"], "val": ["n05"], "test": ["n03", "n04"]}
PER_CLASS = 4


def write(root: Path) -> Path:
    """Four plain pictures of each class, brightness 20 times the class's number, one of them larger and not square."""
    folder = root / "mini-imagenet"
    (folder / "images").mkdir(parents=True)
    for part, labels in CLASSES.items():
        with (folder / f"{part}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["filename", "label"])
            for number in range(PER_CLASS):
                for label in labels:
                    name = f"{label}{number:08}.jpg"
                    size = (120, 100) if number == 3 else (84, 84)
                    pixels = np.full((*size[::-1], 3), 20 * int(label[1:]), np.uint8)
                    Image.fromarray(pixels).save(folder / "images" / name, quality=95)
                    writer.writerow([name, label])
    return root


def made(root: Path, **options: Any) -> MiniImagenet:
    return MiniImagenet("mini_imagenet", str(root), **options)


def brightness(source: Images) -> dict[int, set[int]]:
    """For each label the brightness of its images, in twenties."""
    ((pixels, labels),) = source.batches([torch.arange(len(source))], CPU)
    assert pixels.shape[1:] == (3, 84, 84)
    found: dict[int, set[int]] = {}
    for image, label in zip(pixels, labels.tolist(), strict=True):
        found.setdefault(label, set()).add(round(float(image.float().mean()) / 20))
    return found


def test_the_lists_are_the_split(tmp_path: Path) -> None:
    dataset = made(write(tmp_path))
    assert brightness(dataset.meta_train()) == {0: {1}, 1: {2}, 2: {7}}
    assert brightness(dataset.meta_test()) == {0: {3}, 1: {4}}
    with_validation = made(tmp_path, validation=True).meta_train()
    assert brightness(with_validation) == {0: {1}, 1: {2}, 2: {5}, 3: {7}}


def test_episodes(tmp_path: Path) -> None:
    options = Episodes(ways=2, shots=1, queries=3, rotations=False)
    episode = options.train(made(write(tmp_path)), 0, CPU).episode(0)
    assert episode.support[0].shape == (2, 3, 84, 84)
    images, labels = episode.query
    means = images.mean((1, 2, 3))
    for label in range(2):
        assert float(means[labels == label].std()) < 0.05
    assert abs(float(means[0] - means[-1])) > 0.2


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing .*train.csv; make it from ImageNet"):
        made(tmp_path).meta_train()
    write(tmp_path)
    (tmp_path / "mini-imagenet" / "images" / "n0100000002.jpg").unlink()
    with pytest.raises(InputError, match=r"missing .*n0100000002.jpg, which train.csv lists in line 9"):
        made(tmp_path).meta_train()
    (tmp_path / "mini-imagenet" / "test.csv").unlink()
    with pytest.raises(InputError, match="missing"):
        made(tmp_path).meta_test()


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        ("train", b"", "train.csv: its first line must be filename,label"),
        ("train", b"file,class\n", "train.csv: its first line must be filename,label"),
        ("val", b"filename,label\n", "val.csv: lists no pictures"),
        ("test", b"filename,label\nn0300000000.jpg\n", "test.csv: line 2 must be a file name and a class"),
        ("test", b"filename,label\nn0300000000.jpg,\n", "test.csv: line 2 must be a file name and a class"),
        ("test", b"filename,label\n../x.jpg,n03\n", "test.csv: line 2: ../x.jpg is no plain file name"),
        ("test", b"filename,label\nn0300000000.jpg,n01\n", "test.csv: class n01 is in train.csv too"),
        ("train", b"filename,label\n\xff\xfe,n01\n", "train.csv: cannot be read"),
    ],
)
def test_bad_lists_are_told_in_one_line(tmp_path: Path, part: str, text: bytes, told: str) -> None:
    write(tmp_path)
    (tmp_path / "mini-imagenet" / f"{part}.csv").write_bytes(text)
    with pytest.raises(InputError, match=told) as error:
        made(tmp_path).meta_train()
    assert "\n" not in str(error.value)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "mini-imagenet" / "images" / "n0300000001.jpg").write_bytes(b"\xff\xd8\xff nothing")
    with pytest.raises(InputError, match=r"n0300000001.jpg: not a readable picture"):
        made(tmp_path).meta_test()


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="workers must be at least 0, not -1"):
        made(tmp_path, workers=-1)
