"""The expansion rule of FractalNet, with the sheet's numbers."""

from __future__ import annotations

import pytest

from nas_cli.networks.fractal_rule import convolutions, depth, graph, joins, paths


@pytest.mark.parametrize(
    ("columns", "widths"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 1, 3]), (4, [1, 2, 1, 3, 1, 2, 1, 4])]
)
def test_widths_of_joins(columns: int, widths: list[int]) -> None:
    assert [len(ending) for ending in joins(columns)] == widths


def test_columns_that_end_at_a_row() -> None:
    assert joins(3) == ((3,), (2, 3), (3,), (1, 2, 3))


def test_counts() -> None:
    assert [paths(columns) for columns in range(1, 7)] == [1, 2, 5, 26, 677, 458330]
    assert [convolutions(columns) for columns in range(1, 7)] == [1, 3, 7, 15, 31, 63]
    assert [5 * depth(columns) for columns in range(1, 7)] == [5, 10, 20, 40, 80, 160]


@pytest.mark.parametrize("columns", range(1, 7))
def test_the_picture_has_every_convolution_path_and_row(columns: int) -> None:
    drawn = graph(columns)
    assert len(drawn.edges) == convolutions(columns)
    assert len(drawn.nodes) == depth(columns)
    ways = [1]
    for row in range(1, depth(columns) + 1):
        ways.append(sum(ways[source] for source, target, _ in drawn.edges if target == row))
    assert ways[-1] == paths(columns)
    assert drawn.outputs == (depth(columns),)
    assert drawn.nodes[-1] == ("mean" if columns > 1 else "1")
