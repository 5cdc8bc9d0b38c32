"""A chain of convolutions as plain data, and its text form.

Every layer has a text: ``3x5 stride 2x1 filters 24 from 1,2``. That is the kernel's height and width, the stride along
both, the filters, and the numbers of the earlier layers that it reads, counted from 1. A stride of 1x1 is not written,
and neither are the sources of a layer that no other feeds: it reads the image. Behind the filters stands ``no norm``
where a convolution has no batch normalisation. A pooling layer is ``max_pool 3x3 stride 2x2 from 1``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nas_cli.architecture import CellGraph
from nas_cli.errors import InputError

CONV = "conv"
POOLS = ("max_pool", "avg_pool")
NO_NORM = "no norm"

_LAYER = re.compile(
    rf"(?:(?P<pool>{'|'.join(POOLS)}) )?(?P<kernel>[0-9]+x[0-9]+)(?: stride (?P<stride>[0-9]+x[0-9]+))?"
    rf"(?(pool)| filters (?P<filters>[0-9]+)(?P<bare> {NO_NORM})?)(?: from (?P<sources>[0-9]+(?:,[0-9]+)*))?",
    re.ASCII,
)


@dataclass(frozen=True)
class ChainLayer:
    """One convolution, or one pooling of what it reads.

    Args:
        kernel: height and width, odd.
        stride: along both.
        filters: how many; None for a pool, which keeps the channels that it reads.
        sources: numbers of the layers that it reads, counted from 1, ascending; none: the image.
        layer_type: `CONV` or one of `POOLS`.
        norm: whether batch normalisation follows; never behind a pool.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    filters: int | None
    sources: tuple[int, ...]
    layer_type: str = CONV
    norm: bool = True

    @classmethod
    def parse(cls, text: str) -> ChainLayer:
        """The layer that a text stands for: the inverse of `str`. Raises `InputError` for a malformed text."""
        match = _LAYER.fullmatch(text)
        if not match:
            raise InputError(f"not a layer of a chain: {text!r} must be like '3x5 stride 2x1 filters 24 from 1,2'")
        sources = match["sources"]
        return cls(
            _pair(match["kernel"]),
            _pair(match["stride"] or "1x1"),
            None if match["pool"] else int(match["filters"]),
            tuple(int(number) for number in sources.split(",")) if sources else (),
            match["pool"] or CONV,
            norm=not (match["pool"] or match["bare"]),
        )

    @property
    def operation(self) -> str:
        """The text without the sources."""
        stride = "" if self.stride == (1, 1) else f" stride {_times(self.stride)}"
        size = f"{_times(self.kernel)}{stride}"
        if self.layer_type != CONV:
            return f"{self.layer_type} {size}"
        return f"{size} filters {self.filters}{'' if self.norm else f' {NO_NORM}'}"

    def __str__(self) -> str:
        return self.operation + (f" from {','.join(map(str, self.sources))}" if self.sources else "")


@dataclass(frozen=True)
class ChainGenotype:
    """Layers in order, each reading any of those before it.

    Raises `InputError` for no layer at all, an even kernel, a stride or filters below 1, a source that is no earlier
    layer, a pool with filters or normalisation, or a convolution without filters.
    """

    layers: tuple[ChainLayer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise InputError("a chain needs at least one layer")
        for number, layer in enumerate(self.layers, start=1):
            if any(side % 2 == 0 for side in layer.kernel):
                raise InputError(f"layer {number} of a chain: sides of a kernel must be odd, not {layer}")
            is_pool = layer.filters is None
            if layer.layer_type not in (POOLS if is_pool else (CONV,)) or (is_pool and layer.norm):
                raise InputError(
                    f"layer {number} of a chain: filters and norms are of convolutions alone, not {layer!r}"
                )
            if min(*layer.stride, 1 if layer.filters is None else layer.filters) < 1:
                raise InputError(f"layer {number} of a chain: strides and filters must be at least 1, not {layer}")
            if list(layer.sources) != sorted({source for source in layer.sources if 1 <= source < number}):
                raise InputError(f"layer {number} of a chain: sources must be earlier layers, ascending, not {layer}")

    @classmethod
    def parse(cls, texts: Sequence[str]) -> ChainGenotype:
        """The chain that the texts of its layers stand for. Raises `InputError` for a malformed one."""
        return cls(tuple(ChainLayer.parse(text) for text in texts))

    def texts(self) -> tuple[str, ...]:
        """The text of every layer: the inverse of `parse`."""
        return tuple(map(str, self.layers))

    @property
    def loose_ends(self) -> tuple[int, ...]:
        """Numbers of the layers that no other reads, ascending."""
        read = {source for layer in self.layers for source in layer.sources}
        return tuple(number for number in range(1, len(self.layers) + 1) if number not in read)

    def graph(self, title: str) -> CellGraph:
        """The chain as a graph to draw.

        A convolution of joined inputs is the sum of convolutions of each, and a pool the join of pools of each, so that
        it stands on every edge into its layer, as an operation does in a cell.
        """
        return CellGraph(
            title=title,
            inputs=("image",),
            nodes=tuple(str(number) for number in range(1, len(self.layers) + 1)),
            edges=tuple(
                (source, number, _drawn(layer))
                for number, layer in enumerate(self.layers, start=1)
                for source in layer.sources or (0,)
            ),
            outputs=self.loose_ends,
            output="concat",
        )


def _drawn(layer: ChainLayer) -> str:
    stride = "" if layer.stride == (1, 1) else f" /{_times(layer.stride)}"
    size = f"{layer.layer_type} {_times(layer.kernel)}{stride}"
    if layer.layer_type != CONV:
        return size
    return f"{size}, {layer.filters}{'' if layer.norm else f', {NO_NORM}'}"


def _pair(text: str) -> tuple[int, int]:
    first, _, second = text.partition("x")
    return int(first), int(second)


def _times(pair: tuple[int, int]) -> str:
    return f"{pair[0]}x{pair[1]}"
