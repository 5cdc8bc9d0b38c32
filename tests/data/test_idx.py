"""The IDX format, from small files written here in the true format."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_cli.data.augmentation import Augmentation
from nas_cli.data.base import Source
from nas_cli.data.idx import FashionMnist, Mnist
from nas_cli.errors import InputError

CPU = torch.device("cpu")
NAMES = {"train": "train", "test": "t10k"}


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def example(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return (
        generator.integers(0, 256, (count, 28, 28)).astype(np.uint8),
        generator.integers(0, 10, count).astype(np.uint8),
    )


def write(folder: Path, part: str, images: np.ndarray, labels: np.ndarray, packed: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        data, name = idx(array), f"{NAMES[part]}-{kind}-ubyte"
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / name).write_bytes(data)


def read(source: Source) -> tuple[torch.Tensor, torch.Tensor]:
    ((images, labels),) = source.batches([torch.arange(len(source))], CPU)
    return images, labels


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(FashionMnist, "installed", tmp_path / "not-installed")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("kind", "folder"), [(Mnist, "MNIST"), (FashionMnist, "FashionMNIST")])
def test_train_and_test_are_read_back(
    kind: type[Mnist] | type[FashionMnist], folder: str, packed: bool, tmp_path: Path
) -> None:
    dataset = kind("mine", root=str(tmp_path))
    for part, count in (("train", 7), ("test", 3)):
        images, labels = example(count, count)
        write(tmp_path / folder / "raw", part, images, labels, packed)
        got_images, got_labels = read(dataset.train() if part == "train" else dataset.test())
        assert got_images.shape == (count, *dataset.input_shape)
        assert np.array_equal(got_images[:, 0].numpy(), images)
        assert got_labels.tolist() == labels.tolist()
    assert dataset.classes == 10


def test_constants() -> None:
    assert Mnist("mnist").augmentation == Augmentation()
    assert FashionMnist("fashion_mnist").augmentation == Augmentation(4, True, 0)


def test_mean_and_std_are_in_raw_units(tmp_path: Path) -> None:
    write(tmp_path / "MNIST/raw", "train", *example(2), packed=False)
    train = Mnist("mnist", str(tmp_path)).train()
    assert train.mean.item() == pytest.approx(33.3285)
    assert train.std.item() == pytest.approx(78.5655)


def test_search_needs_no_test_files(tmp_path: Path) -> None:
    write(tmp_path / "MNIST/raw", "train", *example(6), packed=False)
    dataset = Mnist("mnist", root=str(tmp_path))
    weights, architecture = dataset.search_split()
    assert len(weights) == len(architecture) == 3
    with pytest.raises(InputError, match="t10k-images"):
        dataset.test()


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        Mnist("mnist", root=str(tmp_path)).train()
    assert str(caught.value) == (
        f"dataset mnist: missing {tmp_path}/MNIST/raw/train-images-idx3-ubyte; "
        "put it there, set dataset.root, or dataset.download=true"
    )


def test_installed_files_are_used_where_root_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed = tmp_path / "package"
    monkeypatch.setattr(FashionMnist, "installed", installed)
    write(installed, "train", *example(5), packed=True)
    assert len(FashionMnist("fashion_mnist", root=str(tmp_path)).train()) == 5
    write(tmp_path / "FashionMNIST/raw", "train", *example(4), packed=False)
    assert len(FashionMnist("fashion_mnist", root=str(tmp_path)).train()) == 4


def damage_magic(data: bytes) -> bytes:
    return b"\x00\x00\x0d" + data[3:]


def damage_end(data: bytes) -> bytes:
    return data[:-1]


def damage_all(data: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [damage_magic, damage_end, damage_all])
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_files_are_one_line_with_the_path(damage, file: str, packed: bool, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "MNIST/raw"
    write(folder, "train", *example(3), packed=packed)
    path = folder / (file + ".gz" if packed else file)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError) as caught:
        Mnist("mnist", root=str(tmp_path)).train()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_counts_shapes_and_labels_are_refused(tmp_path: Path) -> None:
    images, labels = example(3)
    for wrong_images, wrong_labels, message in (
        (images, labels[:2], "3 images but 2 labels"),
        (images[:, :27], labels, "shape"),
        (images[:0], labels[:0], "no images"),
        (images, np.array([1, 10, 2], np.uint8), "label 10 is outside"),
    ):
        write(tmp_path / "MNIST/raw", "train", wrong_images, wrong_labels, packed=False)
        with pytest.raises(InputError, match=message):
            Mnist("mnist", root=str(tmp_path)).train()


def test_download_brings_missing_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mirror: tuple[Path, str]
) -> None:
    folder, url = mirror
    write(folder, "train", *example(4), packed=True)
    sums = {path.stem: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.setattr(Mnist, "url", url)
    monkeypatch.setattr(Mnist, "md5", sums)
    dataset = Mnist("mnist", root=str(tmp_path / "data"), download=True)
    assert read(dataset.train())[1].tolist() == example(4)[1].tolist()


def test_a_failed_download_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mirror: tuple[Path, str]
) -> None:
    monkeypatch.setattr(Mnist, "url", mirror[1])
    with pytest.raises(InputError, match=r"download of http://.*failed .*404") as caught:
        Mnist("mnist", root=str(tmp_path), download=True).train()
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="dataset-fashion-mnist not installed"
)
def test_the_real_fashion_mnist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(FashionMnist, "installed", Path("/usr/share/datasets/fashion-mnist"))
    dataset = FashionMnist("fashion_mnist", root=str(tmp_path))
    images, labels = read(dataset.train())
    assert images.shape == (60000, 1, 28, 28)
    assert torch.bincount(labels).tolist() == [6000] * 10
    assert dataset.train().mean.item() == pytest.approx(images.double().mean().item(), abs=0.1)
    assert dataset.train().std.item() == pytest.approx(images.double().std().item(), abs=0.1)
    assert torch.bincount(read(dataset.test())[1]).tolist() == [1000] * 10
