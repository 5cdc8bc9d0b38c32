"""Decoding of single pictures in every mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_cli.data.pictures import decode, read_header
from nas_cli.errors import InputError


def gradient(height: int, width: int) -> np.ndarray:
    return (np.add.outer(np.arange(height), 2 * np.arange(width)) % 256).astype(np.uint8)


@pytest.mark.parametrize(
    ("mode", "grey"), [("1", True), ("L", True), ("LA", True), ("P", False), ("RGB", False), ("RGBA", False)]
)
def test_header_and_decoded_shape_of_each_mode(mode: str, grey: bool, tmp_path: Path) -> None:
    path = str(tmp_path / "picture.png")
    Image.fromarray(gradient(12, 20)).convert(mode).save(path)
    assert read_header(path) == (12, grey)
    for channels in (1, 3):
        image = decode(path, channels, 8)
        assert image.shape == (channels, 8, 8)
        assert image.dtype == torch.uint8


def test_a_picture_of_the_right_size_is_unchanged(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    path = str(tmp_path / "picture.png")
    Image.fromarray(pixels).save(path)
    assert np.array_equal(decode(path, 3, 8).permute(1, 2, 0).numpy(), pixels)


def test_the_centre_is_kept_of_a_wide_and_of_a_tall_picture(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 14)).astype(np.uint8)
    for name, shown in (("wide", pixels), ("tall", pixels.T)):
        path = str(tmp_path / f"{name}.png")
        Image.fromarray(np.ascontiguousarray(shown)).save(path)
        expected = pixels[:, 3:11] if name == "wide" else pixels.T[3:11]
        assert np.array_equal(decode(path, 1, 8)[0].numpy(), expected)


def test_resizing_averages(tmp_path: Path) -> None:
    path = str(tmp_path / "picture.png")
    Image.fromarray(np.tile(np.array([[0, 200], [200, 0]], np.uint8), (32, 32))).save(path)
    image = decode(path, 1, 8).float()
    assert image.mean().item() == pytest.approx(100, abs=2)
    assert image.std().item() < 10


def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path: Path) -> None:
    high = gradient(8, 8)
    path = str(tmp_path / "picture.png")
    Image.fromarray(high.astype(np.uint16) * 256 + 77).save(path)
    assert read_header(path) == (8, True)
    assert np.array_equal(decode(path, 1, 8)[0].numpy(), high)


def test_an_extreme_strip_is_decoded(tmp_path: Path) -> None:
    path = str(tmp_path / "strip.png")
    Image.fromarray(np.full((1, 5000), 9, np.uint8)).save(path)
    assert decode(path, 1, 64).unique().tolist() == [9]


def test_the_camera_orientation_is_followed(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show it upright
    path = str(tmp_path / "turned.png")
    Image.fromarray(pixels).save(path, exif=exif)
    assert np.array_equal(decode(path, 1, 8)[0].numpy(), np.rot90(pixels, -1))


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp"])
def test_a_truncated_picture_is_one_line_with_its_name(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"cut.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError) as caught:
        decode(str(path), 3, 8)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"text"])
def test_what_is_no_picture_is_refused_by_its_header(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "fake.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"fake\.png: not a readable picture"):
        read_header(str(path))
