"""A person's own pictures: layouts, modes, splits, streaming, and everything that can be wrong with a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_cli.data.augmentation import Augmentation
from nas_cli.data.base import Images, Source
from nas_cli.data.image_folder import ImageFolder
from nas_cli.data.loader import Loader, in_order
from nas_cli.data.streamed import Streamed
from nas_cli.errors import InputError

CPU = torch.device("cpu")
COUNTS = {"apple": 12, "bee": 7, "cat": 3}
MODES = ("L", "RGBA", "P", "RGB")


def picture(path: Path, mode: str, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)


def fill(folder: Path, counts: dict[str, int] = COUNTS, modes: tuple[str, ...] = MODES) -> Path:
    """Pictures of unequal sizes, modes and numbers."""
    for label, (name, count) in enumerate(counts.items()):
        for number in range(count):
            seed = 100 * label + number
            picture(folder / name / f"{number}.png", modes[number % len(modes)], 17 + number, 30 - number, seed)
    return folder


def read(source: Source) -> tuple[torch.Tensor, torch.Tensor]:
    ((images, labels),) = source.batches([torch.arange(len(source))], CPU)
    return images, labels


def test_class_folders_are_split_by_a_fixed_permutation(tmp_path: Path) -> None:
    fill(tmp_path)
    dataset = ImageFolder("mine", root=str(tmp_path))
    train, test = read(dataset.train()), read(dataset.test())
    assert len(test[1]) == round(0.2 * 22)
    together = torch.cat([train[1], test[1]])
    assert torch.bincount(together).tolist() == [12, 7, 3]
    assert dataset.classes == 3
    assert train[1].tolist() != sorted(train[1].tolist())  # not class by class
    whole = torch.cat([train[0], test[0]]).flatten(1)
    assert len({image.numpy().tobytes() for image in whole}) == 22  # no picture in both, none twice
    again = ImageFolder("mine", root=str(tmp_path))
    assert torch.equal(read(again.train())[0], train[0])


def test_train_and_test_folders_are_used_as_they_are(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "test", {"apple": 1, "bee": 2, "cat": 3})
    dataset = ImageFolder("mine", root=str(tmp_path))
    assert torch.bincount(read(dataset.train())[1]).tolist() == [12, 7, 3]
    assert torch.bincount(read(dataset.test())[1]).tolist() == [1, 2, 3]


def test_search_needs_no_test_folder(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    dataset = ImageFolder("mine", root=str(tmp_path))
    weights, architecture = dataset.search_split()
    assert [len(weights), len(architecture)] == [11, 11]
    pixels = torch.cat([read(weights)[0], read(architecture)[0]]).flatten(1)
    assert len({image.numpy().tobytes() for image in pixels}) == 22
    with pytest.raises(InputError, match=f"missing {tmp_path}/test"):
        dataset.test()


def test_grey_only_where_every_picture_is_grey(tmp_path: Path) -> None:
    fill(tmp_path, modes=("L", "1", "LA"))
    picture(tmp_path / "bee" / "deep.png", "L", 20, 20, 1)
    Image.fromarray(np.full((20, 20), 40000, np.uint16)).save(tmp_path / "bee" / "deep.png")
    dataset = ImageFolder("mine", root=str(tmp_path))
    assert dataset.input_shape[0] == 1
    assert read(dataset.train())[0].shape[1] == 1
    picture(tmp_path / "cat" / "colour.png", "RGB", 20, 20, 1)
    assert ImageFolder("mine", root=str(tmp_path)).input_shape[0] == 3


@pytest.mark.parametrize(
    ("sides", "size"), [((30, 31, 45), 28), ((5, 6, 7), 8), ((300, 900, 1000), 224), ((16, 19), 16)]
)
def test_default_size_is_the_median_shorter_side_in_steps_of_4(
    sides: tuple[int, ...], size: int, tmp_path: Path
) -> None:
    for number, side in enumerate(sides):
        picture(tmp_path / f"class{number}" / "one.png", "L", side, side + 10 * number, 0)
    assert ImageFolder("mine", root=str(tmp_path)).input_shape == (1, size, size)


def test_a_given_size_is_used(tmp_path: Path) -> None:
    dataset = ImageFolder("mine", root=str(fill(tmp_path)), size=13)
    assert dataset.input_shape == (3, 13, 13)
    assert read(dataset.train())[0].shape == (18, 3, 13, 13)


@pytest.mark.parametrize("workers", [0, 2])
def test_streaming_equals_in_memory(workers: int, tmp_path: Path) -> None:
    fill(tmp_path)
    held = ImageFolder("mine", root=str(tmp_path)).train()
    streamed = ImageFolder("mine", root=str(tmp_path), memory_mb=0, workers=workers).train()
    assert isinstance(held, Images)
    assert isinstance(streamed, Streamed)
    assert torch.equal(held.mean, streamed.mean)
    assert torch.equal(held.std, streamed.std)
    loaders = [Loader(source, 5, 3, CPU, Augmentation(2, True, 4)) for source in (held, streamed)]
    for _ in range(6):  # into the second epoch
        (images, labels), (streamed_images, streamed_labels) = (loader.next() for loader in loaders)
        assert torch.equal(images, streamed_images)
        assert torch.equal(labels, streamed_labels)


def test_mean_and_std_are_those_of_the_training_pictures(tmp_path: Path) -> None:
    train = ImageFolder("mine", root=str(fill(tmp_path))).train()
    pixels = read(train)[0].double().transpose(0, 1).flatten(1)
    assert train.mean.tolist() == pytest.approx(pixels.mean(1).tolist(), rel=1e-5)
    assert train.std.tolist() == pytest.approx(pixels.std(1, correction=0).tolist(), rel=1e-5)


def test_pictures_of_one_colour_do_not_divide_by_zero(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(np.full((8, 8), 77, np.uint8)).save(tmp_path / name / f"{number}.png")
    ((images, _),) = in_order(ImageFolder("mine", root=str(tmp_path)).train(), 10, CPU)
    assert images.unique().tolist() == [0.0]


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "apple" / "notes.txt").write_text("not a picture")
    (tmp_path / "apple" / "._0.png").write_bytes(b"not a picture")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "readme.txt").write_text("not a class")
    assert len(ImageFolder("mine", root=str(tmp_path)).train()) == 18


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    ImageFolder("mine", root=str(tmp_path / "nowhere"))


def test_folders_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no class folders in"):
        ImageFolder("mine", root=str(tmp_path / "nowhere")).train()
    with pytest.raises(InputError, match="no class folders in"):
        _ = ImageFolder("mine", root=str(tmp_path)).input_shape
    fill(tmp_path)
    (tmp_path / "dog").mkdir()
    with pytest.raises(InputError, match=f"class folder {tmp_path}/dog holds no pictures"):
        _ = ImageFolder("mine", root=str(tmp_path)).classes


@pytest.mark.parametrize("changed", ["extra", "missing"])
def test_test_classes_must_be_the_training_classes(changed: str, tmp_path: Path) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "test")
    if changed == "extra":
        fill(tmp_path / "test", {"dog": 2})
    else:
        shutil.rmtree(tmp_path / "test" / "cat")
    with pytest.raises(InputError, match="only one of .*: " + ("dog" if changed == "extra" else "cat")):
        ImageFolder("mine", root=str(tmp_path)).train()


def test_two_pictures_leave_one_for_each_part(tmp_path: Path) -> None:
    fill(tmp_path, {"apple": 1, "bee": 1})
    for fraction in (0.01, 0.99):
        dataset = ImageFolder("mine", root=str(tmp_path), test_fraction=fraction)
        assert len(dataset.train()) == len(dataset.test()) == 1


def test_headers_of_all_files_are_checked_at_first_use(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "test")
    (tmp_path / "test" / "bee" / "1.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"test/bee/1\.png: not a readable picture"):
        _ = ImageFolder("mine", root=str(tmp_path)).input_shape


@pytest.mark.parametrize("memory_mb", [1024, 0])
def test_a_truncated_picture_is_one_line_with_its_name(memory_mb: int, tmp_path: Path) -> None:
    fill(tmp_path / "train")
    path = tmp_path / "train" / "bee" / "6.png"
    path.write_bytes(path.read_bytes()[:-300])
    dataset = ImageFolder("mine", root=str(tmp_path), memory_mb=memory_mb, workers=1)
    with pytest.raises(InputError) as caught:
        list(in_order(dataset.train(), 4, CPU))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [("size", 0), ("test_fraction", 0.0), ("test_fraction", 1.5), ("memory_mb", -1), ("workers", -1)],
)
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"dataset\.{option}={value}: must be"):
        ImageFolder("mine", **{option: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("inner", ["", "train"])
def test_one_class_is_refused(tmp_path: Path, inner: str) -> None:
    fill(tmp_path / inner, {"apple": 4})
    with pytest.raises(InputError, match=r"dataset mine: .* has one class folder, apple; at least 2 are needed"):
        ImageFolder("mine", root=str(tmp_path)).train()
