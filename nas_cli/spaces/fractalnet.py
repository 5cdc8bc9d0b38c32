"""The space of fractal networks: how many columns their blocks have.

Reference: Larsson, Maire, Shakhnarovich, FractalNet, ICLR 2017, arXiv:1605.07648.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from torch import nn

from nas_cli.architecture import Architecture, CellGraph
from nas_cli.errors import require
from nas_cli.networks.fractal import Column, FractalNetwork, Pool, check, local_masks
from nas_cli.networks.fractal_rule import Alive, convolutions, depth, graph, joins, only, paths
from nas_cli.seeding import seeded
from nas_cli.spaces.base import NetworkSpace
from nas_cli.spaces.decisions import Decision, Integer

COLUMNS = "columns"
#: Local draws from which a picture is chosen.
DRAWS = 100


class FractalSpace(NetworkSpace):
    """A network of fractal blocks; what is decided is `columns`, the C of all of them.

    Args:
        columns: the least and the greatest number. Paper: 1 to 6.
        widths, pool, drop_path, global_share, dropout: of the network (`nas_cli.networks.fractal.FractalNetwork`).
    Raises:
        InputError: for options that make no network.
    """

    def __init__(
        self,
        name: str,
        columns: Sequence[int] = (1, 6),
        widths: Sequence[int] = (8, 16, 32),
        pool: Pool = "before_join",
        drop_path: float = 0.15,
        global_share: float = 0.5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(name)
        require(
            len(columns) == 2 and 1 <= columns[0] <= columns[1],
            f"columns must be the least and the greatest number, from 1, not {list(columns)}",
        )
        check(widths, drop_path, global_share, dropout)
        self.columns = tuple(columns)
        self.widths, self.pool, self.drop_path = tuple(widths), pool, drop_path
        self.global_share, self.dropout = global_share, dropout

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        return (Integer(COLUMNS, self.columns[0], self.columns[1]),)

    def describe(self, architecture: Architecture) -> str:
        columns = self._columns(architecture)
        return (
            f"{COLUMNS}: {columns}\n"
            f"in each block: convolutions {convolutions(columns)}, paths {paths(columns)}, depth {depth(columns)}"
        )

    def graphs(self, architecture: Architecture) -> list[CellGraph]:
        return [graph(self._columns(architecture))]

    def pictures(self, architecture: Architecture) -> list[CellGraph]:
        """The block, and what drop-path leaves of it: in a local draw with something to see, and in a global one."""
        columns = self._columns(architecture)
        found = self.graphs(architecture)
        if self.drop_path and (drawn := _local_draw(columns, self.drop_path)) is not None:
            title = f"local drop-path: a draw; each input of a join is dropped with probability {self.drop_path:g}"
            found.append(graph(columns, drawn, title))
        if self.global_share and columns > 1:
            one = (columns + 1) // 2
            found.append(graph(columns, only(one, columns), f"global drop-path: a draw of column {one} alone"))
        return found

    def build(  # type: ignore[override]  # it names what the interface leaves open
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        classes: int,
        widths: Sequence[int] | None = None,
        pool: Pool | None = None,
        drop_path: float | None = None,
        global_share: float | None = None,
        dropout: float | None = None,
    ) -> FractalNetwork:
        """The network of so many columns.

        Args:
            widths, pool, drop_path, global_share, dropout: as of the space, whose own they are where left out.
        """
        return FractalNetwork(
            self._columns(architecture),
            input_shape,
            classes,
            self.widths if widths is None else widths,
            self.pool if pool is None else pool,
            self.drop_path if drop_path is None else drop_path,
            self.global_share if global_share is None else global_share,
            self.dropout if dropout is None else dropout,
        )

    def parts(self, network: nn.Module) -> Mapping[str, nn.Module]:
        """Every column alone: the shallower, the sooner there is an answer."""
        if not isinstance(network, FractalNetwork):
            return {}
        return {f"column_{column}": Column(network, column) for column in range(1, network.columns + 1)}

    def _columns(self, architecture: Architecture) -> int:
        (columns,) = self.encode(architecture)
        return int(columns or 0)


def _local_draw(columns: int, probability: float) -> Alive | None:
    """Always the same one, the first in which something is dropped; None where that would take long."""
    widths = [len(row) for row in joins(columns)]
    with seeded(0, "drop_path"):
        draws = (local_masks(widths, probability).tolist() for _ in range(DRAWS))
        return next((draw for draw in draws if sum(map(sum, draw)) < sum(widths)), None)
