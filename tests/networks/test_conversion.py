"""Cells put into the network of another space."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from nas_cli import published
from nas_cli.architecture import Architecture
from nas_cli.cost import count
from nas_cli.errors import InputError
from nas_cli.networks.blocks import BlockCell, cells_of
from nas_cli.networks.conversion import to_blocks, to_nodes
from nas_cli.networks.genotype import Cell, Genotype
from nas_cli.networks.nasnet_operations import OPERATIONS
from nas_cli.spaces.darts import DartsSpace
from nas_cli.spaces.nasnet import NasNetSpace

NASNET = NasNetSpace("nasnet", list(OPERATIONS))
DARTS = DartsSpace("darts", ["skip_connect"])


def test_inputs_change_places_and_blocks_keep_theirs() -> None:
    cell = Cell.parse("sep_conv_5x5:1 + skip_connect:0 | skip_connect:2 + nor_conv_1x1:1 ; concat 3,2")
    blocks = BlockCell.parse("sep_conv_5x5:0 add identity:1 | identity:2 add conv_1x1:0 ; concat 3,2")
    assert to_blocks(cell) == blocks
    assert to_nodes(blocks) == cell


def test_the_darts_port_of_nasnet_a_is_nasnet_a_but_for_what_is_concatenated() -> None:
    port = Genotype.from_architecture(published.load("nasnet_a_darts"))
    for kind, cell in cells_of(published.load("nasnet_a")).items():
        assert to_blocks(port.by_type()[kind]) == BlockCell(cell.blocks)


@pytest.mark.parametrize("name", ["darts_v1", "darts_v2", "nasnet_a_darts", "amoebanet_a"])
def test_a_published_cell_runs_in_nasnets_skeleton(name: str) -> None:
    adopted = NASNET.adopt(published.load(name))
    assert adopted.space == "nasnet"
    network = NASNET.build(adopted, (1, 8, 8), 10, channels=2)
    assert cast(torch.Tensor, network(torch.randn(2, 1, 8, 8))).shape == (2, 10)
    assert DARTS.adopt(adopted) == published.load(name)


def test_what_nasnet_has_not_is_refused() -> None:
    with pytest.raises(InputError, match="operation dil_conv_5x5: NASNet's networks have no such operation"):
        NASNET.adopt(published.load("pdarts"))


def test_a_searched_cell_in_the_network_of_darts() -> None:
    text = "sep_conv_3x3:0 add identity:1 | identity:2 add max_pool_3x3:0"
    adopted = DARTS.adopt(Architecture("nasnet", (text, text)))
    assert adopted.space == "darts"
    cost = count(lambda: DARTS.build(adopted, (3, 32, 32), 10, channels=4, cells=3), (3, 32, 32))
    assert cost.params > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("identity:0 concat identity:1", "no blocks that concatenate"),
        ("identity:0 add identity:1 ; concat 1,2", "whose output holds an input"),
        ("max_pool_7x7:0 add identity:1", "max_pool_7x7: DARTS's networks have no such operation"),
    ],
)
def test_what_darts_cannot_say_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DARTS.adopt(Architecture("nasnet", (text, text)))


def test_nodes_without_two_inputs_are_no_blocks() -> None:
    with pytest.raises(InputError, match="node 2 of a cell has 1 inputs, a block two"):
        to_blocks(Cell.parse("skip_connect:0 ; concat 2"))


@pytest.mark.parametrize("space", [NASNET, DARTS])
def test_an_architecture_of_something_else_is_refused_as_before(space: NasNetSpace | DartsSpace) -> None:
    with pytest.raises(InputError, match=f"is of space nasbench201, not of {space.name}: set space="):
        space.adopt(Architecture("nasbench201", ("none",) * 6))
