"""The expansion rule of FractalNet as plain data: which columns of a block meet after which row.

A block has C columns over 2^(C-1) rows. Column c, of 1 to C, has 2^(c-1) convolutions that each span 2^(C-c) rows, so
that column 1 is one convolution beside all rows and column C has one in each.

Reference: Larsson, Maire, Shakhnarovich, FractalNet: Ultra-Deep Neural Networks without Residuals, ICLR 2017,
arXiv:1605.07648, sec. 2 and fig. 1.
"""

from __future__ import annotations

from nas_cli.architecture import CellGraph


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


def graph(columns: int) -> CellGraph:
    """A block as it is drawn: a node for each row, an edge for each convolution."""
    rows = joins(columns)
    edges = tuple(
        (row - span(column, columns), row, "conv_3x3") for row, ending in enumerate(rows, start=1) for column in ending
    )
    labels = tuple("mean" if len(ending) > 1 else str(row) for row, ending in enumerate(rows, start=1))
    title = f"fractal block of {columns} column{'s' * (columns > 1)}"
    return CellGraph(title, ("input",), labels, edges, (len(rows),), "output")
