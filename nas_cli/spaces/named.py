"""Setting decisions of an architecture by their names, as ``nas-evaluate architecture=X architecture.NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Mapping

from nas_cli.architecture import Architecture, Value
from nas_cli.errors import InputError, nearest
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Normal


def decided(space: Space, architecture: Architecture, given: Mapping[str, Value]) -> Architecture:
    """The architecture with these values in the place of its own.

    Raises:
        InputError: for a name that is no decision of the space, with the nearest one, or a value that it cannot have,
            with those that it can; and for an architecture from elsewhere.
    """
    found = space.encode(space.adopt(architecture))
    values = dict(zip((decision.name for decision in space.decisions), found, strict=True))
    for name, value in given.items():
        if name not in values:
            known = f"; it decides {', '.join(values)}" if len(values) <= 12 else ""
            raise InputError(
                f"architecture.{name}={value}: no such decision of space {space.name}{nearest(name, values)}{known}"
            )
        values[name] = value
    for decision, is_made in zip(space.decisions, space.active(list(values.values())), strict=True):
        value = values[decision.name]
        if value not in decision if is_made else decision.name in given:
            allowed = f"must be {described(decision)}" if is_made else "is not decided, as the other decisions stand"
            raise InputError(f"architecture.{decision.name}={value}: {allowed}")
        if not is_made:
            values[decision.name] = None
    return space.decode(list(values.values()))


def described(decision: Decision) -> str:
    """What a decision can be, in words."""
    if isinstance(decision, Categorical):
        return f"one of {', '.join(map(str, decision.choices))}"
    if isinstance(decision, Normal):
        return "a number"
    kind = "a whole number" if isinstance(decision, Integer) else "a number"
    step = f" in steps of {decision.step}" if decision.step not in (None, 1) else ""
    return f"{kind} from {decision.low} to {decision.high}{step}"
