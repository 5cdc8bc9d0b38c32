"""Edges and candidates of a cell (systems sheet, section 1.1)."""

from __future__ import annotations

from typing import Any

import pytest

from nas_cli.errors import InputError
from nas_cli.networks.choices import Choices, all_pairs


def test_edges_of_a_darts_cell() -> None:
    edges = all_pairs(2, 4)
    into = [[0, 1], [2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12, 13]]
    choices = Choices(edges, (("a", "b"),) * 14)
    assert choices.shape == (14, 2)
    assert choices.targets == [2, 3, 4, 5]
    assert [choices.rows_into(target) for target in choices.targets] == into
    assert [[edges[row][0] for row in rows] for rows in into] == [[0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert [choices.rows_from(source) for source in range(5)] == [
        [0, 2, 5, 9],
        [1, 3, 6, 10],
        [4, 7, 11],
        [8, 12],
        [13],
    ]


def test_edges_of_a_cell_with_one_input() -> None:
    assert all_pairs(1, 3) == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ((("a",),), "own list"),
        ((("a",), ("a", "b")), "equally many"),
        (((), ()), "at least one"),
    ],
)
def test_lists_must_fit_the_edges(operations: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Choices(((0, 2), (1, 2)), operations)
