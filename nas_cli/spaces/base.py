"""What can be built: a space is an ordered list of named decisions, and an architecture is one value for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_cli.architecture import Architecture, CellGraph, Value
from nas_cli.errors import InputError
from nas_cli.spaces.combinations import active, count, finite_axes, is_active
from nas_cli.spaces.decisions import Decision
from nas_cli.spaces.graphs import LabelledGraph, Path, labelled_graph, paths
from nas_cli.spaces.tokens import Token, one_each

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from nas_cli.networks.choices import CellChoices, Nodes
    from nas_cli.networks.supernet import FanOutFactory


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
        return self._checked(values)

    def _checked(self, values: Sequence[Value]) -> tuple[Value, ...]:
        """One value per decision. Raises `InputError` for one that the decision cannot have."""
        for decision, value, is_made in zip(self.decisions, values, self.active(values), strict=True):
            if value is None if is_made else value is not None:
                raise InputError(f"{decision.name}={value}: is {'' if is_made else 'not '}to be decided here")
            if is_made and value not in decision:
                raise InputError(f"{decision.name}={value} is not in space {self.name}")
        return tuple(values)

    def adopt(self, architecture: Architecture) -> Architecture:
        """The architecture as this space builds it, where it is of another space whose cells it can take over.

        Raises `InputError` for one from elsewhere.
        """
        if architecture.space != self.name:
            raise InputError(f"the architecture is of space {architecture.space}, not of {self.name}: set space=")
        return architecture

    @property
    def tokens(self) -> tuple[Token, ...]:
        """What a controller writes to make all decisions, in their order (`nas_cli.spaces.tokens`).

        Raises `CombinationError` where a decision has no end of values.
        """
        return one_each(self.name, self.decisions)

    def active(self, values: Sequence[Value]) -> tuple[bool, ...]:
        """Which decisions are to be made where the others have these values; the rest are None."""
        return active(self.decisions, values)

    def sample(self, generator: np.random.Generator) -> Architecture:
        """A draw from the prior: every decision that is to be made from its own, independently."""
        values: list[Value] = []
        chosen: dict[str, Value] = {}
        for decision in self.decisions:
            values.append(decision.sample(generator) if is_active(decision, chosen) else None)
            if values[-1] is not None:
                chosen[decision.name] = values[-1]
        return self.decode(values)

    def size(self) -> int | None:
        """How many architectures there are, or None where a decision has no end of values."""
        axes = finite_axes(self.decisions)
        return None if axes is None else count(self.decisions, axes)

    def describe(self, architecture: Architecture) -> str:
        """The architecture as text for a person, one or more lines."""
        pairs = zip(self.decisions, self.encode(architecture), strict=True)
        return "\n".join(f"{decision.name}: {value}" for decision, value in pairs if value is not None)

    def graphs(self, architecture: Architecture) -> list[CellGraph]:
        """The cells as graphs; empty where there are none."""
        return []

    def pictures(self, architecture: Architecture) -> list[CellGraph]:
        """All that is drawn of an architecture: its cells, and what else shows how they work."""
        return self.graphs(architecture)

    def labelled_graph(self, architecture: Architecture) -> LabelledGraph:
        """The cells as one graph with the operations on its nodes; no node where there are no cells."""
        return labelled_graph(self.graphs(architecture))

    def paths(self, architecture: Architecture) -> tuple[Path, ...]:
        """The operations along every way through a cell; empty where there are no cells."""
        return paths(self.graphs(architecture))


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

    def parts(self, network: nn.Module) -> Mapping[str, nn.Module]:
        """Parts of one of its networks that are classifiers by themselves, with the same weights, by name; often none.

        Once the network is trained they are tested too: ``test_accuracy_<name>``.
        """
        return {}


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
