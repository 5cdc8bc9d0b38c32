"""docs/detection.md, taken from the page and run: coloured squares on noise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nas_cli.seeding import seeded

PAGE = (Path(__file__).parents[2] / "docs" / "detection.md").read_text()
SIDE, BATCH, STEPS = 64, 4, 40


def code() -> list[str]:
    return re.findall(r"(?<!<!-- not run -->\n)```python\n(.*?)```", PAGE, flags=re.DOTALL)


def squares(number: int) -> tuple[Tensor, dict[str, Tensor]]:
    """An image of noise with two squares of 12 to 20 pixels; the label is the colour channel plus 1."""
    generator = torch.Generator().manual_seed(number)
    image = 0.3 * torch.rand(3, SIDE, SIDE, generator=generator)
    boxes, labels = [], []
    for half in (0, SIDE // 2):
        side = int(torch.randint(12, 21, (), generator=generator))
        left = half + int(torch.randint(0, SIDE // 2 - side, (), generator=generator))
        top = int(torch.randint(0, SIDE - side, (), generator=generator))
        channel = int(torch.randint(0, 3, (), generator=generator))
        image[channel, top : top + side, left : left + side] = 1
        boxes.append([left, top, left + side, top + side])
        labels.append(channel + 1)
    return image, {"boxes": torch.tensor(boxes, dtype=torch.float32), "labels": torch.tensor(labels)}


def run_page(parts: list[str], steps: int = STEPS) -> dict[str, Any]:
    """What stands in the page's code after these parts of it."""
    drawn = iter(range(10**6))

    def batch() -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        made = [squares(next(drawn)) for _ in range(BATCH)]
        return [image for image, _ in made], [target for _, target in made]

    names: dict[str, Any] = {"batch": batch, "steps": steps}
    with seeded(0, "page"):
        for part in parts:
            exec(part, names)
    return names


@pytest.mark.slow  # the one of two stages learns the same way, in half of the time
def test_a_detector_learns_and_finds_boxes() -> None:
    backbone, retina, _, training, boxes = code()
    names = run_page([backbone, retina, training, boxes])
    losses = names["losses"]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert any(len(result["boxes"]) for result in names["found"])
    for result in names["found"]:
        count = len(result["boxes"])
        assert result["boxes"].shape == (count, 4)
        assert result["labels"].shape == result["scores"].shape == (count,)
        assert bool(torch.isfinite(result["boxes"]).all())
        assert set(result["labels"].tolist()) <= {1, 2, 3}


def test_so_does_one_of_two_stages(capsys: pytest.CaptureFixture[str]) -> None:
    backbone, retina, two_stages, training, boxes = code()
    as_that = [part.replace("detector", "two_stages") for part in (training, boxes)]
    names = run_page([backbone, retina, two_stages, *as_that], steps=12)
    losses = names["losses"]
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    assert all(result["boxes"].shape[1] == 4 for result in names["found"])
    printed = capsys.readouterr().out
    (shown,) = re.findall(r"prints\n\n```\n(.*?)```", PAGE, flags=re.DOTALL)
    assert printed.startswith(shown)
