"""The embedded digits: sizes, fixed split, and the constants."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits

from nas_cli.data.augmentation import Augmentation
from nas_cli.data.base import Source
from nas_cli.data.digits import Digits

CPU = torch.device("cpu")


def read(source: Source) -> tuple[torch.Tensor, torch.Tensor]:
    ((images, labels),) = source.batches([torch.arange(len(source))], CPU)
    return images, labels


def test_train_and_test_are_all_digits_once() -> None:
    dataset = Digits("digits")
    images, labels = read(dataset.train())
    test_images, test_labels = read(dataset.test())
    assert images.shape == (1400, *dataset.input_shape)
    assert test_images.shape == (397, 1, 8, 8)
    assert set(labels.tolist()) == set(test_labels.tolist()) == set(range(dataset.classes))
    pixels, targets = load_digits(return_X_y=True)
    stored = sorted((*row, target) for row, target in zip(pixels.tolist(), targets.tolist(), strict=True))
    read_back = [
        (*image.flatten().tolist(), int(label))
        for image, label in zip(torch.cat([images, test_images]), torch.cat([labels, test_labels]), strict=True)
    ]
    assert sorted(read_back) == stored


def test_mean_and_std_are_those_of_the_training_images() -> None:
    train = Digits("digits").train()
    images = read(train)[0].double()
    assert images.max() == 16
    assert train.mean.item() == pytest.approx(images.mean().item(), rel=1e-6)
    assert train.std.item() == pytest.approx(images.std(correction=0).item(), rel=1e-6)


def test_the_split_never_changes() -> None:
    # Written down once: other test images would make results of different versions incomparable.
    assert read(Digits("digits").test())[1][:12].tolist() == [0, 4, 2, 7, 7, 9, 1, 9, 0, 9, 3, 8]
    assert read(Digits("again").train())[1][:12].tolist() == [2, 8, 2, 6, 6, 7, 1, 9, 8, 5, 2, 8]


def test_nothing_is_augmented_by_default() -> None:
    assert Digits("digits").augmentation == Augmentation(0, False, 0)
