"""From a space's tokens to the steps of a controller: where each stands in a sequence, and by which head it chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_cli.errors import CombinationError, nearest, require
from nas_cli.spaces.base import Space
from nas_cli.spaces.tokens import Choice, Pointer, Subset, Tick, Token, values_of
from nas_cli.strategies.black_box.controller.heads import Attention, Softmax


@dataclass(frozen=True)
class Step:
    """A token with the places of the decisions that it makes, its head, and those outputs of it that are allowed."""

    token: Token
    places: slice
    head: Softmax | Attention | None
    outputs: Tensor | None = None
    pinned: bool = False


def steps_of(space: Space, hidden: int, pinned: int | None) -> tuple[Step, ...]:
    """The tokens with their places and with fresh heads, one for each name.

    Args:
        hidden: size of the controller's state.
        pinned: the place of a decision that is given.
    Raises `CombinationError` where tokens and decisions do not fit.
    """
    softmaxes: dict[str, Softmax] = {}
    attentions: dict[str, Attention] = {}
    steps: list[Step] = []
    place = anchors = 0
    for token in space.tokens:
        places = _places(space, token, place, anchors)
        if isinstance(token, Choice):
            if token.head not in softmaxes:
                softmaxes[token.head] = Softmax(hidden, token.width)
            softmax = softmaxes[token.head]
            if softmax.width != token.width:
                raise CombinationError(f"space={space.name}: tokens of the name {token.head} have several widths")
            outputs = None if token.allowed is None else torch.tensor(token.allowed)
            steps.append(Step(token, places, softmax, outputs, place == pinned))
        elif isinstance(token, Tick):
            steps.append(Step(token, places, None))
        else:
            if token.head not in attentions:
                attentions[token.head] = Attention(hidden)
            steps.append(Step(token, places, attentions[token.head]))
        place, anchors = places.stop, anchors + token.anchor
    if place != len(space.decisions):
        raise CombinationError(f"space={space.name}: its tokens make {place} decisions, it has {len(space.decisions)}")
    pinnable = {step.places.start for step in steps if step.pinned and not step.token.anchor}
    if pinned is not None and pinned not in pinnable:
        raise CombinationError(f"{space.decisions[pinned].name}: is no plain choice and cannot be given")
    return tuple(steps)


def heads_of(steps: Sequence[Step]) -> nn.ModuleList:
    """Every head once, the softmaxes first: the order in which they are initialised."""
    heads = dict.fromkeys(step.head for step in steps if step.head is not None)
    return nn.ModuleList(sorted(heads, key=lambda head: isinstance(head, Attention)))


def place_of(space: Space, name: str) -> int:
    """The place of a decision. Raises `InputError` where there is none of the name."""
    names = [decision.name for decision in space.decisions]
    require(name in names, f"{name}: no such decision of space {space.name} as it is configured{nearest(name, names)}")
    return names.index(name)


def condition_of(space: Space, place: int) -> tuple[int, Tensor] | None:
    """The place of the decision on which one depends, and for which of its values (the last: none) it is made."""
    when = space.decisions[place].when
    if when is None:
        return None
    parent = place_of(space, when.decision)
    fits = [value in when.values for value in values_of(space.name, space.decisions[parent])]
    return parent, torch.tensor([*fits, False])


def _places(space: Space, token: Token, place: int, anchors: int) -> slice:
    """The places of the decisions that a token makes. Raises `CombinationError` where it cannot make them."""
    wanted = {Choice: 1, Pointer: 1, Subset: anchors, Tick: 0}[type(token)]
    if isinstance(token, Pointer | Subset) and not anchors:
        raise CombinationError(f"space={space.name}: a token of the name {token.head} has no anchor before it")
    for decision in space.decisions[place : place + wanted]:
        there = len(values_of(space.name, decision))
        made = len(token.outputs) if isinstance(token, Choice) else anchors if isinstance(token, Pointer) else 2
        if made != there:
            raise CombinationError(f"space={space.name}: {decision.name} has {there} values, and its token {made}")
    return slice(place, place + wanted)
