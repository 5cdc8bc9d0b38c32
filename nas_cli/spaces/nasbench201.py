"""The space of NAS-Bench-201: one of five operations on each of six edges.

Reference: Dong and Yang, NAS-Bench-201, ICLR 2020, arXiv:2001.00326, sec. 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from nas_cli import tabular
from nas_cli.architecture import Architecture, CellGraph
from nas_cli.errors import InputError, nearest
from nas_cli.networks.choices import NONE, CellChoices, Choices, Nodes
from nas_cli.networks.nasbench201 import EDGES, NasBench201Network, check_size
from nas_cli.networks.nasbench201_supernet import KIND, NasBench201Supernet
from nas_cli.networks.supernet import FanOutFactory
from nas_cli.spaces.base import SupernetSpace
from nas_cli.spaces.decisions import Categorical, Decision
from nas_cli.spaces.graphs import SUM, LabelledGraph, Path, labelled_graph, paths

OPERATIONS = (NONE, "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
#: The order in which BANANAS numbers them in its path encoding.
PATH_OPERATIONS = ("avg_pool_3x3", "nor_conv_1x1", "nor_conv_3x3", NONE, "skip_connect")
_FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"


class NasBench201(SupernetSpace):
    """Cells of four nodes with an operation on each of the six edges: 5^6 = 15,625 architectures.

    What the benchmark measured of a cell is `known`, so that a search can be followed epoch by epoch.

    Args:
        name: the name under which it was configured.
        channels: C of the first stage. Paper: 16.
        cells: of all three stages together, a positive multiple of 3. Paper: 15.
    Raises:
        InputError: for a number of cells that is no positive multiple of 3, or fewer than one channel.
    """

    def __init__(self, name: str, channels: int = 8, cells: int = 3) -> None:
        super().__init__(name)
        check_size(channels, cells)
        self.channels = channels
        self.cells = cells

    @cached_property
    def choices(self) -> CellChoices:
        """One row for each edge of the one cell; a derived cell has them all, those of `none` too."""
        return {KIND: Choices(EDGES, (OPERATIONS,) * len(EDGES), inputs=None, repeats=self.cells)}

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        return tuple(Categorical(f"{source}->{target}", OPERATIONS) for source, target in EDGES)

    def to_string(self, architecture: Architecture) -> str:
        """The canonical form ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``: the inputs of nodes 1, 2 and 3."""
        nodes: dict[int, str] = {}
        for (source, target), operation in zip(EDGES, self.encode(architecture), strict=True):
            nodes[target] = nodes.get(target, "|") + f"{operation}~{source}|"
        return "+".join(nodes.values())

    def from_string(self, text: str) -> Architecture:
        """The architecture of a canonical string. Raises `InputError` naming the part that is wrong."""
        nodes = text.strip().split("+")
        if len(nodes) != 3:
            raise InputError(f"{text!r} has {len(nodes)} nodes, a cell of {self.name} has 3, as in {_FORM}")
        operations: list[str] = []
        for number, node in enumerate(nodes, start=1):
            tokens = node[1:-1].split("|")
            if len(node) < 2 or node[0] != "|" or node[-1] != "|" or len(tokens) != number:
                raise InputError(f"{node!r} must hold {number} inputs between bars, as node {number} of {_FORM}")
            for source, token in enumerate(tokens):
                operation, _, index = token.partition("~")
                if operation not in OPERATIONS:
                    allowed = f"{', '.join(OPERATIONS)}{nearest(operation, OPERATIONS)}"
                    raise InputError(f"{token!r}: {operation!r} is not one of {allowed}")
                if index != str(source):
                    raise InputError(f"{token!r}: input {source} of node {number} must be written {operation}~{source}")
                operations.append(operation)
        return self.decode(operations)

    def describe(self, architecture: Architecture) -> str:
        return self.to_string(architecture)

    def graphs(self, architecture: Architecture) -> list[CellGraph]:
        """The cell; an edge of `none` is not drawn."""
        return [self._cell(edge for edge in self._edges(architecture) if edge[2] != NONE)]

    def labelled_graph(self, architecture: Architecture) -> LabelledGraph:
        """NAS-BOWL's graph: neither skips nor sums are nodes, so that cells which compute the same are isomorphic."""
        return labelled_graph(self.graphs(architecture), contracted=("skip_connect", SUM))

    def paths(self, architecture: Architecture) -> tuple[Path, ...]:
        """BANANAS's four paths, in which `none` is an operation like any other."""
        return paths([self._cell(self._edges(architecture))])

    def _edges(self, architecture: Architecture) -> Iterator[tuple[int, int, str]]:
        for (source, target), operation in zip(EDGES, self.encode(architecture), strict=True):
            yield source, target, str(operation)

    def _cell(self, edges: Iterable[tuple[int, int, str]]) -> CellGraph:
        return CellGraph("cell", ("input",), ("1", "2", "3"), tuple(edges), (3,), "output")

    def build(  # type: ignore[override]  # it names what the interface leaves open
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        classes: int,
        channels: int | None = None,
        cells: int | None = None,
    ) -> NasBench201Network:
        """The network of section 2.1: affine normalisation, convolutions without bias, pools without normalisation.

        Args:
            architecture: from this space.
            input_shape: (channels, height, width) of an image, sides multiples of 4.
            classes: number of outputs.
            channels, cells: the space's own where left out.
        Raises:
            InputError: for an architecture from elsewhere, or a size that does not fit.
        """
        operations = [str(operation) for operation in self.encode(architecture)]
        return NasBench201Network(
            operations,
            input_shape,
            classes,
            self.channels if channels is None else channels,
            self.cells if cells is None else cells,
        )

    def supernet(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        fan_out: FanOutFactory,
        choices: CellChoices | None = None,
        cells: int | None = None,
    ) -> NasBench201Supernet:
        open_ = self.choices if choices is None else choices
        depth = self.cells if cells is None else cells
        return NasBench201Supernet(open_, input_shape, classes, self.channels, depth, fan_out)

    def check_depth(self, cells: int) -> None:
        check_size(self.channels, cells)

    def from_cells(self, cells: Mapping[str, Nodes]) -> Architecture:
        """The architecture of a derived cell; an edge that it lacks is `none`. Raises `InputError` for two on one."""
        found = dict.fromkeys(EDGES, NONE)
        taken = set()
        for target, node in enumerate(cells[KIND], start=1):
            for operation, source in node:
                if (source, target) in taken:
                    raise InputError(
                        f"edge {source}->{target} has two operations: a cell of {self.name} has one on each edge"
                    )
                taken.add((source, target))
                found[source, target] = operation
        return self.decode(list(found.values()))

    def known(self, architecture: Architecture) -> dict[str, float]:
        """``table_<data set>_valid`` and ``…_test``: accuracies after 200 epochs, means over the benchmark's runs."""
        row = tabular.nasbench201_rows()[tuple(map(str, self.encode(architecture)))]
        table = tabular.load(tabular.NASBENCH201)
        return {
            f"table_{data}_{part}": round(float(table[f"{column}_{part}"][row]) / 100, 6)
            for data, column in tabular.NASBENCH201_DATA.items()
            for part in ("valid", "test")
        }
