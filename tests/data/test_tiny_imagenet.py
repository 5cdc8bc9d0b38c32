"""Tiny-ImageNet in its own layout, a small one made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_cli.data.base import Images, Source
from nas_cli.data.streamed import Streamed
from nas_cli.data.tiny_imagenet import TinyImageNet
from nas_cli.errors import InputError

CPU = torch.device("cpu")
WNIDS = [f"n{(7 * number) % 200:08d}" for number in range(200)]  # all different, not in sorted order
PER_CLASS, TESTED = 2, 5


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training pictures of each class, all of one brightness: the number of the class; five test pictures."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "tiny-imagenet-200"
    for label, wnid in enumerate(WNIDS):
        images = folder / "train" / wnid / "images"
        images.mkdir(parents=True)
        for number in range(PER_CLASS):
            Image.fromarray(np.full((64, 64), label, np.uint8)).save(images / f"{wnid}_{number}.JPEG", quality=95)
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text("no picture")
    (folder / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (folder / "val" / "images").mkdir(parents=True)
    lines = []
    for number in range(TESTED):
        pixels = np.full((64, 64, 3), 40 * number, np.uint8)
        Image.fromarray(pixels).save(folder / "val" / "images" / f"val_{number}.JPEG", quality=95)
        lines.append(f"val_{number}.JPEG\t{WNIDS[40 * number]}\t0\t32\t44\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    return root


@pytest.fixture
def files(root: Path, tmp_path: Path) -> Path:
    """A copy without pictures, whose lists may be spoilt."""
    for name in ("wnids.txt", "val/val_annotations.txt"):
        path = tmp_path / "tiny-imagenet-200" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((root / "tiny-imagenet-200" / name).read_text())
    return tmp_path


def made(root: Path, memory_mb: int = 64) -> TinyImageNet:
    return TinyImageNet("tiny_imagenet", root=str(root), memory_mb=memory_mb, workers=0)


def read(source: Source) -> tuple[torch.Tensor, torch.Tensor]:
    ((images, labels),) = source.batches([torch.arange(len(source))], CPU)
    return images, labels


@pytest.mark.parametrize(("memory_mb", "kind"), [(64, Images), (0, Streamed)])
def test_classes_are_numbered_as_in_their_list_in_both_parts(memory_mb: int, kind: type, root: Path) -> None:
    dataset = made(root, memory_mb)
    assert isinstance(dataset.train(), kind)
    images, labels = read(dataset.train())
    assert images.shape == (200 * PER_CLASS, 3, 64, 64)
    assert labels.tolist() == [label for label in range(200) for _ in range(PER_CLASS)]
    assert torch.equal(images[:, 1, 30, 30], labels.to(torch.uint8))
    images, labels = read(dataset.test())
    assert labels.tolist() == [0, 40, 80, 120, 160]
    assert (images[:, :, 5, 5].double() - labels[:, None]).abs().max() <= 1


def test_mean_and_std_are_imagenets(root: Path) -> None:
    for source in (made(root).train(), made(root, 0).test()):
        assert (source.mean / 255).tolist() == pytest.approx([0.485, 0.456, 0.406])
        assert (source.std / 255).tolist() == pytest.approx([0.229, 0.224, 0.225])


def test_both_parts_of_a_search_have_every_class(root: Path) -> None:
    parts = [read(part)[1] for part in made(root).search_split(0.5)]
    assert [torch.bincount(labels).tolist() for labels in parts] == [[1] * 200, [1] * 200]


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset tiny_imagenet: missing .*/tiny-imagenet-200/wnids\.txt; put it"):
        made(tmp_path).train()


def test_missing_annotations_are_named(files: Path) -> None:
    (files / "tiny-imagenet-200/val/val_annotations.txt").unlink()
    with pytest.raises(InputError, match=r"missing .*/val/val_annotations\.txt"):
        made(files).train()


def test_a_class_without_pictures_is_named(files: Path) -> None:
    with pytest.raises(InputError, match=f"train/{WNIDS[0]}/images: holds no pictures of class {WNIDS[0]}"):
        made(files).train()


@pytest.mark.parametrize("text", ["n1\nn2\n", "\n".join([*WNIDS[:199], WNIDS[0]])])
def test_a_list_of_other_classes_is_refused(text: str, files: Path) -> None:
    (files / "tiny-imagenet-200/wnids.txt").write_text(text)
    with pytest.raises(InputError, match=r"wnids\.txt: must list 200 different classes, not (2|199)$"):
        made(files).train()


@pytest.mark.parametrize("line", ["val_9.JPEG\tn99999999\t0\t0\t1\t1", "val_9.JPEG", "\x00"])
def test_an_annotation_of_no_class_is_one_line_with_its_number(line: str, files: Path) -> None:
    with (files / "tiny-imagenet-200/val/val_annotations.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=r"val_annotations\.txt: line 6 must be a file and a class") as caught:
        made(files).test()
    assert "\n" not in str(caught.value)


def test_lists_that_are_no_text_are_refused(files: Path) -> None:
    (files / "tiny-imagenet-200/wnids.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match=r"wnids\.txt: cannot be read"):
        made(files).train()


def test_a_test_picture_that_is_not_there_is_named(files: Path) -> None:
    dataset = made(files)
    dataset._train_files = (["unread"], [0])
    with pytest.raises(InputError, match=r"val/images/val_0\.JPEG: not a readable picture"):
        dataset.test()


@pytest.mark.parametrize("option", ["memory_mb", "workers"])
def test_options_out_of_range_are_refused(option: str) -> None:
    with pytest.raises(InputError, match=rf"dataset\.{option}=-1: must be 0 or more"):
        TinyImageNet("tiny_imagenet", **{option: -1})  # type: ignore[arg-type]
