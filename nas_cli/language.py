"""Language models: their loss and perplexity, and what is added to the loss while training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_cli.data.sequences import in_order
from nas_cli.descent import check_finite
from nas_cli.networks.recurrent import Prediction

LARGEST_EXPONENT = 700.0  # of a float; a perplexity beyond it says nothing

#: Words (steps, batch) and the hidden state before them -> what the model gives.
Predict = Callable[[Tensor, Tensor | None], Prediction]


@dataclass
class WordTally:
    """Sums over words from which mean loss and perplexity follow."""

    loss: float = 0.0
    words: int = 0

    @classmethod
    def of(cls, loss: Tensor, targets: Tensor) -> WordTally:
        """The tally of one window whose mean loss is `loss`."""
        return cls(loss.item() * targets.numel(), targets.numel())

    def __iadd__(self, other: WordTally) -> WordTally:
        self.loss += other.loss
        self.words += other.words
        return self

    def metrics(self, prefix: str) -> dict[str, float]:
        """``<prefix>_loss`` in nats a word, and ``<prefix>_perplexity``, its exponential."""
        loss = self.loss / self.words
        return {f"{prefix}_loss": loss, f"{prefix}_perplexity": math.exp(min(loss, LARGEST_EXPONENT))}


def cross_entropy(prediction: Prediction, targets: Tensor) -> Tensor:
    """Mean loss of a window in nats a word.

    Shape:
        targets: (steps, batch), the words that follow
    """
    logits = prediction.logits.flatten(0, 1)
    return F.cross_entropy(logits if logits.dtype == torch.float64 else logits.float(), targets.flatten())


def activation_penalty(prediction: Prediction, activation: float, temporal: float) -> Tensor | float:
    """α · mean(h²) of the states as the decoder reads them, and β · mean((h_t - h_{t-1})²) of all states.

    Args:
        activation: α. Paper: 0.
        temporal: β. Paper: 1e-3.
    Reference: Merity, McCann, Socher, Revisiting Activation Regularization for Language RNNs, 2017, arXiv:1708.01009,
        sec. 3.
    """
    penalty: Tensor | float = 0.0
    if activation:
        penalty = penalty + activation * prediction.dropped.pow(2).mean()
    if temporal and len(prediction.states) > 1:
        penalty = penalty + temporal * prediction.states.diff(dim=0).pow(2).mean()
    return penalty


@torch.no_grad()
def judge(predict: Predict, text: Tensor, length: int, what: str) -> WordTally:
    """The loss on a whole text in order, the hidden state carried from window to window.

    Args:
        predict: a model in evaluation mode.
        text: columns, (rows, batch).
        length: of a window; it makes no difference to a model whose state is all in its hidden state.
        what: the loss's name for an error.
    Raises `DivergedError` on a loss that is not finite.
    """
    total, hidden = WordTally(), None
    for tokens, targets in in_order(text, length):
        prediction = predict(tokens, hidden)
        loss = cross_entropy(prediction, targets)
        check_finite(loss, what)
        total += WordTally.of(loss, targets)
        hidden = prediction.hidden
    return total
