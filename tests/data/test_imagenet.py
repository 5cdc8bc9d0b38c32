"""ImageNet from class folders of pictures of any size, a few classes of it made here."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_cli.data.imagenet import ImageNet
from nas_cli.data.loader import Loader, in_order
from nas_cli.errors import InputError

CPU = torch.device("cpu")
WNIDS = ["n01440764", "n01443537", "n02107142"]


class Few(ImageNet):
    """Three classes in place of a thousand."""

    classes = 3


def picture(path: Path, width: int, height: int, seed: int, grey: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width) if grey else (height, width, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=95)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for label, wnid in enumerate(reversed(WNIDS)):
        for number in range(8):
            path = tmp_path / "train" / wnid / f"{wnid}_{number}.JPEG"
            picture(path, 40 + 5 * number, 60 - 3 * number, 10 * label + number, grey=number == 2)
        for number in range(2):
            picture(tmp_path / "val" / wnid / f"ILSVRC2012_val_{label}{number}.JPEG", 50, 70, 100 + 10 * label + number)
    return tmp_path


def made(root: Path, **options: object) -> Few:
    return Few("imagenet", **{"root": str(root), "size": 16, "resize": 20, "workers": 0, **options})  # type: ignore[arg-type]


def test_without_data_it_knows_shape_and_classes() -> None:
    dataset = ImageNet("imagenet", root="nowhere")
    assert (dataset.input_shape, dataset.classes) == ((3, 224, 224), 1000)
    assert dataset.augmentation.flip
    with pytest.raises(InputError, match="dataset imagenet: no class folders in nowhere/train; put ImageNet there"):
        dataset.train()


def test_classes_are_numbered_in_sorted_order_of_their_wnids(root: Path) -> None:
    dataset = made(root)
    ((images, labels),) = dataset.test().batches([torch.arange(6)], CPU)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert images.shape == (6, 3, 16, 16)
    with Image.open(root / "val" / WNIDS[0] / "ILSVRC2012_val_20.JPEG") as first:
        side = 50 * 16 / 20
        left, top = (50 - side) / 2, (70 - side) / 2
        box = (left, top, left + side, top + side)
        wanted = np.array(first.resize((16, 16), Image.Resampling.BILINEAR, box=box))
    assert np.array_equal(images[0].permute(1, 2, 0).numpy(), wanted)
    assert [len(dataset.train()), int(torch.bincount(dataset.train()._labels)[1])] == [24, 8]


def test_the_centre_is_that_of_resizing_and_cropping(root: Path) -> None:
    """As the papers do it; the large picture is not made here, which moves the centre by up to half a pixel."""
    path = root / "val" / WNIDS[1] / "smooth.JPEG"
    gradient = np.add.outer(np.arange(120), 1.2 * np.arange(80)).clip(0, 255).astype(np.uint8)
    Image.fromarray(np.stack([gradient] * 3, axis=-1)).save(path, quality=95)
    images, labels = next(iter(made(root).test().batches([torch.arange(7)], CPU)))
    assert labels.tolist() == [0, 0, 1, 1, 1, 2, 2]
    with Image.open(path) as whole:
        resized = whole.resize((20, 30), Image.Resampling.BILINEAR)
    wanted = np.array(resized)[7:23, 2:18].astype(int)
    assert np.abs(images[4].permute(1, 2, 0).numpy().astype(int) - wanted).max() <= 2


def test_mean_and_std_are_those_of_the_sheet(root: Path) -> None:
    for source in (made(root).train(), made(root).test()):
        assert (source.mean / 255).tolist() == pytest.approx([0.485, 0.456, 0.406])
        assert (source.std / 255).tolist() == pytest.approx([0.229, 0.224, 0.225])


@pytest.mark.parametrize("smallest_area", [0.08, None])
def test_training_sees_random_windows_and_a_test_never_does(smallest_area: float | None, root: Path) -> None:
    dataset = made(root, smallest_area=smallest_area)
    plain = torch.cat([images for images, _ in in_order(dataset.train(), 24, CPU)])
    assert torch.equal(plain, torch.cat([images for images, _ in in_order(dataset.train(), 5, CPU)]))
    loader = Loader(dataset.train(), 24, 0, CPU, type(dataset.augmentation)())  # no flip and no colours
    first, second = loader.next()[0], loader.next()[0]
    centres = {image.numpy().tobytes() for image in plain}
    seen = [{image.numpy().tobytes() for image in images} for images in (first, second)]
    if smallest_area is None:
        assert seen == [centres, centres]
    else:
        assert not seen[0] & centres
        assert not seen[0] & seen[1]


def test_workers_make_no_difference(root: Path) -> None:
    batches = []
    for workers in (0, 2):
        dataset = made(root, workers=workers)
        loader = Loader(dataset.train(), 7, 3, CPU, dataset.augmentation)
        batches.append([loader.next() for _ in range(5)])  # into the second epoch
    for (images, labels), (others, other_labels) in zip(*batches, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, other_labels)


def test_a_search_takes_its_share_of_every_class(root: Path) -> None:
    weights, architecture = made(root, search_share=0.5).search_split(0.75)
    assert [torch.bincount(part._labels).tolist() for part in (weights, architecture)] == [[3, 3, 3], [1, 1, 1]]  # type: ignore[attr-defined]
    assert not set(weights._paths) & set(architecture._paths)  # type: ignore[attr-defined]
    halves = made(root).search_split()
    assert [len(part) for part in halves] == [12, 12]


def test_a_search_needs_no_validation_pictures(root: Path) -> None:
    shutil.rmtree(root / "val")
    dataset = made(root)
    assert len(dataset.search_split()[0]) == 12
    with pytest.raises(InputError, match=r"no class folders in .*/val; sort the validation pictures into .*/val/WNID"):
        dataset.test()


def test_a_folder_that_is_not_imagenet_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match=r"train holds 3 class folders, not 1000"):
        ImageNet("imagenet", root=str(root)).train()
    shutil.rmtree(root / "val" / WNIDS[1])
    with pytest.raises(InputError, match=f"classes in only one of .*: {WNIDS[1]}"):
        made(root).train()
    (root / "val" / WNIDS[1]).mkdir()
    with pytest.raises(InputError, match=f"val/{WNIDS[1]} holds no pictures"):
        made(root).train()


def test_a_damaged_picture_is_one_line_with_its_name(root: Path) -> None:
    path = root / "train" / WNIDS[0] / f"{WNIDS[0]}_3.JPEG"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError) as caught:
        list(in_order(made(root, workers=1).train(), 4, CPU))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("size", 0),
        ("resize", 15),
        ("smallest_area", 0.0),
        ("search_share", 0.0),
        ("search_share", 1.5),
        ("workers", -1),
    ],
)
def test_options_out_of_range_are_refused(option: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^{option} must be .*, not {value}$"):
        made(tmp_path, **{option: value})
