"""What an autoregressive controller writes: tokens, which in their order make every decision of a space.

A token is one step of the controller. Three kinds decide something; where one is an `anchor`, its step is kept, so that
later pointers and subsets can refer to it. It is never among those that it chooses from itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas_cli.architecture import Value
from nas_cli.errors import CombinationError
from nas_cli.spaces.decisions import Decision


@dataclass(frozen=True)
class Choice:
    """One value of one decision, by a softmax.

    Args:
        head: all tokens of this name share the weights of the softmax and of the embedding of what was chosen.
        width: of the softmax.
        allowed: which of its outputs stand for the decision's values, in their order; None: all. The others are
            masked.
    """

    head: str
    width: int
    allowed: tuple[int, ...] | None = None
    anchor: bool = False

    @property
    def outputs(self) -> tuple[int, ...]:
        """The output for each value of the decision."""
        return tuple(range(self.width)) if self.allowed is None else self.allowed


@dataclass(frozen=True)
class Pointer:
    """One of the anchors so far, by a softmax; its place among them is the place of the decision's value."""

    head: str
    anchor: bool = False


@dataclass(frozen=True)
class Subset:
    """Any of the anchors so far, each by itself: as many decisions of two values, the second for those taken."""

    head: str
    anchor: bool = False


@dataclass(frozen=True)
class Tick:
    """A step that decides nothing; for its anchor."""

    anchor: bool = True


Token = Choice | Pointer | Subset | Tick


def one_each(space: str, decisions: Sequence[Decision]) -> tuple[Token, ...]:
    """A token for each decision, with a head of its own. Raises `CombinationError` where one has no end of values."""
    return tuple(Choice(decision.name, len(values_of(space, decision))) for decision in decisions)


def values_of(space: str, decision: Decision) -> Sequence[Value]:
    """What a controller chooses a decision's value from. Raises `CombinationError` where there is no end of them."""
    values = decision.values()
    if values is None:
        raise CombinationError(
            f"space={space}: {decision.name} has no end of values, and a controller chooses among finitely many"
        )
    return values
