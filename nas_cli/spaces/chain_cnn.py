"""The space of chains of convolutions with skip connections, of Zoph and Le.

Reference: Zoph and Le, Neural Architecture Search with Reinforcement Learning, ICLR 2017, arXiv:1611.01578, sec. 3.1,
3.3 and 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from nas_cli.architecture import Architecture, CellGraph, Value
from nas_cli.errors import InputError, require
from nas_cli.networks.chain import ChainNetwork
from nas_cli.networks.chain_genotype import CONV, POOLS, ChainGenotype, ChainLayer
from nas_cli.spaces.base import NetworkSpace
from nas_cli.spaces.decisions import Categorical, Decision, Integer, When
from nas_cli.spaces.tokens import Choice, Subset, Tick, Token

#: The decision on how many layers there are, where that is one.
LAYERS = "layers"
LAYER_TYPES = (CONV, *POOLS)
#: What is decided of a layer though there be one candidate, and what of a convolution alone.
_ALWAYS = ("filter_height", "filter_width", "filters")
_OF_CONVOLUTIONS = ("filters", "norm")


class ChainSpace(NetworkSpace):
    """A network of so many layers, each a convolution that reads any of the layers before it.

    Of every layer are decided height and width of the kernel, the strides along both where there are several to choose
    from, the number of filters, and for each earlier layer whether it is read. Where there are several layer types the
    type is decided before all else, and filters of convolutions alone; where a convolution may or may not be
    normalised, that is decided behind its filters. An architecture is written as the texts of its layers
    (`nas_cli.networks.chain_genotype`).

    Args:
        layers: the least and the greatest number of layers. Where they differ the number is a decision too, the first
            one, named `layers`, which a strategy may pin. Paper: 6 to 20, two more with every 1,600 candidates.
        sizes: candidates for the sides of a kernel, odd. Paper: 1, 3, 5, 7.
        strides: candidates along each axis; where there is one, none is decided. Paper: 1, or 1, 2, 3.
        filters: candidates for their number. Paper: 24, 36, 48, 64; with pools 6, 12, 24, 36.
        block, pools, added_filters: of the network (`nas_cli.networks.chain.ChainNetwork`).
        layer_types: `conv`, and with it `max_pool` and `avg_pool`, which keep the channels of what they join. Paper: as
            below; `conv` in its searches.
        norms: whether batch normalisation follows a convolution: true, false, or both to have it decided. Paper: as
            below; true in its searches.
    Differs from the paper: it says that layers of other types, such as pooling and batch normalisation, need one more
        step that predicts the type before what belongs to that type (sec. 3.3), and gives no exact form. Here a pooling
        layer has a kernel and strides as a convolution has, and normalisation is a part of a convolution.
    """

    def __init__(
        self,
        name: str,
        layers: Sequence[int] = (3, 3),
        sizes: Sequence[int] = (1, 3, 5),
        strides: Sequence[int] = (1,),
        filters: Sequence[int] = (8, 16, 24, 32),
        block: int = 1,
        pools: Sequence[int] = (),
        added_filters: int = 0,
        layer_types: Sequence[str] = (CONV,),
        norms: Sequence[bool] = (True,),
    ) -> None:
        super().__init__(name)
        require(
            len(layers) == 2 and 1 <= layers[0] <= layers[1],
            f"layers must be the least and the greatest number, from 1, not {list(layers)}",
        )
        for option, candidates in (("sizes", sizes), ("strides", strides), ("filters", filters)):
            require(
                0 < len(candidates) == len(set(candidates)) and min(candidates) >= 1,
                f"{option} must be different numbers, from 1, not {list(candidates)}",
            )
        require(all(size % 2 for size in sizes), f"sizes must be odd, not {list(sizes)}")
        require(block >= 1, f"block must be at least 1, not {block}")
        require(added_filters >= 0, f"added_filters must be at least 0, not {added_filters}")
        require(
            block == 1 or tuple(strides) == (1,), f"strides={list(strides)}: are not defined for a block of {block}"
        )
        require(
            CONV in layer_types and len(layer_types) == len(set(layer_types)) and set(layer_types) <= set(LAYER_TYPES),
            f"layer_types must be {CONV}, alone or with {', '.join(POOLS)}, each once, not {list(layer_types)}",
        )
        require(
            0 < len(norms) == len(set(norms)) and set(norms) <= {True, False},
            f"norms must be true, false or both, not {list(norms)}",
        )
        convolutions = layers[1] * block
        require(
            all(1 <= pool <= convolutions for pool in pools),
            f"pools must be numbers of convolutions, 1 to {convolutions}, not {list(pools)}",
        )
        self.first, self.last = layers
        self.sizes, self.strides, self.filters = tuple(sizes), tuple(strides), tuple(filters)
        self.block, self.pools, self.added_filters = block, tuple(pools), added_filters
        self.layer_types, self.norms = tuple(layer_types), tuple(norms)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        found: list[Decision] = [Integer(LAYERS, self.first, self.last)] if self.last > self.first else []
        for number in range(1, self.last + 1):
            deep_enough = When(LAYERS, tuple(range(number, self.last + 1))) if number > self.first else None
            convolution = When(f"{number}/layer_type", (CONV,)) if len(self.layer_types) > 1 else deep_enough
            for part, candidates in self._parts:
                when = convolution if part in _OF_CONVOLUTIONS else deep_enough
                found.append(Categorical(f"{number}/{part}", candidates, when=when))
            found += [Categorical(f"{number}/reads_{k}", (0, 1), when=deep_enough) for k in range(1, number)]
        return tuple(found)

    @property
    def _parts(self) -> tuple[tuple[str, tuple[Value, ...]], ...]:
        """What is decided of every layer before its sources, with the candidates."""
        parts: dict[str, tuple[Value, ...]] = {
            "layer_type": self.layer_types,
            "filter_height": self.sizes,
            "filter_width": self.sizes,
            "stride_height": self.strides,
            "stride_width": self.strides,
            "filters": self.filters,
            "norm": self.norms,
        }
        return tuple((part, of) for part, of in parts.items() if len(of) > 1 or part in _ALWAYS)

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """As the interface says; behind a layer's own decisions stands the anchor that later ones choose it by."""
        found: list[Token] = [Choice(LAYERS, self.last - self.first + 1)] if self.last > self.first else []
        for number in range(1, self.last + 1):
            found += [Choice(part, len(candidates)) for part, candidates in self._parts]
            found.append(Tick() if number == 1 else Subset("reads", anchor=True))
        return tuple(found)

    def decode(self, values: Sequence[Value]) -> Architecture:
        return Architecture(self.name, ChainGenotype(tuple(self._layers(values))).texts())

    def _layers(self, values: Sequence[Value]) -> Iterator[ChainLayer]:
        given: Iterator[Any] = iter(values)
        count = next(given) if self.last > self.first else self.last
        for number in range(1, count + 1):
            own = {part: next(given) for part, _ in self._parts}
            layer_type = own.get("layer_type", self.layer_types[0])
            yield ChainLayer(
                kernel=(own["filter_height"], own["filter_width"]),
                stride=(own.get("stride_height", self.strides[0]), own.get("stride_width", self.strides[0])),
                filters=own["filters"],
                sources=tuple(k for k in range(1, number) if next(given)),
                layer_type=layer_type,
                norm=layer_type == CONV and own.get("norm", self.norms[0]),
            )

    def encode(self, architecture: Architecture) -> tuple[Value, ...]:
        layers = genotype_of(architecture).layers
        if not self.first <= len(layers) <= self.last:
            wanted = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
            raise InputError(f"a chain of space {self.name} has {wanted} layers, this one {len(layers)}")
        values: list[Value] = [len(layers)] if self.last > self.first else []
        for number, layer in enumerate(layers, start=1):
            own: dict[str, Value] = {
                "layer_type": layer.layer_type,
                "filter_height": layer.kernel[0],
                "filter_width": layer.kernel[1],
                "stride_height": layer.stride[0],
                "stride_width": layer.stride[1],
                "filters": layer.filters,
                "norm": layer.norm if layer.layer_type == CONV else None,
            }
            values += [own[part] for part, _ in self._parts]
            values += [int(k in layer.sources) for k in range(1, number)]
            self._check_fixed(number, layer)
        values += [None] * (len(self.decisions) - len(values))
        return self._checked(values)

    def _check_fixed(self, number: int, layer: ChainLayer) -> None:
        """Raise `InputError` where a layer is not as all layers of this space are."""
        fixed: tuple[tuple[str, Sequence[Value], Sequence[Value]], ...] = (
            ("stride", layer.stride, self.strides),
            ("type", (layer.layer_type,), self.layer_types),
            ("norm", (layer.norm,) if layer.layer_type == CONV else (), self.norms),
        )
        for what, values, candidates in fixed:
            if len(candidates) == 1 and not set(values) <= set(candidates):
                raise InputError(f"layer {number}: {layer} has another {what} than {candidates[0]} of {self.name}")

    def describe(self, architecture: Architecture) -> str:
        texts = genotype_of(architecture).texts()
        return "\n".join(f"layer {number}: {text}" for number, text in enumerate(texts, start=1))

    def graphs(self, architecture: Architecture) -> list[CellGraph]:
        return [genotype_of(architecture).graph("chain of convolutions")]

    def build(  # type: ignore[override]  # there is nothing that the interface leaves open
        self, architecture: Architecture, input_shape: tuple[int, int, int], classes: int
    ) -> ChainNetwork:
        """The network of any chain, also of one with other candidates or another depth than this space has."""
        return ChainNetwork(genotype_of(architecture), input_shape, classes, self.block, self.pools, self.added_filters)


def genotype_of(architecture: Architecture) -> ChainGenotype:
    """The chain of an architecture whose decisions are the texts of its layers. Raises `InputError` for any other."""
    texts = [text for text in architecture.decisions if isinstance(text, str)]
    if len(texts) < len(architecture.decisions):
        raise InputError(f"an architecture of {architecture.space} is the texts of its layers, not {list(texts)}")
    return ChainGenotype.parse(texts)
