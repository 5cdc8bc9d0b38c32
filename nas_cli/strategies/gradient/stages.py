"""The stages of a search: each a fresh supernet and fresh parameters, on what the one before left open."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from torch import Tensor

from nas_cli.errors import require
from nas_cli.networks.choices import CellChoices, Choices


class Stages(ABC):
    """How many stages there are, and what each has to choose from."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many."""

    @abstractmethod
    def cells(self, stage: int) -> int | None:
        """Depth of the supernet of a stage, from 0; None: the space's own."""

    @abstractmethod
    def narrowed(self, stage: int, choices: CellChoices, strengths: Mapping[str, Tensor]) -> CellChoices:
        """What a stage after the first leaves open.

        Args:
            stage: from 1.
            choices: of the stage before.
            strengths: at its end, for each type of cell (edges, operations).
        """


class Single(Stages):
    """One stage, on all that the space leaves open."""

    @property
    def count(self) -> int:
        return 1

    def cells(self, stage: int) -> int | None:
        return None

    def narrowed(self, stage: int, choices: CellChoices, strengths: Mapping[str, Tensor]) -> CellChoices:
        raise RuntimeError("there is one stage")


class Progressive(Stages):
    """Ever deeper supernets, in which ever fewer operations compete on each edge.

    Args:
        cells: depth of each stage. Paper: 5, 11, 17.
        operations: share of the space's operations that each edge has in each stage, rounded. Paper: 8, 5 and 3 of 8.
    Reference: Chen, Xie, Wu, Tian, P-DARTS, ICCV 2019, arXiv:1904.12760, sec. 3.2.
    """

    def __init__(self, cells: Sequence[int] = (3, 4, 5), operations: Sequence[float] = (1.0, 0.625, 0.375)) -> None:
        require(len(cells) == len(operations) >= 1, "cells and operations need one value for each stage")
        require(all(depth >= 1 for depth in cells), f"cells must be at least 1, not {list(cells)}")
        falls = all(later <= earlier for earlier, later in pairwise(operations))
        require(
            operations[0] == 1 and falls and operations[-1] > 0,
            f"operations must begin at 1 and fall, above 0, not {list(operations)}",
        )
        self._cells = tuple(cells)
        self.operations = tuple(operations)

    @property
    def count(self) -> int:
        return len(self._cells)

    def cells(self, stage: int) -> int | None:
        return self._cells[stage]

    def narrowed(self, stage: int, choices: CellChoices, strengths: Mapping[str, Tensor]) -> CellChoices:
        return {kind: self._strongest(stage, open_, strengths[kind]) for kind, open_ in choices.items()}

    def _strongest(self, stage: int, choices: Choices, strengths: Tensor) -> Choices:
        before = choices.shape[1]
        count = max(1, round(before * self.operations[stage] / self.operations[stage - 1]))
        kept = []
        for edge, (names, row) in enumerate(zip(choices.operations, strengths.tolist(), strict=True)):
            best = max(choices.allowed(edge), key=lambda column: row[column])  # stays, also where `none` is stronger
            columns = [best, *sorted(set(range(before)) - {best}, key=lambda column: -row[column])][:count]
            kept.append(tuple(names[column] for column in sorted(columns)))
        return replace(choices, operations=tuple(kept))
