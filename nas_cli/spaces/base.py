"""What can be built: a space is an ordered list of named decisions, and an architecture is one value for each."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_cli.architecture import Architecture, CellGraph, Value
from nas_cli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from nas_cli.networks.choices import CellChoices, Nodes
    from nas_cli.networks.supernet import FanOutFactory


@dataclass(frozen=True)
class Categorical:
    """A choice among unordered values."""

    name: str
    choices: tuple[Value, ...]

    def sample(self, generator: np.random.Generator) -> Value:
        return self.choices[int(generator.integers(len(self.choices)))]

    def grid(self, levels: int) -> Sequence[Value]:
        """All choices; `levels` is for numbers only."""
        return self.choices

    def __contains__(self, value: object) -> bool:
        return value in self.choices


@dataclass(frozen=True)
class Integer:
    """A whole number in [low, high], both ends included; `log` spaces it logarithmically."""

    name: str
    low: int
    high: int
    log: bool = False

    def sample(self, generator: np.random.Generator) -> int:
        if self.log:
            # Uniform in the log of the cell [k - 1/2, k + 1/2), so that both ends get their share.
            return round(math.exp(generator.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5))))
        return int(generator.integers(self.low, self.high + 1))

    def grid(self, levels: int) -> Sequence[int]:
        """At most `levels` distinct values from low to high."""
        return sorted({round(x) for x in _spaced(self.low, self.high, levels, self.log)})

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class Real:
    """A real number in [low, high]; `log` spaces it logarithmically."""

    name: str
    low: float
    high: float
    log: bool = False

    def sample(self, generator: np.random.Generator) -> float:
        if self.log:
            value = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
            return min(max(value, self.low), self.high)  # exp(log(x)) can miss x by one rounding
        return float(generator.uniform(self.low, self.high))

    def grid(self, levels: int) -> Sequence[float]:
        """`levels` values from low to high."""
        return _spaced(self.low, self.high, levels, self.log)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


Decision = Categorical | Integer | Real


def _spaced(low: float, high: float, levels: int, log: bool) -> list[float]:
    points = np.geomspace(low, high, levels) if log else np.linspace(low, high, levels)
    return [float(point) for point in points]


class Space(ABC):
    """A search space: named decisions, and what an architecture made of them means.

    A space of flat decisions needs only `decisions`. One whose canonical form is another (a cell written as text)
    overrides `encode` and `decode`; one that makes networks adds `build`; one that has a supernet adds `supernet`.

    Args:
        name: the name under which it was configured; architectures carry it.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def decisions(self) -> tuple[Decision, ...]:
        """What has to be decided, in order."""

    def decode(self, values: Sequence[Value]) -> Architecture:
        """The architecture that one value per decision stands for."""
        return Architecture(self.name, tuple(values))

    def encode(self, architecture: Architecture) -> tuple[Value, ...]:
        """One value per decision: the inverse of `decode`. Raises `InputError` for an architecture from elsewhere."""
        values = architecture.decisions
        if len(values) != len(self.decisions):
            raise InputError(
                f"an architecture of {self.name} has {len(self.decisions)} decisions, this one {len(values)}"
            )
        for decision, value in zip(self.decisions, values, strict=True):
            if value not in decision:
                raise InputError(f"{decision.name}={value} is not in space {self.name}")
        return values

    def sample(self, generator: np.random.Generator) -> Architecture:
        """A uniform draw: every decision uniform in its own range."""
        return self.decode([decision.sample(generator) for decision in self.decisions])

    def size(self) -> int | None:
        """How many architectures there are, or None where a decision is real."""
        sizes = []
        for decision in self.decisions:
            if isinstance(decision, Real):
                return None
            count = decision.high - decision.low + 1 if isinstance(decision, Integer) else len(decision.choices)
            sizes.append(count)
        return math.prod(sizes)

    def describe(self, architecture: Architecture) -> str:
        """The architecture as text for a person, one or more lines."""
        pairs = zip(self.decisions, self.encode(architecture), strict=True)
        return "\n".join(f"{decision.name}: {value}" for decision, value in pairs)

    def graphs(self, architecture: Architecture) -> list[CellGraph]:
        """The cells as graphs to draw; empty where there is nothing to draw."""
        return []


class NetworkSpace(Space):
    """A space whose architectures are image networks."""

    @abstractmethod
    def build(
        self, architecture: Architecture, input_shape: tuple[int, int, int], classes: int, **network: Any
    ) -> nn.Module:
        """The network of an architecture, freshly initialised from torch's current generator.

        Args:
            architecture: from this space.
            input_shape: (channels, height, width) of an image.
            classes: number of outputs.
            network: how large to build it (``channels``, ``cells`` …); what is left out is the space's own size.
        Shape:
            forward: (batch, channels, height, width) -> (batch, classes)
        """


class CellSpace(Space):
    """A space that also has one network holding all of its architectures, whatever that network is for."""

    @property
    @abstractmethod
    def choices(self) -> CellChoices:
        """What the supernet leaves open, by type of cell."""

    @abstractmethod
    def from_cells(self, cells: Mapping[str, Nodes]) -> Architecture:
        """The architecture of cells derived from a supernet, by type of cell."""

    def check_depth(self, cells: int) -> None:
        """Raise `InputError` where a supernet cannot have this depth."""

    def known(self, architecture: Architecture) -> dict[str, float]:
        """What is known of an architecture without training it; fractions and counts, most often nothing."""
        return {}


class SupernetSpace(NetworkSpace, CellSpace):
    """A space of image networks that also has a supernet."""

    @abstractmethod
    def supernet(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        fan_out: FanOutFactory,
        choices: CellChoices | None = None,
        cells: int | None = None,
    ) -> nn.Module:
        """The search network, freshly initialised from torch's current generator.

        Args:
            input_shape: (channels, height, width) of an image.
            classes: number of outputs.
            fan_out: makes the mixed edges that leave one node.
            choices: what it leaves open; None: all of the space's.
            cells: its depth; None: the space's own.
        Shape:
            forward: (batch, channels, height, width), {type of cell: (edges, operations)} -> (batch, classes)
        """
