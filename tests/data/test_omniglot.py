"""Omniglot's folders of 1-bit PNGs, made small."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw

from nas_cli.data import omniglot as module
from nas_cli.data.base import Images
from nas_cli.data.episodes import Episodes
from nas_cli.data.omniglot import Omniglot
from nas_cli.errors import InputError

CPU = torch.device("cpu")
ALPHABETS = {"images_background": {"Latin": 3, "Greek": 2}, "images_evaluation": {"Atlantean": 2}}


def write(root: Path) -> Path:
    """Seven characters, c a black bar of 6 + c rows from row 15 c on, on white, in 1-bit PNGs of 105x105."""
    count = 0
    for part, alphabets in ALPHABETS.items():
        for alphabet, characters in alphabets.items():
            for character in range(1, characters + 1):
                folder = root / "omniglot-py" / part / alphabet / f"character{character:02}"
                folder.mkdir(parents=True)
                picture = Image.new("1", (105, 105), 1)
                ImageDraw.Draw(picture).rectangle((0, 15 * count, 104, 15 * count + 5 + count), fill=0)
                for drawer in range(1, 21):
                    picture.save(folder / f"{count:04}_{drawer:02}.png")
                count += 1
    return root


def made(root: Path, **options: Any) -> Omniglot:
    return Omniglot("omniglot", str(root), **{"train_characters": 5, **options})


def read(source: Images) -> tuple[torch.Tensor, torch.Tensor]:
    ((pixels, labels),) = source.batches([torch.arange(len(source))], CPU)
    return pixels, labels


def bars(pixels: torch.Tensor) -> list[int]:
    """Which character each image shows."""
    return [round(float(image[0, :, 14].float().argmin()) * 105 / 28 / 15) for image in pixels]


def test_characters_of_both_folders_are_pooled_and_split(tmp_path: Path) -> None:
    dataset = made(write(tmp_path))
    (train, labels), (test, test_labels) = read(dataset.meta_train()), read(dataset.meta_test())
    assert train.shape == (100, 1, 28, 28)
    assert train.dtype == torch.uint8
    assert test.shape == (40, 1, 28, 28)
    assert labels.bincount().tolist() == [20] * 5
    assert test_labels.bincount().tolist() == [20] * 2
    for pixels, own in ((train, labels), (test, test_labels)):
        seen = bars(pixels)
        assert all(len({seen[place] for place in range(len(seen)) if own[place] == label}) == 1 for label in own)
    assert set(bars(train)) | set(bars(test)) == set(range(7))
    assert not set(bars(train)) & set(bars(test))
    assert int(train.max()) == 255
    again = read(made(tmp_path).meta_test())[0]
    assert torch.equal(again, test)


def test_statistics_are_those_of_the_training_images(tmp_path: Path) -> None:
    dataset = made(write(tmp_path))
    pixels = read(dataset.meta_train())[0].double()
    assert torch.allclose(dataset.meta_train().mean.double(), pixels.mean())
    assert torch.allclose(dataset.meta_train().std.double(), pixels.std())
    assert torch.equal(dataset.meta_test().mean, dataset.meta_train().mean)


def test_each_turned_character_is_a_class(tmp_path: Path) -> None:
    """1,200 characters make 4,800 classes; here five make twenty."""
    train = Episodes(ways=5, shots=1, queries=15).train(made(write(tmp_path)), 0, CPU)
    assert train.classes == 20
    images, labels = train.episode(0).query
    assert images.shape == (75, 1, 28, 28)
    assert labels.tolist() == [label for label in range(5) for _ in range(15)]


def test_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing .*images_background; put it there, set dataset.root, or dataset.d"):
        made(tmp_path).meta_train()
    write(tmp_path)
    shutil.rmtree(tmp_path / "omniglot-py" / "images_evaluation")
    with pytest.raises(InputError, match=r"missing .*images_evaluation"):
        made(tmp_path).meta_train()


def test_damage_is_told_in_one_line(tmp_path: Path) -> None:
    write(tmp_path)
    character = tmp_path / "omniglot-py" / "images_background" / "Greek" / "character02"
    picture = sorted(character.glob("*.png"))[3]
    picture.write_bytes(picture.read_bytes()[:60])
    dataset = made(tmp_path, train_characters=6)
    with pytest.raises(InputError, match=rf"{picture.name}: not a readable picture") as told:
        _ = dataset.meta_train(), dataset.meta_test()
    assert "\n" not in str(told.value)
    picture.unlink()
    with pytest.raises(InputError, match="character02: holds 19 pictures, not 20"):
        made(tmp_path).meta_train()
    shutil.rmtree(tmp_path / "omniglot-py" / "images_evaluation" / "Atlantean")
    shutil.rmtree(character)
    with pytest.raises(InputError, match="images_evaluation: holds no characters"):
        made(tmp_path).meta_train()


def test_options_are_checked(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(InputError, match="train_characters=7: must leave some of the 7 characters"):
        made(tmp_path, train_characters=7).meta_train()
    with pytest.raises(InputError, match="train_characters must be at least 1, not 0"):
        made(tmp_path, train_characters=0)


def test_archives_are_fetched(tmp_path: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, url = mirror
    original = write(tmp_path / "original") / "omniglot-py"
    sums = {}
    for part in module.MD5:
        archive = Path(shutil.make_archive(str(folder / part), "zip", original, part))
        sums[part] = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(module, "URL", url)
    monkeypatch.setattr(module, "MD5", sums)
    here = tmp_path / "here"
    assert len(made(here, download=True).meta_train()) == 100
    assert len(made(here).meta_test()) == 40
