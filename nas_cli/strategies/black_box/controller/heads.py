"""What reads the controller's state: logits for every kind of token, how they are shaped, and draws from them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def shaped(logits: Tensor, temperature: float | None, tanh: float | None) -> Tensor:
    """Logits over the temperature, and what that gives as ``tanh · tanh(…)``; None leaves either out.

    Reference: Pham et al., ENAS, ICML 2018, arXiv:1802.03268, in its code: the temperature comes first.
    """
    if temperature is not None:
        logits = logits / temperature
    return logits if tanh is None else tanh * torch.tanh(logits)


class Softmax(nn.Module):
    """The weights that all choices of one name share: a softmax, and an embedding of what was chosen.

    Args:
        hidden: size of the controller's state, and of an embedding.
        width: how many outputs there are.
    """

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.logits = nn.Linear(hidden, width, bias=False)
        self.embedding = nn.Embedding(width, hidden)

    def forward(self, state: Tensor, outputs: Tensor | None) -> Tensor:
        """Logits of the outputs that are allowed; the others have no part in anything, as if they were -∞.

        Args:
            outputs: their numbers; None: all.
        Shape:
            state: (n, hidden)
            returns: (n, 1, allowed)
        """
        logits: Tensor = self.logits(state)
        return (logits if outputs is None else logits[:, outputs]).unsqueeze(1)


class Attention(nn.Module):
    """The weights that all pointers and subsets of one name share: v · tanh(W_prev a + W_curr h) for every anchor a.

    Reference: Zoph & Le, ICLR 2017, arXiv:1611.01578, eq. 5.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.previous = nn.Linear(hidden, hidden, bias=False)
        self.current = nn.Linear(hidden, hidden, bias=False)
        self.v = nn.Parameter(torch.empty(hidden))

    def forward(self, keys: Tensor, state: Tensor) -> Tensor:
        """The score of every anchor.

        Shape:
            keys: (n, anchors, hidden), W_prev a of each
            state: (n, hidden)
            returns: (n, anchors)
        """
        scores: Tensor = torch.tanh(keys + self.current(state).unsqueeze(1)) @ self.v
        return scores


def one_of(logits: Tensor) -> Tensor:
    """Log-probabilities of a softmax.

    Shape:
        logits: (…, values)
        returns: the same
    """
    return F.log_softmax(logits, -1)


def each_or_not(logits: Tensor) -> Tensor:
    """Log-probabilities of leaving and of taking, for each by itself.

    Shape:
        logits: (n, anchors) of being taken
        returns: (n, anchors, 2)
    """
    return torch.stack((F.logsigmoid(-logits), F.logsigmoid(logits)), -1)


def entropy(log_probabilities: Tensor) -> Tensor:
    """In nats, over the last dimension."""
    return -(log_probabilities.exp() * log_probabilities).sum(-1)


def drawn(log_probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """The first value whose cumulated probability is above a uniform number.

    Shape:
        log_probabilities: (n, decisions, values)
        uniforms: (n, decisions), float64 in [0, 1)
        returns: (n, decisions), numbers of values
    """
    below = log_probabilities.double().exp().cumsum(-1) <= uniforms.unsqueeze(-1)
    return below.sum(-1).clamp(max=log_probabilities.shape[-1] - 1)  # rounded, the last sum can stay below 1
