"""A chain of convolutions as text."""

from __future__ import annotations

import pytest

from nas_cli.errors import InputError
from nas_cli.networks.chain_genotype import ChainGenotype, ChainLayer
from nas_cli.report.drawing import draw_cells

TEXTS = ("3x5 filters 24", "1x7 stride 2x3 filters 36 from 1", "3x3 filters 24", "5x5 filters 48 from 1,3")


def test_the_text_of_a_chain_and_back() -> None:
    chain = ChainGenotype.parse(TEXTS)
    assert chain.layers[1] == ChainLayer((1, 7), (2, 3), 36, (1,))
    assert chain.layers[2].sources == ()
    assert chain.texts() == TEXTS
    assert chain.loose_ends == (2, 4)


def test_the_text_of_pools_and_of_convolutions_without_normalisation_and_back() -> None:
    texts = ("max_pool 3x1", "1x7 stride 2x3 filters 36 no norm", "avg_pool 5x5 stride 1x2 from 1,2", "3x3 filters 8")
    chain = ChainGenotype.parse(texts)
    assert chain.layers == (
        ChainLayer((3, 1), (1, 1), None, (), "max_pool", norm=False),
        ChainLayer((1, 7), (2, 3), 36, (), norm=False),
        ChainLayer((5, 5), (1, 2), None, (1, 2), "avg_pool", norm=False),
        ChainLayer((3, 3), (1, 1), 8, ()),
    )
    assert chain.texts() == texts
    graph = chain.graph("chain")
    assert [operation for _, _, operation in graph.edges] == [
        "max_pool 3x1",
        "conv 1x7 /2x3, 36, no norm",
        "avg_pool 5x5 /1x2",
        "avg_pool 5x5 /1x2",
        "conv 3x3, 8",
    ]
    drawing = draw_cells([graph])
    assert (drawing.count(">pooling<"), drawing.count(">convolution<")) == (1, 1)  # both in the legend


@pytest.mark.parametrize(
    "layer",
    [
        ChainLayer((3, 3), (1, 1), 8, (), "max_pool", norm=False),
        ChainLayer((3, 3), (1, 1), None, (), "max_pool"),
        ChainLayer((3, 3), (1, 1), None, ()),
        ChainLayer((3, 3), (1, 1), None, (), "pool", norm=False),
    ],
)
def test_a_layer_is_a_whole_convolution_or_a_mere_pool(layer: ChainLayer) -> None:
    with pytest.raises(InputError, match="filters and norms are of convolutions alone"):
        ChainGenotype((layer,))


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ((), "at least one layer"),
        (("3x3",), "must be like"),
        (("3x3 filters 8 ",), "must be like"),
        (("3x3 filters 8 from ",), "must be like"),
        (("max_pool 3x3 filters 8",), "must be like"),
        (("max_pool 3x3 no norm",), "must be like"),
        (("pool 3x3",), "must be like"),
        (("max_pool 2x2",), "layer 1 of a chain: sides of a kernel must be odd"),
        (("max_pool 3x3 stride 1x0",), "strides and filters must be at least 1"),
        (("avg_pool 3x3 from 1",), "layer 1 of a chain: sources must be earlier layers"),
        (("3x2 filters 8",), "layer 1 of a chain: sides of a kernel must be odd"),
        (("3x3 filters 0",), "strides and filters must be at least 1"),
        (("3x3 stride 0x1 filters 8",), "strides and filters must be at least 1"),
        (("3x3 filters 8 from 1",), "layer 1 of a chain: sources must be earlier layers"),
        (("3x3 filters 8", "3x3 filters 8 from 0"), "layer 2 of a chain: sources must be earlier layers"),
        (("3x3 filters 8", "3x3 filters 8", "3x3 filters 8 from 2,1"), "ascending"),
        (("3x3 filters 8", "3x3 filters 8 from 1,1"), "ascending"),
    ],
)
def test_a_faulty_one_is_refused(texts: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        ChainGenotype.parse(texts)
    assert "\n" not in str(caught.value)


def test_the_graph_says_what_is_read_and_what_is_joined_at_the_end() -> None:
    graph = ChainGenotype.parse(TEXTS).graph("chain")
    assert graph.edges == (
        (0, 1, "conv 3x5, 24"),
        (1, 2, "conv 1x7 /2x3, 36"),
        (0, 3, "conv 3x3, 24"),
        (1, 4, "conv 5x5, 48"),
        (3, 4, "conv 5x5, 48"),
    )
    assert graph.outputs == (2, 4)
    drawing = draw_cells([graph])
    assert drawing.count("conv 5x5, 48") == 2
    assert drawing.count(">image<") == 1
