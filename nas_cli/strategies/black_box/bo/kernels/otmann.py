"""The stand-in for OTMANN's distance on spaces of cells: operations counted and compared place by place.

Reference: White, Neiswanger and Savani, BANANAS, AAAI 2021, arXiv:1910.11858: what its released code runs as NASBOT.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from nas_cli.architecture import Architecture
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.bo.kernels.base import Covariance, Kernel
from nas_cli.strategies.black_box.bo.kernels.features import ExponentialCovariance, FeatureTable
from nas_cli.strategies.black_box.bo.kernels.hamming import decided, require_categorical
from nas_cli.strategies.black_box.bo.kernels.wl import require_cells, unary


class OtmannStandIn(Kernel):
    """k = exp(-d / (3 D l)), d = sum over choices of the difference of their counts + how many of D decisions differ.

    This is not the transport of `OtmannTransport`, but what stands for it in published comparisons on cells. 3 D is the
    largest d (18 on NAS-Bench-201). The distance is the authors', the kernel ours.

    Reference: see the module.
    """

    def on(self, space: Space) -> Covariance:
        require_cells(space, "otmann")
        require_categorical(space, "otmann")
        table = FeatureTable(lambda architecture: [_features(space, architecture)])
        return ExponentialCovariance(table, unit=2.0 * 3 * len(space.decisions))


def _features(space: Space, architecture: Architecture) -> Counter[Hashable]:
    """Zeros and ones whose squared distance is 2 d: differing decisions count on both sides, counts are doubled."""
    counts = unary(Counter(space.encode(architecture)))
    doubled: Counter[Hashable] = Counter((side, one) for one in counts for side in ("first", "second"))
    return doubled + decided(space, architecture)
