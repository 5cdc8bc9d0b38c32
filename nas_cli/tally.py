"""How well a network classifies images: sums over batches, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.data.base import Source
from nas_cli.data.loader import in_order
from nas_cli.descent import check_finite
from nas_cli.hardware import Hardware

TOP5_CLASSES = 100  # papers report top-5 errors on ImageNet; on 10 classes they say little


@dataclass
class Tally:
    """Sums over images from which mean loss and accuracy follow, and top-5 accuracy where it was counted."""

    loss: float = 0.0
    correct: int = 0
    images: int = 0
    top5: int | None = None

    @classmethod
    def of(cls, loss: Tensor, logits: Tensor, labels: Tensor, top5: bool = False) -> Tally:
        """The tally of one batch whose mean loss is `loss`."""
        count = len(labels)
        within = int((logits.topk(5, dim=1).indices == labels[:, None]).sum()) if top5 else None
        return cls(loss.item() * count, int((logits.argmax(dim=1) == labels).sum()), count, within)

    def __iadd__(self, other: Tally) -> Tally:
        self.loss += other.loss
        self.correct += other.correct
        self.images += other.images
        if other.top5 is not None:
            self.top5 = (self.top5 or 0) + other.top5
        return self

    def metrics(self, prefix: str) -> dict[str, float]:
        """``<prefix>_loss`` and ``<prefix>_accuracy`` (a fraction), and ``<prefix>_top5_accuracy`` where counted."""
        found = {f"{prefix}_loss": self.loss / self.images, f"{prefix}_accuracy": self.correct / self.images}
        return found if self.top5 is None else {**found, f"{prefix}_top5_accuracy": self.top5 / self.images}


@torch.no_grad()
def test(network: nn.Module, source: Source, batch_size: int, hardware: Hardware) -> Tally:
    """Loss and accuracy of a network on images in order, in evaluation mode; with many classes top-5 accuracy too.

    Raises `DivergedError` on a loss that is not finite.
    """
    network.eval()
    total = Tally()
    for images, labels in in_order(source, 2 * batch_size, hardware.device):
        with hardware.autocast():
            logits = network(images).float()
        loss = F.cross_entropy(logits, labels)
        check_finite(loss, "the loss on the test or validation images")
        total += Tally.of(loss, logits, labels, top5=logits.shape[1] >= TOP5_CLASSES)
    return total
