"""The Weisfeiler-Lehman kernel: how many labelled subtrees two cells share.

Reference: Shervashidze et al., Weisfeiler-Lehman graph kernels, JMLR 12, 2011; Ru, Wan, Dong and Osborne,
Interpretable Neural Architecture Search via Bayesian Optimisation with Weisfeiler-Lehman Kernels (NAS-BOWL),
ICLR 2021, arXiv:2006.07556.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, require
from nas_cli.seeding import numpy_generator
from nas_cli.spaces.base import Space
from nas_cli.spaces.graphs import LabelledGraph
from nas_cli.strategies.black_box.bo.kernels.base import Covariance, Kernel
from nas_cli.strategies.black_box.bo.kernels.features import (
    CosineCovariance,
    ExponentialCovariance,
    Features,
    FeatureTable,
)


def has_graph(space: Space) -> bool:
    """Whether the architectures of a space are cells that can be compared as graphs."""
    return bool(space.labelled_graph(space.sample(numpy_generator(0, "has_graph"))).labels)


def require_cells(space: Space, kernel: str) -> None:
    """Raise `CombinationError` for a space without cells."""
    if not has_graph(space):
        raise CombinationError(
            f"strategy/kernel={kernel} with space={space.name}: it compares cells, and this space has none"
        )


class Subtrees:
    """Subtrees of labelled graphs, as multisets of whole numbers: equal numbers, equal subtrees.

    Level 0 of a node is its label. Level i is its level i - 1 together with the multiset of the levels i - 1 of its
    successors. Numbers are given on first sight; nothing depends on their order.

    Args:
        depth: the highest level.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._numbers: dict[Hashable, int] = {}

    def levels(self, graph: LabelledGraph) -> list[Counter[Hashable]]:
        """How often each subtree occurs, for levels 0 to `depth`."""
        labels: list[int] = [self._number((0, label)) for label in graph.labels]
        found: list[Counter[Hashable]] = [Counter(labels)]
        for level in range(1, self.depth + 1):
            below = [tuple(sorted(labels[target] for target in targets)) for targets in graph.successors]
            labels = [self._number((level, label, under)) for label, under in zip(labels, below, strict=True)]
            found.append(Counter(labels))
        return found

    def _number(self, subtree: Hashable) -> int:
        return self._numbers.setdefault(subtree, len(self._numbers))


def unary(counts: Mapping[Hashable, int]) -> Counter[Hashable]:
    """Each count n as n ones, so that an inner product becomes the sum of the smaller counts."""
    return Counter((feature, place) for feature, count in counts.items() for place in range(count))


class WL(Kernel):
    """k(G, G') = sum over levels i = 0..h of <phi_i(G), phi_i(G')>, normalised; phi_i counts the subtrees of level i.

    Two cells are as one where they are isomorphic. A cell is its space's `labelled_graph`; both cells of a pair count.

    Args:
        optimal_assignment: take the sum of the smaller counts in place of the inner product (Kriege et al., 2016).
            Paper: no on NAS-Bench-201, yes on NAS-Bench-101 and DARTS.
        levels: values of h to choose from, by marginal likelihood at each refit. Paper: 1, 2, 3.
        exponential: take exp(-(1 - k) / l) in place of k, with a length scale l, so that cells which share little are
            as good as independent. Ours.

    Reference: see the module; sec. 3.1, eq. 3.1, and alg. 1.
    """

    def __init__(
        self, optimal_assignment: bool = False, levels: Sequence[int] = (1, 2, 3), exponential: bool = False
    ) -> None:
        self.optimal_assignment = optimal_assignment
        self.levels = tuple(levels)
        self.exponential = exponential
        require(
            bool(levels) and min(levels) >= 0 and len(set(levels)) == len(levels),
            f"levels={list(levels)}: needs at least one whole number, none negative and none twice",
        )

    @property
    def option(self) -> str:
        """The `strategy/kernel` that has these options, or comes nearest."""
        if not self.optimal_assignment:
            return "wl"
        return "wl_oa_exponential" if self.exponential else "wl_oa"

    def on(self, space: Space) -> Covariance:
        require_cells(space, self.option)
        table = self.table(space)
        if self.exponential:  # |f - f'|^2 of features of length 1 is 2 - 2 k
            return ExponentialCovariance(table, unit=2.0, normalised=True, levels=self.levels)
        return CosineCovariance(table, self.levels)

    def table(self, space: Space) -> FeatureTable:
        """The numbers of the space's architectures and the products of their features."""
        subtrees = Subtrees(max(self.levels))
        known: dict[LabelledGraph, Features] = {}

        def features(architecture: Architecture) -> Features:
            graph = space.labelled_graph(architecture)
            if graph not in known:
                known[graph] = self._features(subtrees.levels(graph))
            return known[graph]

        return FeatureTable(features, levels=subtrees.depth + 1)

    def _features(self, counts: Iterable[Counter[Hashable]]) -> Features:
        return [unary(level) if self.optimal_assignment else level for level in counts]
