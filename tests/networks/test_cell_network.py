"""The derived network: layout, auxiliary head, drop-path places, gradients (systems sheet, sections 1.2, 8 and 9)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_cli import published
from nas_cli.errors import InputError
from nas_cli.networks.cell_network import CellNetwork, NetworkCell, reductions
from nas_cli.networks.drop_path import DropPath, set_drop_path
from nas_cli.networks.genotype import Cell, Genotype
from nas_cli.networks.operations import FactorizedReduce
from nas_cli.seeding import seeded


def genotype(name: str) -> Genotype:
    return Genotype.from_architecture(published.load(name))


def network(name: str, side: int = 32, channels: int = 4, cells: int = 3, auxiliary: bool = True) -> CellNetwork:
    with seeded(0):
        return CellNetwork(genotype(name), (3, side, side), 10, channels, cells, auxiliary)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def inputs_of(module: nn.Module) -> int:
    return next(layer.in_channels for layer in module.modules() if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize(
    ("cells", "expected"), [(1, {0}), (2, {0, 1}), (3, {1, 2}), (8, {2, 5}), (14, {4, 9}), (20, {6, 13})]
)
def test_reductions_stand_at_thirds(cells: int, expected: set[int]) -> None:
    assert reductions(cells) == expected


def test_channels_of_every_cell_in_the_paper_network() -> None:
    with torch.device("meta"):
        built = CellNetwork(genotype("darts_v2"), (3, 32, 32), 10, 36, 20, auxiliary=True)
    expected = [(108, 108, 36), (108, 144, 36), *[(144, 144, 36)] * 4, (144, 144, 72), (144, 288, 72)]
    expected += [*[(288, 288, 72)] * 5, (288, 288, 144), (288, 576, 144), *[(576, 576, 144)] * 5]
    cells = [cell for cell in built.cells if isinstance(cell, NetworkCell)]
    assert [(*map(inputs_of, cell.preprocess), cell.channels) for cell in cells] == expected
    reduced = [index for index, cell in enumerate(cells) if isinstance(cell.preprocess[0], FactorizedReduce)]
    assert reduced == [7, 14]


@pytest.mark.parametrize(("name", "head"), [("darts_v2", 476_426), ("nasnet_a", 457_994), ("pnasnet5", 494_858)])
def test_parameters_of_the_auxiliary_head_follow_the_concatenation(name: str, head: int) -> None:
    with torch.device("meta"):
        built = CellNetwork(genotype(name), (3, 32, 32), 10, 36, 20, auxiliary=True)
    assert built.auxiliary_head is not None
    assert parameters(built.auxiliary_head) == head


@pytest.mark.parametrize(("side", "stride"), [(28, 2), (32, 3), (64, 3)])
def test_auxiliary_head_strides_by_the_side_it_finds(side: int, stride: int) -> None:
    built = network("darts_v2", side)
    assert built.auxiliary_head is not None
    assert [layer.stride for layer in built.auxiliary_head if isinstance(layer, nn.AvgPool2d)] == [stride]
    logits, auxiliary = built(torch.randn(2, 3, side, side), auxiliary=True)
    assert auxiliary is not None
    assert logits.shape == auxiliary.shape == (2, 10)


def test_no_auxiliary_head_on_small_maps_or_unasked() -> None:
    for built in (network("darts_v2", side=8), network("darts_v2", auxiliary=False)):
        assert built.auxiliary_head is None
        assert built(torch.randn(2, 3, 8, 8), auxiliary=True)[1] is None


def test_auxiliary_head_sees_the_cell_at_two_thirds() -> None:
    built = network("darts_v2", cells=5).eval()
    seen: list[torch.Tensor] = []
    built.cells[3].register_forward_hook(lambda module, args, output: seen.append(output))
    logits, auxiliary = built(torch.randn(2, 3, 32, 32), auxiliary=True)
    assert built.auxiliary_head is not None
    assert auxiliary is not None
    assert torch.equal(auxiliary, built.auxiliary_head(seen[0]))
    assert not torch.equal(auxiliary, logits)


@pytest.mark.parametrize("training", [True, False])
def test_forward_gives_the_plain_logits_and_leaves_the_head_alone(training: bool) -> None:
    built = network("darts_v2").train(training)
    assert built.auxiliary_head is not None
    calls: list[int] = []
    built.auxiliary_head.register_forward_hook(lambda module, args, output: calls.append(1))
    x = torch.randn(2, 3, 32, 32)
    logits = built(x)
    assert isinstance(logits, torch.Tensor)
    assert not calls
    assert torch.equal(logits, built(x, auxiliary=True)[0])
    assert calls == [1]


@pytest.mark.parametrize("name", published.names())
def test_forward_and_backward_of_every_published_cell(name: str) -> None:
    built = network(name, cells=4)
    with seeded(1):
        set_drop_path(built, 0.2)
        logits, auxiliary = built(torch.randn(4, 3, 32, 32), auxiliary=True)
        assert auxiliary is not None
        (logits.sum() + 0.4 * auxiliary.sum()).backward()
    assert logits.isfinite().all()
    assert built.stem[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("side", "cells"), [(30, 3), (7, 3), (5, 1), (2, 2)])
def test_sides_that_the_reductions_cannot_halve_are_refused(side: int, cells: int) -> None:
    with pytest.raises(InputError, match=f"{side}x{side}"):
        network("darts_v2", side, cells=cells)


@pytest.mark.parametrize(("cells", "side"), [(1, 2), (2, 4), (3, 12), (4, 8)])
def test_short_stacks_run_on_small_images(cells: int, side: int) -> None:
    # Factorized reductions in it: source 0 of a reduction cell, and the cell after one.
    built = network("gdas_v1", side, cells=cells).eval()
    assert built(torch.randn(2, 3, side, side)).shape == (2, 10)


def test_images_need_not_be_square() -> None:
    with seeded(0):
        built = CellNetwork(genotype("darts_v2"), (1, 32, 28), 5, 4, 3, auxiliary=True)
    logits, auxiliary = built(torch.randn(2, 1, 32, 28), auxiliary=True)
    assert auxiliary is not None
    assert logits.shape == auxiliary.shape == (2, 5)


@pytest.mark.parametrize("wrong", ["classes", "channels", "cells"])
def test_sizes_below_one_are_refused(wrong: str) -> None:
    sizes = {"classes": 10, "channels": 4, "cells": 3, wrong: 0}
    with pytest.raises(InputError, match=f"{wrong} of at least 1"):
        CellNetwork(genotype("darts_v2"), (3, 32, 32), **sizes, auxiliary=False)


def test_drop_path_follows_all_but_identity_skips() -> None:
    cell = Cell.parse("skip_connect:0 + skip_connect:1 | skip_connect:2 + avg_pool_3x3:0 ; concat 2,3")
    for reduce, expected in ((False, 1), (True, 3)):
        module = NetworkCell(cell, (4, 4), 4, reduce, reduce_first=False)
        assert sum(isinstance(layer, DropPath) for layer in module.modules()) == expected


def test_node_is_the_sum_of_its_inputs_and_output_their_concatenation() -> None:
    cell = Cell.parse("skip_connect:0 + skip_connect:1 | skip_connect:2 + max_pool_3x3:0 | - ; concat 4,3,2")
    module = NetworkCell(cell, (2, 2), 2, reduce=False, reduce_first=False)
    module.preprocess = nn.ModuleList([nn.Identity(), nn.Identity()])
    a, b = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    second, third = a + b, a + b + nn.functional.max_pool2d(a, 3, 1, 1)
    assert torch.equal(module(a, b), torch.cat([torch.zeros_like(a), third, second], dim=1))


def test_reduction_cell_strides_only_from_its_inputs() -> None:
    cell = Cell.parse("max_pool_3x3:0 | max_pool_3x3:2 ; concat 2,3")
    module = NetworkCell(cell, (3, 3), 4, reduce=True, reduce_first=False)
    assert module(torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)).shape == (2, 8, 4, 4)


def test_cell_that_outputs_only_an_empty_node_has_the_strided_shape() -> None:
    for reduce, side in ((False, 8), (True, 4)):
        module = NetworkCell(Cell.parse("- ; concat 2"), (3, 3), 4, reduce, reduce_first=False)
        output = module(torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8))
        assert output.shape == (2, 4, side, side)
        assert not output.any()
