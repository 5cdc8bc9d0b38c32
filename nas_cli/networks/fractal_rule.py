"""The expansion rule of FractalNet as plain data: which columns of a block meet after which row.

A block has C columns over 2^(C-1) rows. Column c, of 1 to C, has 2^(c-1) convolutions that each span 2^(C-c) rows, so
that column 1 is one convolution beside all rows and column C has one in each.

Reference: Larsson, Maire, Shakhnarovich, FractalNet: Ultra-Deep Neural Networks without Residuals, ICLR 2017,
arXiv:1605.07648, sec. 2 and fig. 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from nas_cli.architecture import CellGraph

#: For each row of a block, which of the columns that end there are alive, in their order; what follows means nothing.
Alive = Sequence[Sequence[bool]]


def span(column: int, columns: int) -> int:
    """How many rows a convolution of a column stands beside."""
    return 1 << (columns - column)


def joins(columns: int) -> tuple[tuple[int, ...], ...]:
    """For each row the columns whose convolutions end there, ascending; the mean of what they made is read below."""
    return tuple(
        tuple(column for column in range(1, columns + 1) if row % span(column, columns) == 0)
        for row in range(1, depth(columns) + 1)
    )


def depth(columns: int) -> int:
    """Convolutions on the longest way through a block."""
    return 1 << (columns - 1)


def convolutions(columns: int) -> int:
    """Convolutions of a block."""
    return (1 << columns) - 1


def paths(columns: int) -> int:
    """Ways through a block: those through both halves of a smaller one, and one more beside them."""
    return 1 if columns == 1 else paths(columns - 1) ** 2 + 1


def only(column: int, columns: int) -> list[list[bool]]:
    """What is alive at the joins of each row where one column is kept: a global draw."""
    return [[ending == column for ending in row] for row in joins(columns)]


def graph(columns: int, alive: Alive | None = None, title: str | None = None) -> CellGraph:
    """A block as it is drawn: a node for each row, an edge for each convolution.

    Args:
        columns: C.
        alive: which inputs of each row's join are; None: all of them.
        title: None: what it is of.
    """
    rows = joins(columns)
    edges = tuple(
        (row - span(column, columns), row, "conv_3x3") for row, ending in enumerate(rows, start=1) for column in ending
    )
    live = [True] * len(edges)
    if alive is not None:
        live = [each for ending, kept in zip(rows, alive, strict=True) for each in kept[: len(ending)]]
    labels = tuple("mean" if len(ending) > 1 else str(row) for row, ending in enumerate(rows, start=1))
    title = title or f"fractal block of {columns} column{'s' * (columns > 1)}"
    dropped = frozenset(place for place, is_live in enumerate(live) if not is_live)
    return CellGraph(title, ("input",), labels, edges, (len(rows),), "output", dropped)
