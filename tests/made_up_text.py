"""A small text that is made up, and a recurrent cell for it."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.data.text import TextDataset
from nas_cli.spaces.darts_recurrent import DartsRecurrentSpace

ACTIVATIONS = ("none", "tanh", "relu", "sigmoid", "identity")
CELL = "tanh:0 relu:1"


class MadeUpText(TextDataset):
    """Twelve words that follow each other in a ring, with one in five drawn at random."""

    words = 12

    def __init__(self, train: int = 900, valid: int = 220, test: int = 130) -> None:
        super().__init__("made_up_text")
        self.lengths = {"train": train, "valid": valid, "test": test}
        self.reads = dict.fromkeys(self.lengths, 0)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return tuple("abcdefghijkl")

    def train(self) -> Tensor:
        return self._make("train")

    def valid(self) -> Tensor:
        return self._make("valid")

    def test(self) -> Tensor:
        return self._make("test")

    def _make(self, part: str) -> Tensor:
        self.reads[part] += 1
        generator = torch.Generator().manual_seed(len(part))
        length = self.lengths[part]
        noise = torch.randint(0, self.words, (length,), generator=generator)
        noisy = torch.rand(length, generator=generator) < 0.2
        return torch.where(noisy, noise, torch.arange(length) % self.words)


def recurrent_space(nodes: int = 2, hidden: int = 8) -> DartsRecurrentSpace:
    return DartsRecurrentSpace("darts_recurrent", ACTIVATIONS, nodes=nodes, hidden=hidden)


def recurrent_cell() -> Architecture:
    return Architecture("darts_recurrent", (CELL,))
