"""Decisions as the columns of a box: numbers in [0, 1], categories by their index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from nas_cli.architecture import Architecture, Value
from nas_cli.spaces.base import Space
from nas_cli.spaces.combinations import is_active
from nas_cli.spaces.decisions import Categorical, Decision
from nas_cli.strategies.black_box.bo.kernels.base import Inputs
from nas_cli.strategies.black_box.bo.kernels.conditions import Conditions

#: A number with more values than this is taken for one that can have any: to tell its steps apart is of no use.
MOST_PLACES = 100_000
INACTIVE = 0.5  # of the unit interval: where an inactive number stands


class Box(Inputs):
    """One column for each decision, in the space's order.

    A number stands where its prior is uniform: logarithms of it where the decision is logarithmic. A category is its
    index. An inactive number is at .5, an inactive category one level more than there are.

    Attributes:
        reals: columns of numbers that can have any value, or nearly so.
        integers: columns of the other numbers.
        categorical: columns of categories.
        upper: (columns,) the upper end of each column; the lower is 0.
        last: (columns,) the upper end of where an active decision stands.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        kinds = list(enumerate(space.decisions))
        self.categorical = [k for k, decision in kinds if isinstance(decision, Categorical)]
        self.reals = [k for k, decision in kinds if k not in self.categorical and _is_fine(decision)]
        self.integers = [k for k, _ in kinds if k not in self.categorical and k not in self.reals]
        tops = [_categories(decision) - 1 if isinstance(decision, Categorical) else 1 for decision in space.decisions]
        self.upper = torch.tensor(tops, dtype=torch.float64)
        is_idle = [decision.when is not None and k in self.categorical for k, decision in kinds]
        self.last = self.upper - torch.tensor(is_idle, dtype=torch.float64)
        self.conditions = Conditions(space.decisions, _place)
        self._is_category = torch.tensor([k in self.categorical for k, _ in kinds])
        self._idle = torch.where(self._is_category, self.upper, INACTIVE)
        #: By column of `expanded`, the decision that it comes from.
        self.owners = [k for k, top in enumerate(tops) for _ in range(top + 1 if k in self.categorical else 1)]

    @cached_property
    def levels(self) -> dict[int, Tensor]:
        """By column of every decision that is not real, the places that its values stand at, in order."""
        return {k: self._places(self.space.decisions[k]) for k in sorted(self.integers + self.categorical)}

    @staticmethod
    def _places(decision: Decision) -> Tensor:
        if isinstance(decision, Categorical):
            return torch.arange(_categories(decision), dtype=torch.float64)
        return torch.tensor([decision.to_unit(value) for value in decision.values() or ()], dtype=torch.float64)

    @property
    def is_real(self) -> bool:
        """Whether all decisions are."""
        return len(self.reals) == self.columns

    @property
    def columns(self) -> int:
        return len(self.upper)

    def rows(self, architectures: Sequence[Architecture]) -> Tensor:
        found = [
            [_place(decision, value) for decision, value in zip(decisions, self.space.encode(each), strict=True)]
            for decisions in [self.space.decisions]
            for each in architectures
        ]
        return torch.tensor(found, dtype=torch.float64).reshape(-1, self.columns)

    def architecture(self, row: Tensor) -> Architecture:
        """The architecture nearest to a row; what the row says of decisions that are inactive in it is left out."""
        chosen: dict[str, Value] = {}
        for decision, place in zip(self.space.decisions, row.tolist(), strict=True):
            if is_active(decision, chosen):
                chosen[decision.name] = _value(decision, place)
        return self.space.decode([chosen.get(decision.name) for decision in self.space.decisions])

    def stretched(self, unit: Tensor) -> Tensor:
        """Points of the unit cube as rows: every value of a decision has its share of [0, 1] (Spearmint's floor)."""
        rows = unit.clone()
        for column in self.categorical:
            count = int(self.last[column]) + 1
            rows[..., column] = (unit[..., column] * count).floor().clamp(max=count - 1)
        return self.snapped(rows)

    def snapped(self, rows: Tensor) -> Tensor:
        """Rows with every number that has a step at the nearest of its places.

        The gradient passes straight through, so that numbers with many places can be searched by gradients.
        """
        return self._at_places(rows, keep=INACTIVE)  # where an inactive number stands, be it between places

    def _at_places(self, rows: Tensor, keep: float) -> Tensor:
        """Numbers with a step at the nearest of their places, but conditional ones that stand at `keep`."""
        if not self.integers:
            return rows
        columns = list(rows.unbind(-1))
        for column in self.integers:
            places = self.levels[column]
            nearest = torch.bucketize(columns[column].detach().contiguous(), (places[1:] + places[:-1]) / 2)
            is_moved = (columns[column] != keep) | (self.space.decisions[column].when is None)
            columns[column] = columns[column] + ((places[nearest] - columns[column]) * is_moved).detach()
        return torch.stack(columns, -1)

    def canonical(self, rows: Tensor) -> Tensor:
        """Rows as `rows` has them of the architectures that they stand for; no architecture has any other.

        The gradient passes through what is active.
        """
        if not self.conditions:
            return self.snapped(rows)
        rows = self._at_places(rows, keep=math.nan)
        # A row may be between categories, and say inactive of what turns out to be active.
        rows = torch.where(self._is_category, torch.minimum(rows.detach().round(), self.last), rows)
        return torch.where(self.conditions.active(rows), rows, self._idle)

    def expanded(self, rows: Tensor) -> Tensor:
        """Rows with each category as a block of zeros and a one, and other decisions at their nearest value."""
        rows = self.snapped(rows)
        if not self.categorical:
            return rows
        blocks = [
            torch.nn.functional.one_hot(column.long(), len(self.levels[k])).to(rows)
            if k in self.categorical
            else column.unsqueeze(-1)
            for k, column in enumerate(rows.unbind(-1))
        ]
        return torch.cat(blocks, -1)


def _is_fine(number: Decision) -> bool:
    values = number.values()
    return values is None or len(values) > MOST_PLACES


def _categories(decision: Categorical) -> int:
    return len(decision.choices) + (decision.when is not None)


def _place(decision: Decision, value: Value) -> float:
    if isinstance(decision, Categorical):
        return float(len(decision.choices) if value is None else decision.choices.index(value))
    return INACTIVE if value is None else decision.to_unit(cast(float, value))


def _value(decision: Decision, place: float) -> Value:
    if isinstance(decision, Categorical):
        return decision.choices[min(round(place), len(decision.choices) - 1)]
    return decision.from_unit(min(max(place, 0.0), 1.0))
