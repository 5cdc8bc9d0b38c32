"""Spaces whose architectures are recurrent cells of language models."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError
from nas_cli.spaces.base import CellSpace, Space

if TYPE_CHECKING:
    from nas_cli.networks.choices import CellChoices
    from nas_cli.networks.recurrent import Dropouts, LanguageModel
    from nas_cli.networks.recurrent_supernet import RecurrentSupernet


class LanguageSpace(Space):
    """A space whose architectures are language models."""

    @abstractmethod
    def build(self, architecture: Architecture, words: int, hidden: int | None, dropouts: Dropouts) -> LanguageModel:
        """The network of an architecture, freshly initialised from torch's current generator.

        Args:
            architecture: from this space, or a published recurrent cell.
            words: size of the vocabulary.
            hidden: size of embedding and hidden state; None: the space's own.
            dropouts: while training.
        """


class LanguageSupernetSpace(LanguageSpace, CellSpace):
    """A space of language models that also has a supernet."""

    @abstractmethod
    def supernet(
        self, words: int, dropouts: Dropouts, batch_statistics: bool, choices: CellChoices | None = None
    ) -> RecurrentSupernet:
        """The search network, freshly initialised from torch's current generator.

        Args:
            words: size of the vocabulary.
            dropouts: while training.
            batch_statistics: normalise by the batch also in evaluation.
            choices: what it leaves open; None: all of the space's.
        """

    def check_depth(self, cells: int) -> None:
        raise CombinationError(
            f"space={self.name}: a recurrent cell is not stacked, so its supernet has no depth to set to {cells}; take "
            "strategy/stages=single"
        )
