"""A text as batches: parallel columns, read window by window from top to bottom.

The columns are walked over endlessly. How long each window is, is drawn from the text's own counted generator, so that
the state of a walk is two integers (and whatever hidden state the reader carries from window to window).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas_cli.errors import InputError, require
from nas_cli.seeding import numpy_generator

SHORTEST, LONGEST = 5, 55  # of `Spread`, in words at a length of 35


def columns(tokens: Tensor, batch: int, device: torch.device, name: str = "the text") -> Tensor:
    """A text cut into `batch` columns of equal length; what is left over at its end is trimmed off.

    Args:
        name: of the text, for errors.
    Shape:
        tokens: (n,); returns: (n // batch, batch)
    Raises `InputError` where a column would be too short for a word and its successor.
    """
    rows = len(tokens) // batch
    if rows < 2:
        raise InputError(f"{name}: {len(tokens)} words are too few for a batch of {batch} columns")
    return tokens[: rows * batch].view(batch, rows).t().contiguous().to(device)


def in_order(text: Tensor, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One pass over columns in windows of `length`: each with the words that follow, (steps, batch) both."""
    for begin in range(0, len(text) - 1, length):
        end = min(begin + length, len(text) - 1)
        yield text[begin:end], text[begin + 1 : end + 1]


class Lengths(ABC):
    """How long the windows of a training are."""

    #: The length that the learning rate is meant for; a shorter window is a smaller step.
    length: int

    @abstractmethod
    def draw(self, generator: np.random.Generator) -> int:
        """The length of the next window."""

    @property
    @abstractmethod
    def mean(self) -> float:
        """The expected length."""


@dataclass(frozen=True)
class Halved(Lengths):
    """Most windows have the full length, few have half of it, so that windows do not always begin at the same words.

    Args:
        length: of a window. Paper: 35.
        half_probability: of half of it, rounded down. Paper: 0.05.
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, in its code for the search on PTB.
    """

    length: int = 8
    half_probability: float = 0.05

    def __post_init__(self) -> None:
        _check(self.length, self.half_probability)

    def draw(self, generator: np.random.Generator) -> int:
        return self.length // 2 if generator.random() < self.half_probability else self.length

    @property
    def mean(self) -> float:
        return self.length + self.half_probability * (self.length // 2 - self.length)


@dataclass(frozen=True)
class Spread(Lengths):
    """Normally distributed about the full length, or about half of it.

    Args:
        length: the usual mean. Paper: 35.
        half_probability: of half that mean. Paper: 0.05.
        deviation: standard deviation. Paper: 5. Lengths are clipped to [5, 55] at a length of 35, else in proportion.
    Reference: Merity, Keskar, Socher, Regularizing and Optimizing LSTM Language Models, ICLR 2018, arXiv:1708.02182,
        sec. 5; the clipping is that of DARTS' code.
    """

    length: int = 8
    half_probability: float = 0.05
    deviation: float = 1.0

    def __post_init__(self) -> None:
        _check(self.length, self.half_probability)
        require(self.deviation >= 0, f"deviation must be at least 0, not {self.deviation}")

    def draw(self, generator: np.random.Generator) -> int:
        mean = self.length / 2 if generator.random() < self.half_probability else self.length
        scale = self.length / 35
        drawn = round(generator.normal(mean, self.deviation))
        return min(max(drawn, round(SHORTEST * scale), 1), round(LONGEST * scale))

    @property
    def mean(self) -> float:
        return self.length * (1 - self.half_probability / 2)


def _check(length: int, half_probability: float) -> None:
    require(length >= 2, f"length must be at least 2, not {length}")
    require(0 <= half_probability < 1, f"half_probability must be in [0, 1), not {half_probability}")


class Walk:
    """Windows of a text, one after the other without end; behind the last word it begins again.

    An epoch is as many windows as cover the text on average, so that all epochs are equally long; where one begins in
    the text differs from epoch to epoch.

    Args:
        text: columns, (rows, batch).
        lengths: of the windows.
        seed: of their draws.
    """

    def __init__(self, text: Tensor, lengths: Lengths, seed: int) -> None:
        self.text = text
        self.lengths = lengths
        self.drawn = 0
        self.begin = 0
        self._seed = seed

    def __len__(self) -> int:
        """Windows of an epoch."""
        return math.ceil((len(self.text) - 1) / self.lengths.mean)

    def next(self) -> tuple[Tensor, Tensor]:
        """The next window and the words that follow, (steps, batch) both; at the end of the text it is shorter."""
        length = self.lengths.draw(numpy_generator(self._seed, "length", self.drawn))
        self.drawn += 1
        begin, end = self.begin, min(self.begin + length, len(self.text) - 1)
        self.begin = 0 if end == len(self.text) - 1 else end
        return self.text[begin:end], self.text[begin + 1 : end + 1]

    @property
    def at_start(self) -> bool:
        """Whether the next window is the first of the text."""
        return self.begin == 0

    def state_dict(self) -> dict[str, Any]:
        """Where the walk stands."""
        return {"drawn": self.drawn, "begin": self.begin}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where a walk stood."""
        self.drawn, self.begin = int(state["drawn"]), int(state["begin"])
