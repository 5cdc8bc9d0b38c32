"""CIFAR and ImageNet16 pickles, from small files written here as Python 2 and Python 3 write them."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_cli.data.augmentation import Augmentation
from nas_cli.data.base import Source
from nas_cli.data.pickled import Cifar10, Cifar100, ImageNet16, read_pickle
from nas_cli.errors import InputError

CPU = torch.device("cpu")


def rows(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, width)).astype(np.uint8)


def python2(data: np.ndarray, key: str, labels: list[int]) -> bytes:
    """The bytes that Python 2's cPickle wrote: byte strings, and numpy.core instead of numpy._core."""
    raw = data.tobytes()
    text = b"U\x04data" + b"cnumpy.core.multiarray\n_reconstruct\n" + b"(cnumpy\nndarray\n(K\x00tU\x01btR"
    state = b"(K\x01" + b"(M" + len(data).to_bytes(2, "little") + b"M" + data.shape[1].to_bytes(2, "little") + b"t"
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state += dtype + b"\x89" + b"T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    numbers = b"".join(b"M" + label.to_bytes(2, "little") for label in labels)
    name = b"U" + bytes([len(key)]) + key.encode()
    return b"\x80\x02}(" + text + state + name + b"](" + numbers + b"eu."


def read(source: Source) -> tuple[torch.Tensor, torch.Tensor]:
    ((images, labels),) = source.batches([torch.arange(len(source))], CPU)
    return images, labels


def write_cifar10(root: Path, skip: str = "") -> dict[str, np.ndarray]:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    written = {}
    for number, file in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        data = rows(3, 3072, number)
        if file != skip:
            (folder / file).write_bytes(python2(data, "labels", [number, 9, 0]))
        written[file] = data
    return written


def test_cifar10_train_and_test_are_read_back_in_stored_order(tmp_path: Path) -> None:
    written = write_cifar10(tmp_path)
    dataset = Cifar10("cifar10", root=str(tmp_path))
    images, labels = read(dataset.train())
    expected = np.concatenate([written[f"data_batch_{number}"] for number in range(1, 6)])
    assert images.shape == (15, *dataset.input_shape)
    assert np.array_equal(images.flatten(1).numpy(), expected)  # red plane first, row by row
    assert labels.tolist() == [label for number in range(5) for label in (number, 9, 0)]
    test_images, test_labels = read(dataset.test())
    assert np.array_equal(test_images.flatten(1).numpy(), written["test_batch"])
    assert test_labels.tolist() == [5, 9, 0]
    assert dataset.train().mean.tolist() == pytest.approx([125.3069, 122.9504, 113.8655], abs=1e-3)
    assert dataset.train().std.tolist() == pytest.approx([62.9932, 62.0887, 66.7049], abs=1e-3)
    assert dataset.augmentation == Augmentation(4, True, 0)


@pytest.mark.parametrize("protocol", range(6))
def test_cifar100_fine_labels_in_every_pickle_protocol(protocol: int, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    train, test = rows(4, 3072), rows(2, 3072, 1)
    content = {"data": train, "fine_labels": [0, 99, 5, 7], "coarse_labels": [0, 1, 2, 3], "filenames": ["a"] * 4}
    (folder / "train").write_bytes(pickle.dumps(content, protocol))
    (folder / "test").write_bytes(pickle.dumps({b"data": test, b"fine_labels": [np.int64(3), np.int64(4)]}, protocol))
    dataset = Cifar100("cifar100", root=str(tmp_path))
    images, labels = read(dataset.train())
    assert np.array_equal(images.flatten(1).numpy(), train)
    assert labels.tolist() == [0, 99, 5, 7]
    assert read(dataset.test())[1].tolist() == [3, 4]
    assert dataset.classes == 100


def write_imagenet16(root: Path, files: list[str], labels: list[int]) -> np.ndarray:
    folder = root / "ImageNet16"
    folder.mkdir(parents=True, exist_ok=True)
    data = rows(len(labels), 768)
    for file in files:
        (folder / file).write_bytes(pickle.dumps({"data": data, "labels": labels}, 2))
    return data


def test_imagenet16_keeps_labels_1_to_120(tmp_path: Path) -> None:
    data = write_imagenet16(tmp_path, [f"train_data_batch_{n}" for n in range(1, 11)], [1, 120, 121, 1000, 60])
    write_imagenet16(tmp_path, ["val_data"], [500, 2, 120])
    dataset = ImageNet16("imagenet16", root=str(tmp_path))
    images, labels = read(dataset.train())
    assert dataset.input_shape == (3, 16, 16)
    assert labels.tolist() == [0, 119, 59] * 10
    assert np.array_equal(images[:3].flatten(1).numpy(), data[[0, 1, 4]])
    assert read(dataset.test())[1].tolist() == [1, 119]
    assert dataset.train().mean.tolist() == pytest.approx([122.68, 116.66, 104.01])
    assert dataset.augmentation == Augmentation(2, True, 0)


@pytest.mark.parametrize("label", [0, 1001])
def test_imagenet16_labels_outside_1_to_1000_are_refused(label: int, tmp_path: Path) -> None:
    write_imagenet16(tmp_path, ["val_data"], [1, label])
    with pytest.raises(InputError, match="val_data: label"):
        ImageNet16("imagenet16", root=str(tmp_path)).test()


def test_imagenet16_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"image-net\.org.*ImageNet16") as caught:
        ImageNet16("imagenet16", root=str(tmp_path), download=True).train()
    assert "\n" not in str(caught.value)


def test_a_missing_batch_is_named_and_search_needs_no_test_batch(tmp_path: Path) -> None:
    write_cifar10(tmp_path, skip="test_batch")
    dataset = Cifar10("cifar10", root=str(tmp_path))
    assert [len(part) for part in dataset.search_split(0.2)] == [3, 12]
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    with pytest.raises(InputError) as caught:
        dataset.test()
    assert str(caught.value) == (
        f"dataset cifar10: missing {path}; put it there, set dataset.root, or dataset.download=true"
    )


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("harmed"),))


def test_a_pickle_that_calls_code_is_refused_unrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil"
    path.write_bytes(pickle.dumps({"data": Evil(), "labels": [1]}))
    with pytest.raises(InputError, match=r"evil: .*not admitted"):
        read_pickle("mine", path)
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    "source", ["cbuiltins\neval\n(S'1'\ntR.", "c_codecs\nencode\n(Va\nS'rot13'\ntR.", "cnumpy\nload\n(S'x'\ntR."]
)
def test_no_other_function_is_admitted(source: str, tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.write_bytes(source.encode())
    with pytest.raises(InputError, match="not a pickled batch"):
        read_pickle("mine", path)


def test_cut_anywhere_is_one_line_with_the_path(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 371), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError) as caught:
            Cifar10("cifar10", root=str(tmp_path)).train()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "must hold a dictionary"),
        ({"labels": [1]}, "has no 'data'"),
        ({"data": rows(1, 3072)}, "has no 'fine_labels'"),
        ({"data": rows(1, 3071), "fine_labels": [1]}, "rows of 3072"),
        ({"data": [1, 2], "fine_labels": [1]}, "rows of 3072"),
        ({"data": rows(1, 3072).astype(float), "fine_labels": [1]}, "must be uint8"),
        ({"data": rows(2, 3072), "fine_labels": [1]}, "2 images but 1 labels"),
        ({"data": rows(1, 3072), "fine_labels": [100]}, "label 100 is outside the 100 classes"),
        ({"data": rows(1, 3072), "fine_labels": [-1]}, "label -1 is outside"),
        ({"data": rows(1, 3072), "fine_labels": ["a"]}, "whole numbers"),
        ({"data": rows(2, 3072), "fine_labels": [[1], [2, 3]]}, "whole numbers"),
        ({"data": rows(0, 3072), "fine_labels": np.zeros(0, np.int64)}, "holds no images"),
    ],
)
def test_wrong_contents_are_refused(content: object, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    (folder / "train").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=message) as caught:
        Cifar100("cifar100", root=str(tmp_path)).train()
    assert str(folder / "train") in str(caught.value)


def test_download_unpacks_the_archive_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mirror: tuple[Path, str]
) -> None:
    write_cifar10(tmp_path / "made")
    archive = mirror[0] / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "made" / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(Cifar10, "url", mirror[1] + archive.name)
    monkeypatch.setattr(Cifar10, "md5", hashlib.md5(archive.read_bytes()).hexdigest())
    dataset = Cifar10("cifar10", root=str(tmp_path / "data"), download=True)
    assert len(dataset.train()) == 15
    archive.unlink()
    assert len(dataset.test()) == 3


def test_a_download_with_a_wrong_checksum_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mirror: tuple[Path, str]
) -> None:
    archive = mirror[0] / "cifar.tar.gz"
    archive.write_bytes(b"not an archive")
    monkeypatch.setattr(Cifar10, "url", mirror[1] + archive.name)
    with pytest.raises(InputError, match=r"dataset cifar10: the download of .* failed") as caught:
        Cifar10("cifar10", root=str(tmp_path / "data"), download=True).train()
    assert "\n" not in str(caught.value)
