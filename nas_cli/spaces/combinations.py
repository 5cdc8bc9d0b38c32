"""What decisions make together: which of them have to be made, and all combinations of their values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from nas_cli.architecture import Value
from nas_cli.spaces.decisions import Decision, When

_END = object()


def active(decisions: Sequence[Decision], values: Sequence[Value]) -> tuple[bool, ...]:
    """Which decisions have to be made, given the values of those before each; later values are not read."""
    chosen: dict[str, Value] = {}
    found = []
    for decision, value in zip(decisions, values, strict=False):
        found.append(is_active(decision, chosen))
        if found[-1]:
            chosen[decision.name] = value
    return tuple(found)


def is_active(decision: Decision, chosen: dict[str, Value]) -> bool:
    """Whether a decision has to be made, given the active ones before it by name."""
    when = decision.when
    return when is None or (when.decision in chosen and chosen[when.decision] in when.values)


def finite_axes(decisions: Sequence[Decision]) -> list[Sequence[Value]] | None:
    """All values of every decision, or None where one has no end of them."""
    axes = [decision.values() for decision in decisions]
    finite = [axis for axis in axes if axis is not None]
    return finite if len(finite) == len(axes) else None


def walk(decisions: Sequence[Decision], axes: Sequence[Sequence[Value]]) -> Iterator[tuple[Value, ...]]:
    """Every combination of the decisions' values on `axes`, the last decision changing fastest.

    An inactive decision is None, and so makes no combinations of its own.
    """
    values: list[Value] = []
    chosen: dict[str, Value] = {}
    left: list[Iterator[Value]] = []  # what each decision has not been yet; spaces are too deep for recursion
    while True:
        if len(values) == len(decisions):
            yield tuple(values)
        else:
            axis = axes[len(values)] if is_active(decisions[len(values)], chosen) else (None,)
            left.append(iter(axis))
        value: Any = _END
        while left and value is _END:  # the last decision that has another value
            del values[len(left) - 1 :]
            chosen.pop(decisions[len(left) - 1].name, None)
            value = next(left[-1], _END)
            if value is _END:
                left.pop()
        if not left:
            return
        decision = decisions[len(values)]
        if is_active(decision, chosen):
            chosen[decision.name] = value
        values.append(value)


def count(decisions: Sequence[Decision], axes: Sequence[Sequence[Value]]) -> int:
    """How many combinations `walk` makes, without making them."""
    below: dict[str, list[tuple[When, int]]] = {}
    total = 1
    # From the leaves up: what hangs below a decision stands after it.
    for decision, axis in zip(reversed(decisions), reversed(axes), strict=True):
        children = below.get(decision.name, [])
        named = {value for when, _ in children for value in when.values if value in axis}
        ways = len(axis) - len(named)
        ways += sum(math.prod(n for when, n in children if value in when.values) for value in named)
        if decision.when is None:
            total *= ways
        else:
            below.setdefault(decision.when.decision, []).append((decision.when, ways))
    return total
