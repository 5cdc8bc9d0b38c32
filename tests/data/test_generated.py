"""Generated images: labels against independent definitions, balance, and that a seed says all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull, QhullError

from nas_cli.data.base import Images
from nas_cli.data.convex import AREAS, Convex, is_bent
from nas_cli.data.generated import Generated, Rectangles
from nas_cli.errors import InputError

KINDS = [Rectangles, Convex]
SIZES = {"images": 200, "test_images": 40}


def arrays(images: Images) -> tuple[np.ndarray, np.ndarray]:
    (batch,) = images.batches([torch.arange(len(images))], torch.device("cpu"))
    return batch[0].numpy(), batch[1].numpy()


@pytest.fixture(scope="module")
def rectangles() -> tuple[np.ndarray, np.ndarray]:
    return arrays(Rectangles("rectangles", **SIZES).train())


@pytest.fixture(scope="module")
def shapes() -> tuple[np.ndarray, np.ndarray]:
    return arrays(Convex("convex", **SIZES).train())


@pytest.mark.parametrize("kind", KINDS)
def test_form_and_balance(kind: type[Generated]) -> None:
    dataset = kind("made", **SIZES)
    for images, count in ((dataset.train(), 200), (dataset.test(), 40)):
        pixels, labels = arrays(images)
        assert pixels.shape == (count, 1, 28, 28)
        assert set(np.unique(pixels)) == {0, 255}
        assert np.bincount(labels).tolist() == [count // 2, count // 2]
        assert (labels[: count // 2] == 1).any()
        assert (labels[: count // 2] == 0).any()
    pixels, _ = arrays(dataset.train())
    assert float(dataset.train().mean) == pytest.approx(pixels.mean())
    assert float(dataset.train().std) == pytest.approx(pixels.std())


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_says_all_and_nothing_is_in_both_parts(kind: type[Generated]) -> None:
    before = np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    first, again, other = (kind("made", **SIZES, data_seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(arrays(first.train())[0], arrays(again.train())[0])
    assert np.array_equal(arrays(first.test())[0], arrays(again.test())[0])
    assert not np.array_equal(arrays(first.train())[0], arrays(other.train())[0])
    assert not np.array_equal(arrays(first.train())[0][:40], arrays(first.test())[0])
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index,union-attr]
    assert first.train() is first.train()  # made once


def test_rectangles_are_outlines_that_are_taller_or_wider(rectangles: tuple[np.ndarray, np.ndarray]) -> None:
    for pixels, label in zip(*rectangles, strict=True):
        rows, columns = (np.flatnonzero(pixels[0].any(axis=axis)) for axis in (1, 0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        expected = np.zeros((28, 28))
        expected[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = 255
        expected[rows[0] + 1 : rows[-1], columns[0] + 1 : columns[-1]] = 0
        assert np.array_equal(pixels[0], expected)
        assert abs(height - width) >= 3
        assert label == int(width > height)


def is_convex(shape: np.ndarray) -> bool:
    """Whether a shape has every pixel of its convex hull; by scipy's hull, one shape at a time."""
    points = np.argwhere(shape)
    try:
        hull = ConvexHull(points)
    except QhullError:  # all on one line
        return len(points) == max(np.ptp(points[:, 0]), np.ptp(points[:, 1])) + 1
    grid = np.argwhere(np.ones_like(shape))
    inside = (grid @ hull.equations[:, :2].T + hull.equations[:, 2] <= 1e-9).all(axis=1)
    return int(inside.sum()) == len(points)


def test_shapes_are_convex_as_their_labels_say(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, labels = shapes
    assert [int(is_convex(each[0] > 0)) for each in pixels] == labels.tolist()


def test_the_area_says_nothing_about_the_label(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, labels = shapes
    areas = (pixels > 0).mean(axis=(1, 2, 3))
    counts = [np.histogram(areas[labels == label], AREAS)[0].tolist() for label in (0, 1)]
    assert counts == [[20] * 5] * 2


def test_what_is_bent_is_what_has_a_hole_midway() -> None:
    """Against all pairs of pixels, one by one."""
    small = np.random.default_rng(0).random((60, 5, 6)) < 0.85
    small[0], small[1] = True, False
    for shape, bent in zip(small, is_bent(small), strict=True):
        points = np.argwhere(shape)
        sums = (points[:, None] + points[None]).reshape(-1, 2)
        midway = sums[(sums % 2 == 0).all(axis=1)] // 2
        assert bent == (not shape[midway[:, 0], midway[:, 1]].all())


def test_ranges() -> None:
    for kind in KINDS:
        with pytest.raises(InputError, match="images must be even and at least 2, not 3"):
            kind("made", images=3)
        with pytest.raises(InputError, match="test_images must be even and at least 2, not 0"):
            kind("made", test_images=0)
        with pytest.raises(InputError, match="data_seed must be at least 0, not -1"):
            kind("made", data_seed=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_making_one_generates_nothing(kind: type[Generated], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "shapes", lambda *_: pytest.fail("generated"))
    dataset = kind("made")
    assert (dataset.input_shape, dataset.classes, dataset.name) == ((1, 28, 28), 2, "made")
