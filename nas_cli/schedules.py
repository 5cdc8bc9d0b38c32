"""How the learning rate goes from epoch to epoch; each is a small part that any training can be given."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from nas_cli.errors import require

TAIL = 5  # last epochs of `Linear`, which share one step of the others


def cosine(first: float, last: float, epoch: float, epochs: int) -> float:
    """The rate of an epoch, from 0, on a half cosine from `first` towards `last`."""
    return last + (first - last) * (1 + math.cos(math.pi * epoch / epochs)) / 2


class Schedule(ABC):
    """The rate as a function of the epoch alone, so that a resumed training needs no state of it."""

    @abstractmethod
    def rate(self, first: float, epoch: float, epochs: int) -> float:
        """The rate of an epoch.

        Args:
            first: the learning rate that the training is configured with.
            epoch: counted from 0; with a fraction where the rate moves with every step.
            epochs: of the whole training.
        """


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from the first rate towards the last, which the epoch after the end would have.

    Args:
        last: the rate it ends in. DARTS: 0.001 in the search, 0 in the evaluation.
    Reference: Loshchilov and Hutter, SGDR, ICLR 2017, arXiv:1608.03983, eq. 5.
    """

    last: float = 0.001

    def __post_init__(self) -> None:
        require(self.last >= 0, f"last must be at least 0, not {self.last}")

    def rate(self, first: float, epoch: float, epochs: int) -> float:
        return cosine(first, self.last, epoch, epochs)


@dataclass(frozen=True)
class Exponential(Schedule):
    """The same factor after every epoch.

    Args:
        decay: the factor. DARTS on ImageNet: 0.97.
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, in its code for ImageNet.
    """

    decay: float = 0.97

    def __post_init__(self) -> None:
        require(0 < self.decay <= 1, f"decay must be in (0, 1], not {self.decay}")

    def rate(self, first: float, epoch: float, epochs: int) -> float:
        return float(first * self.decay**epoch)


@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line to 0 which the last five epochs approach in small steps.

    Differs from the code of the papers: trainings of at most five epochs, where that divides by 0, fall in equal steps.
    Reference: Xu et al., PC-DARTS, ICLR 2020, arXiv:1907.05737, and Chen et al., P-DARTS, ICCV 2019, arXiv:1904.12760,
        in their code for ImageNet.
    """

    def rate(self, first: float, epoch: float, epochs: int) -> float:
        whole = epochs - TAIL
        if whole <= 0:
            return first * (epochs - epoch) / epochs
        if epoch < whole:
            return first * (whole - epoch) / whole
        return first * (epochs - epoch) / (TAIL * whole)


# What parts have unless told otherwise.
COSINE = Cosine(0.0)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Another schedule, with a rate that climbs in equal steps in the first epochs.

    Args:
        then: the other one.
        epochs: in which it climbs. PC-DARTS and P-DARTS on ImageNet: 5.
        multiply: climb to what the other schedule has in these epochs (P-DARTS), else to the first rate (PC-DARTS).
    Reference: Goyal et al., Accurate, Large Minibatch SGD, 2017, arXiv:1706.02677, section 2.2.
    """

    then: Schedule = COSINE
    epochs: int = 5
    multiply: bool = False

    def __post_init__(self) -> None:
        require(self.epochs >= 1, f"epochs must be at least 1, not {self.epochs}")

    def rate(self, first: float, epoch: float, epochs: int) -> float:
        after = self.then.rate(first, epoch, epochs)
        if epoch >= self.epochs:
            return after
        return (after if self.multiply else first) * (epoch + 1) / self.epochs


@dataclass(frozen=True)
class Staircase(Schedule):
    """The same factor after every so many epochs.

    Args:
        decay: the factor. NASNet on ImageNet: 0.97.
        every: epochs, also with a fraction; the steps then need a training whose pace is ``step``. NASNet: 2.4.
    Reference: Zoph et al., Learning Transferable Architectures, CVPR 2018, arXiv:1707.07012, in its released code.
    """

    decay: float = 0.97
    every: float = 2.4

    def __post_init__(self) -> None:
        require(0 < self.decay <= 1, f"decay must be in (0, 1], not {self.decay}")
        require(self.every > 0, f"every must be above 0, not {self.every}")

    def rate(self, first: float, epoch: float, epochs: int) -> float:
        return float(first * self.decay ** math.floor(epoch / self.every + 1e-9))


@dataclass(frozen=True)
class Halving(Schedule):
    """The same factor whenever the epochs that are left have halved.

    Args:
        decay: the factor. FractalNet: 0.1.
        times: how often; later halvings change nothing. FractalNet on CIFAR: 4, at 200, 300, 350 and 375 of 400 epochs.
    Reference: Larsson, Maire, Shakhnarovich, FractalNet, ICLR 2017, arXiv:1605.07648, sec. 4.
    """

    decay: float = 0.1
    times: int = 4

    def __post_init__(self) -> None:
        require(0 < self.decay <= 1, f"decay must be in (0, 1], not {self.decay}")
        require(self.times >= 0, f"times must be at least 0, not {self.times}")

    def rate(self, first: float, epoch: float, epochs: int) -> float:
        halvings = sum(epochs - epoch <= epochs / 2**k + 1e-9 for k in range(1, self.times + 1))
        return float(first * self.decay**halvings)
