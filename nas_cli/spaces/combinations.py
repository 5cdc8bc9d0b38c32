"""What decisions make together: which of them have to be made, and all combinations of their values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from nas_cli.architecture import Value
from nas_cli.spaces.decisions import Decision, When


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

    def rest(chosen: dict[str, Value], position: int) -> Iterator[tuple[Value, ...]]:
        if position == len(decisions):
            yield ()
            return
        decision = decisions[position]
        if not is_active(decision, chosen):
            yield from ((None, *tail) for tail in rest(chosen, position + 1))
            return
        for value in axes[position]:
            for tail in rest({**chosen, decision.name: value}, position + 1):
                yield (value, *tail)

    return rest({}, 0)


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
