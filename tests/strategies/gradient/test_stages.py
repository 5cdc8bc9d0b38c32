"""Stages of a search (systems sheet, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch

from nas_cli.errors import InputError
from nas_cli.networks.choices import CellChoices, Choices, all_pairs
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient.stages import Progressive, Single

DARTS = ("none", "max", "avg", "skip_connect", "sep3", "sep5", "dil3", "dil5")


def cells(operations: Sequence[str]) -> CellChoices:
    edges = all_pairs(2, 4)
    return dict.fromkeys(("normal", "reduce"), Choices(edges, (tuple(operations),) * len(edges)))


def narrowing(stages: Progressive, choices: CellChoices) -> list[CellChoices]:
    """What each stage leaves open, by random strengths."""
    found = [choices]
    with seeded(0):
        for stage in range(1, stages.count):
            strengths = {kind: torch.rand(open_.shape).softmax(dim=1) for kind, open_ in found[-1].items()}
            found.append(stages.narrowed(stage, found[-1], strengths))
    return found


def test_a_single_stage() -> None:
    assert (Single().count, Single().cells(0)) == (1, None)
    with pytest.raises(RuntimeError):
        Single().narrowed(1, {}, {})


def test_depths() -> None:
    stages = Progressive((5, 11, 17), (1.0, 0.625, 0.375))
    assert stages.count == 3
    assert [stages.cells(stage) for stage in range(3)] == [5, 11, 17]


@pytest.mark.parametrize(("count", "sizes"), [(8, [8, 5, 3]), (5, [5, 3, 2]), (1, [1, 1, 1])])
def test_sizes_on_every_edge_and_nested_sets_in_their_order(count: int, sizes: list[int]) -> None:
    found = narrowing(Progressive(), cells(DARTS[:count] if count > 1 else DARTS[-1:]))
    for kind in ("normal", "reduce"):
        lists = [choices[kind].operations for choices in found]
        assert [{len(row) for row in rows} for rows in lists] == [{size} for size in sizes]
        assert [choices[kind].shape for choices in found] == [(14, size) for size in sizes]
        for before, after in pairwise(lists):
            for wide, narrow in zip(before, after, strict=True):
                assert set(narrow) <= set(wide)
                assert list(narrow) == sorted(narrow, key=DARTS.index)
    if count == 8:
        assert len(set(found[2]["normal"].operations)) > 1  # each edge has a set of its own
        assert found[2]["normal"].operations != found[2]["reduce"].operations


def test_the_strongest_stay_and_none_may_be_one_of_them() -> None:
    choices = {"normal": Choices(((0, 2), (1, 2)), (("none", "a", "b", "c"),) * 2)}
    strengths = {"normal": torch.tensor([[0.4, 0.1, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4]])}
    found = Progressive((3, 3), (1.0, 0.5)).narrowed(1, choices, strengths)
    assert found["normal"].operations == (("none", "c"), ("b", "c"))
    assert found["normal"].edges == choices["normal"].edges


def test_an_edge_keeps_something_that_a_cell_can_have() -> None:
    choices = {"normal": Choices(((0, 2), (1, 2)), (("none", "a", "b"),) * 2)}
    strengths = {"normal": torch.tensor([[0.9, 0.04, 0.06], [0.1, 0.8, 0.1]])}
    found = Progressive((3, 3), (1.0, 0.3)).narrowed(1, choices, strengths)
    assert found["normal"].operations == (("b",), ("a",))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"cells": [3]}, "cells and operations need one value for each stage"),
        ({"cells": [], "operations": []}, "cells and operations need one value for each stage"),
        ({"cells": [3, 0, 4]}, r"cells must be at least 1, not \[3, 0, 4\]"),
        ({"operations": [0.9, 0.5, 0.3]}, r"operations must begin at 1 and fall, above 0, not \[0.9, 0.5, 0.3\]"),
        ({"operations": [1, 0.5, 0.6]}, "operations must begin at 1"),
        ({"operations": [1, 0.5, 0]}, "operations must begin at 1"),
    ],
)
def test_ranges(options: dict[str, list[float]], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Progressive(**options)  # type: ignore[arg-type]
