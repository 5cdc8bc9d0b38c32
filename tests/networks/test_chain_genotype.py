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


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ((), "at least one layer"),
        (("3x3",), "must be like"),
        (("3x3 filters 8 ",), "must be like"),
        (("3x3 filters 8 from ",), "must be like"),
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
