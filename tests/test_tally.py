"""Sums over images, and the one pass that makes them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from made_up import CPU, MadeUp
from torch import Tensor, nn

from nas_cli.data.augmentation import Augmentation
from nas_cli.tally import Tally
from nas_cli.tally import test as evaluate

DATASET = MadeUp(augmentation=Augmentation(crop_padding=1, flip=True))


def test_a_tally_adds_up() -> None:
    logits = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    labels = torch.tensor([0, 1, 1])
    total = Tally()
    for part in (slice(0, 2), slice(2, 3)):
        total += Tally.of(F.cross_entropy(logits[part], labels[part]), logits[part], labels[part])
    found = total.metrics("valid")
    assert found["valid_accuracy"] == pytest.approx(2 / 3)
    assert found["valid_loss"] == pytest.approx(F.cross_entropy(logits, labels).item())


def test_top_5_is_counted_where_it_is_asked_for() -> None:
    logits = torch.arange(12.0).repeat(4, 1)  # the five highest are 11, 10, 9, 8, 7
    labels = torch.tensor([11, 7, 6, 0])
    total = Tally.of(torch.tensor(1.0), logits, labels, top5=True)
    total += Tally.of(torch.tensor(1.0), logits[:1], labels[:1], top5=True)
    assert total.metrics("test") == {"test_loss": 1.0, "test_accuracy": 2 / 5, "test_top5_accuracy": 3 / 5}
    assert "test_top5_accuracy" not in Tally.of(torch.tensor(1.0), logits, labels).metrics("test")


@pytest.mark.parametrize(("classes", "counted"), [(100, True), (99, False)])
def test_testing_counts_top_5_of_many_classes(classes: int, counted: bool) -> None:
    class Fixed(nn.Module):
        """Class 4 first, then 0, 1, 2, 3; the labels are 0, 1 and 2."""

        def forward(self, x: Tensor) -> Tensor:
            scores = -torch.arange(float(classes)).repeat(len(x), 1)
            scores[:, 4] = 1.0
            return scores

    found = evaluate(Fixed(), DATASET.test(), 5, CPU).metrics("test")
    assert found["test_accuracy"] == 0
    assert found.get("test_top5_accuracy") == (1.0 if counted else None)


class Probe(nn.Module):
    """Remembers in which mode and in what batches it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[bool, bool, int]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append((self.training, torch.is_grad_enabled(), len(x)))
        return x.flatten(1)[:, :3]


def test_testing_is_one_pass_in_evaluation_mode_without_gradients() -> None:
    probe = Probe()
    found = evaluate(probe, DATASET.test(), 5, CPU)
    assert probe.seen == [(False, False, 10), (False, False, 10), (False, False, 1)]
    assert found.images == 21
