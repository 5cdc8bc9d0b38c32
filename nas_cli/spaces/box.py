"""A space whose decisions stand in YAML, for an objective of the user's own."""

from __future__ import annotations

from collections.abc import Mapping

from nas_cli.errors import require
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Decision


class Box(Space):
    """Whatever decisions it is given; it builds nothing, an estimator of the user's own judges them.

    Args:
        name: the name under which it was configured.
        decisions: in order, under the names that they have themselves.
    """

    def __init__(self, name: str, decisions: Mapping[str, Decision]) -> None:
        super().__init__(name)
        require(len(decisions) > 0, "decisions: there must be at least one")
        for key, decision in decisions.items():
            require(decision.name == key, f"decisions.{key}.name={decision.name}: must be {key}")
        self._decisions = tuple(decisions.values())

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return self._decisions
