"""Which decisions of a conditional space are active in rows of a box, for many rows at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nas_cli.architecture import Value
from nas_cli.spaces.decisions import Decision

SAME = 1e-9  # places of a decision that are this near are one: no two of its values are

Place = Callable[[Decision, Value], float]


class Conditions:
    """The conditions of a space's decisions, by generation: those on one without a condition, those on these, …

    Args:
        decisions: of the space, one column each.
        place: where a value of a decision stands in its column.
    """

    def __init__(self, decisions: Sequence[Decision], place: Place) -> None:
        number = {decision.name: k for k, decision in enumerate(decisions)}
        depth: list[int] = []
        for decision in decisions:
            depth.append(0 if decision.when is None else depth[number[decision.when.decision]] + 1)
        self._generations = [
            _Generation([k for k, own in enumerate(depth) if own == step], decisions, number, place)
            for step in range(1, max(depth, default=0) + 1)
        ]

    def __bool__(self) -> bool:
        return bool(self._generations)

    def active(self, rows: Tensor) -> Tensor:
        """Whether each decision is to be made, given what those before it have.

        Shape:
            rows: (..., columns), every column at a value of its decision
            returns: (..., columns), bool
        """
        found = torch.ones_like(rows, dtype=torch.bool)
        for generation in self._generations:
            found[..., generation.columns] = generation.active(rows, found)
        return found


class _Generation:
    """Decisions whose conditions can be looked up at once."""

    def __init__(self, columns: list[int], decisions: Sequence[Decision], number: dict[str, int], place: Place) -> None:
        self.columns = columns
        whens = [when for k in columns if (when := decisions[k].when) is not None]
        self.parents = [number[when.decision] for when in whens]
        # A condition may name what the decision cannot have.
        named = [
            [place(decisions[parent], value) for value in when.values if value in decisions[parent]]
            for parent, when in zip(self.parents, whens, strict=True)
        ]
        widest = max(map(len, named))
        padded = [[*places, *[torch.nan] * (widest - len(places))] for places in named]  # equal to nothing
        self.named = torch.tensor(padded, dtype=torch.float64).reshape(len(columns), widest)

    def active(self, rows: Tensor, before: Tensor) -> Tensor:
        parents = rows.detach()[..., self.parents]
        return before[..., self.parents] & ((parents.unsqueeze(-1) - self.named).abs() < SAME).any(-1)
