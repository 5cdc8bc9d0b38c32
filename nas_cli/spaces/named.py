"""Setting decisions of an architecture by their names, as ``nas-evaluate architecture=X architecture.NAME=VALUE``.

A command line takes no slash in a name, so that a dot stands in its place there: `2/filters` is ``2.filters``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from nas_cli.architecture import Architecture, Value
from nas_cli.errors import InputError, nearest
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Normal


def decided(space: Space, architecture: Architecture, given: Mapping[str, Value]) -> Architecture:
    """The architecture with these values in the place of its own.

    Args:
        given: values by name, with slashes, dots or as one mapping in another (which is what a name with dots becomes).
    Raises:
        InputError: for a name that is no decision of the space, with the nearest one, or a value that it cannot have,
            with those that it can; and for an architecture from elsewhere.
    """
    names = [_dotted(decision.name) for decision in space.decisions]
    given = dict(_flat(given, names))
    for name, value in given.items():
        if name not in names:
            known = f"; it decides {', '.join(names)}" if len(names) <= 12 else ""
            raise InputError(
                f"architecture.{name}={value}: no such decision of space {space.name}{nearest(name, names)}{known}"
            )
    values = {**dict(zip(names, space.encode(space.adopt(architecture)), strict=True)), **given}
    for name, decision, is_made in zip(names, space.decisions, space.active(list(values.values())), strict=True):
        value = values[name]
        if value not in decision if is_made else name in given:
            allowed = f"must be {described(decision)}" if is_made else "is not decided, as the other decisions stand"
            raise InputError(f"architecture.{name}={value}: {allowed}")
        if not is_made:
            values[name] = None
    return space.decode(list(values.values()))


def _dotted(name: str) -> str:
    return name.replace("/", ".")


def _flat(given: Mapping[str, Any], names: Collection[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Values by whole names; a mapping below the name of a decision is a value, though none that it can have."""
    for key, value in given.items():
        name = f"{prefix}{_dotted(str(key))}"
        if isinstance(value, Mapping) and name not in names:
            yield from _flat(value, names, f"{name}.")
        else:
            yield name, value


def described(decision: Decision) -> str:
    """What a decision can be, in words."""
    if isinstance(decision, Categorical):
        return f"one of {', '.join(map(str, decision.choices))}"
    if isinstance(decision, Normal):
        return "a number"
    kind = "a whole number" if isinstance(decision, Integer) else "a number"
    step = f" in steps of {decision.step}" if decision.step not in (None, 1) else ""
    return f"{kind} from {decision.low} to {decision.high}{step}"
