"""SVHN's Matlab files, written here by scipy in the true layout."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from nas_cli.data import svhn
from nas_cli.data.augmentation import Augmentation
from nas_cli.data.base import Source
from nas_cli.data.svhn import Svhn
from nas_cli.errors import InputError

CPU = torch.device("cpu")


def write(root: Path, file: str, labels: list[int]) -> np.ndarray:
    root.mkdir(exist_ok=True)
    images = np.random.default_rng(len(labels)).integers(0, 256, (32, 32, 3, len(labels))).astype(np.uint8)
    savemat(root / file, {"X": images, "y": np.array(labels, np.uint8)[:, None]})
    return images


def read(source: Source) -> tuple[torch.Tensor, torch.Tensor]:
    ((images, labels),) = source.batches([torch.arange(len(source))], CPU)
    return images, labels


def test_train_and_test_are_read_back_with_10_as_0(tmp_path: Path) -> None:
    dataset = Svhn("svhn", root=str(tmp_path))
    for file, labels, expected in (
        ("train_32x32.mat", [1, 10, 9, 5], [1, 0, 9, 5]),
        ("test_32x32.mat", [10, 2], [0, 2]),
        ("test_32x32.mat", [3], [3]),
    ):
        dataset = Svhn("svhn", root=str(tmp_path))
        written = write(tmp_path, file, labels)
        images, got = read(dataset.train() if "train" in file else dataset.test())
        assert images.shape == (len(labels), *dataset.input_shape)
        for number in range(len(labels)):
            for channel in range(3):
                assert np.array_equal(images[number, channel].numpy(), written[:, :, channel, number])
        assert got.tolist() == expected
    assert dataset.augmentation == Augmentation(4, True, 0)


def test_mean_and_std_are_in_raw_units(tmp_path: Path) -> None:
    write(tmp_path, "train_32x32.mat", [1, 2])
    train = Svhn("svhn", root=str(tmp_path)).train()
    assert train.mean.tolist() == pytest.approx([111.6135, 113.169, 120.564])
    assert train.std.tolist() == pytest.approx([50.49, 51.255, 50.235])


def test_search_needs_no_test_file_and_a_missing_one_is_named(tmp_path: Path) -> None:
    write(tmp_path, "train_32x32.mat", [1, 2, 3, 4])
    dataset = Svhn("svhn", root=str(tmp_path))
    assert [len(part) for part in dataset.search_split()] == [2, 2]
    with pytest.raises(InputError, match=f"missing {tmp_path}/test_32x32.mat; put it there"):
        dataset.test()


def test_damaged_files_are_one_line_with_the_path(tmp_path: Path) -> None:
    write(tmp_path, "train_32x32.mat", [1, 2, 3])
    path = tmp_path / "train_32x32.mat"
    whole = path.read_bytes()
    for content in (b"", b"x" * 500, whole[: len(whole) // 2], whole[:-100]):
        path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            Svhn("svhn", root=str(tmp_path)).train()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"X": np.zeros((32, 32, 3, 2), np.uint8)}, "no images 'X' and labels 'y'"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [11]], np.uint8)}, "label 11 is outside"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1]], np.uint8)}, "2 images but 1 labels"),
        ({"X": np.zeros((2, 3, 32, 32), np.uint8), "y": np.array([[1], [2]], np.uint8)}, "shape"),
        ({"X": np.zeros((32, 32, 3, 2)), "y": np.array([[1], [2]], np.uint8)}, "must be uint8"),
        ({"X": np.zeros((32, 32), np.uint8), "y": np.array([[1], [2]], np.uint8)}, "shape"),
        ({"X": np.zeros((32, 32, 3, 1), np.uint8), "y": "text"}, "whole numbers"),
    ],
)
def test_wrong_contents_are_refused(content: dict[str, object], message: str, tmp_path: Path) -> None:
    savemat(tmp_path / "train_32x32.mat", content)
    with pytest.raises(InputError, match=message):
        Svhn("svhn", root=str(tmp_path)).train()


def test_download_brings_a_missing_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mirror: tuple[Path, str]
) -> None:
    write(mirror[0], "train_32x32.mat", [1, 2])
    path = mirror[0] / "train_32x32.mat"
    monkeypatch.setattr(svhn, "URL", mirror[1])
    monkeypatch.setitem(svhn.MD5, path.name, hashlib.md5(path.read_bytes()).hexdigest())
    assert len(Svhn("svhn", root=str(tmp_path / "data"), download=True).train()) == 2
    with pytest.raises(InputError, match=r"download of .*test_32x32\.mat failed"):
        Svhn("svhn", root=str(tmp_path / "data"), download=True).test()
