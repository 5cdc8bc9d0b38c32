"""The recurrent cell of DARTS, and the language model round it or another.

Reference: Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019, arXiv:1806.09055, sec. 2.1, 3.2
and app. A.1.2; the regularisation is that of Merity, Keskar, Socher, Regularizing and Optimizing LSTM Language Models,
ICLR 2018, arXiv:1708.02182, sec. 4.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.errors import InputError, nearest, require
from nas_cli.networks.recurrent_genotype import RecurrentGenotype

INITIAL = 0.04  # all weights start uniform in ±0.04

#: What a node can apply to its candidate state.
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The activation of a name. Raises `InputError` for an unknown one."""
    if name not in ACTIVATIONS:
        raise InputError(f"{name}: no such activation{nearest(name, ACTIVATIONS)}; there are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


@dataclass(frozen=True)
class Dropouts:
    """Probabilities of dropout while training; each mask is drawn once for a whole window, for all its steps.

    Args:
        output: of what the decoder reads. Paper: 0.75.
        hidden: of the previous hidden state and of every node's predecessor, one mask for all. Paper: 0.25 (0.15 for
            the evaluation on WikiText-2).
        input: of the cell's input. Paper: 0.75.
        embedding: of the embedded words. Paper: 0.2.
        word: of whole words of the vocabulary. Paper: 0 in the search, 0.1 in the evaluation.
    Reference: Gal and Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks, NeurIPS
        2016, arXiv:1512.05287.
    """

    output: float = 0.1
    hidden: float = 0.1
    input: float = 0.1
    embedding: float = 0.1
    word: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            require(0 <= value < 1, f"{field.name} must be in [0, 1), not {value}")


NO_DROPOUT = Dropouts(0.0, 0.0, 0.0, 0.0, 0.0)


class RecurrentNodes(nn.Module):
    """The nodes of a discrete cell, between the joined state and the new hidden state.

    Node i with predecessor j and activation f has its own matrix W_i: [c, h] = (s_j ∘ m) W_i and
    s_i = s_j + σ(c) ∘ (f(h) - s_j).

    Args:
        genotype: predecessors and activations.
        size: H, of every state.
    Shape:
        start: s_0, (batch, size); mask: m, (batch, size), or None; returns: (batch, size), the mean of the output nodes
    Raises `InputError` for an unknown activation.
    """

    def __init__(self, genotype: RecurrentGenotype, size: int) -> None:
        super().__init__()
        self.sources = [source for _, source in genotype.nodes]
        self.activations = [activation(name) for name, _ in genotype.nodes]
        self.mean = genotype.mean
        self.matrices = nn.ParameterList(uniform(size, 2 * size) for _ in genotype.nodes)

    def forward(self, start: Tensor, mask: Tensor | None) -> Tensor:
        states = [start]
        for source, apply, matrix in zip(self.sources, self.activations, self.matrices, strict=True):
            state = states[source]
            gate, value = (masked(state, mask) @ matrix).chunk(2, dim=-1)
            states.append(torch.lerp(state, apply(value), gate.sigmoid()))
        return torch.stack([states[number] for number in self.mean]).mean(dim=0)


class UnrolledLayer(nn.Module, ABC):
    """A recurrent cell unrolled over a window, and what it carries from one window to the next.

    `forward` takes the input, (steps, batch, size), the state before it, and what else a cell needs; it returns the
    states behind every step, stacked. Only the layer knows what a state consists of.
    """

    dropouts: Dropouts

    def start(self, x: Tensor) -> Tensor:
        """The state before the first window: zeros.

        Shape:
            x: (steps, batch, size); returns: as one state
        """
        return x.new_zeros(x.shape[1:])

    def output(self, states: Tensor) -> Tensor:
        """The part of states that the decoder reads, (steps, batch, size)."""
        return states

    def _mask(self, like: Tensor, probability: float) -> Tensor | None:
        return dropout_mask(like, probability) if self.training and probability > 0 else None


class RecurrentLayer(UnrolledLayer):
    """The recurrent cell of DARTS unrolled over a window.

    [c, h] = [x ∘ m_x ; h_{t-1} ∘ m_h] W_0, then s_0 = h_{t-1} + σ(c) ∘ (tanh(h) - h_{t-1}), and the nodes lead from
    s_0 to h_t.

    Args:
        nodes: the inside of the cell: (s_0, m_h, further arguments of `forward`) -> h_t.
        size: of input and hidden state.
        dropouts: of which `input` and `hidden` are meant.
    Shape:
        x: (steps, batch, size); hidden: (batch, size); returns: (steps, batch, size), all hidden states
    """

    def __init__(self, nodes: nn.Module, size: int, dropouts: Dropouts) -> None:
        super().__init__()
        self.size = size
        self.dropouts = dropouts
        self.joint = uniform(2 * size, 2 * size)
        self.nodes = nodes

    def forward(self, x: Tensor, hidden: Tensor, *further: object) -> Tensor:
        input_mask = self._mask(x[0], self.dropouts.input)
        hidden_mask = self._mask(hidden, self.dropouts.hidden)
        from_input, from_hidden = self.joint[: self.size], self.joint[self.size :]
        # The input's part of the product is the same work for all steps at once.
        projected = masked(x, input_mask) @ from_input
        states = []
        for step in projected.unbind():
            gate, value = (step + masked(hidden, hidden_mask) @ from_hidden).chunk(2, dim=-1)
            start = torch.lerp(hidden, value.tanh(), gate.sigmoid())
            hidden = self.nodes(start, hidden_mask, *further)
            states.append(hidden)
        return torch.stack(states)


class Prediction(NamedTuple):
    """What a language model gives for a window.

    Args:
        logits: of the next word, (steps, batch, words).
        hidden: the last state, to go on from: of DARTS' cell the hidden state, (batch, size).
        states: all hidden states, (steps, batch, size).
        dropped: the same as the decoder has read them.
    """

    logits: Tensor
    hidden: Tensor
    states: Tensor
    dropped: Tensor


class LanguageModel(nn.Module):
    """Embedding, one recurrent layer, and a decoder with the embedding's weights and a bias of its own.

    Args:
        nodes: the inside of the cell.
        words: size of the vocabulary.
        size: of embedding and hidden state. Paper: 300 in the search, 850 (WikiText-2: 700) in the evaluation.
        dropouts: while training.
        layer: makes the recurrent layer of (nodes, size, dropouts).
    Shape:
        tokens: (steps, batch) int64; hidden: a state of the layer, (batch, size) of DARTS' cell, None for zeros;
        further: handed to the nodes
    """

    def __init__(
        self,
        nodes: nn.Module,
        words: int,
        size: int,
        dropouts: Dropouts,
        layer: Callable[[nn.Module, int, Dropouts], UnrolledLayer] = RecurrentLayer,
    ) -> None:
        super().__init__()
        self.size = size
        self.dropouts = dropouts
        self.embedding = uniform(words, size)
        self.layer = layer(nodes, size, dropouts)
        self.bias = nn.Parameter(torch.zeros(words))

    def forward(self, tokens: Tensor, hidden: Tensor | None = None, *further: object) -> Prediction:
        x = F.embedding(tokens, self.embedding)
        if self.training and self.dropouts.word > 0:
            # A word is dropped wherever it stands in the window.
            x = x * F.embedding(tokens, dropout_mask(self.embedding[:, :1], self.dropouts.word))
        x = self._locked(x, self.dropouts.embedding)
        every = self.layer(x, self.layer.start(x) if hidden is None else hidden, *further)
        states = self.layer.output(every)
        dropped = self._locked(states, self.dropouts.output)
        return Prediction(F.linear(dropped, self.embedding, self.bias), every[-1], states, dropped)

    def _locked(self, x: Tensor, probability: float) -> Tensor:
        """`x` with one mask for all steps."""
        return x * dropout_mask(x[0], probability) if self.training and probability > 0 else x


def uniform(*shape: int) -> nn.Parameter:
    """A weight as all begin, from torch's current generator."""
    return nn.Parameter(torch.empty(shape).uniform_(-INITIAL, INITIAL))


def dropout_mask(like: Tensor, probability: float) -> Tensor:
    """A mask of this shape with mean 1: 0 with this probability, else 1 / (1 - probability)."""
    keep = 1 - probability
    return torch.empty_like(like, requires_grad=False).bernoulli_(keep) / keep


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """`x` where nothing is dropped."""
    return x if mask is None else x * mask
