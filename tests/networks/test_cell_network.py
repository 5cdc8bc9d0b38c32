"""The derived network: layout, auxiliary head, drop-path places, gradients (systems sheet, sections 1.2, 8 and 9)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_cli import published
from nas_cli.errors import InputError
from nas_cli.networks.cell_network import CellNetwork, NetworkCell
from nas_cli.networks.drop_path import DropPath, set_drop_path
from nas_cli.networks.genotype import Cell, Genotype, reductions
from nas_cli.networks.operations import FactorizedReduce
from nas_cli.networks.stems import ImageNetStem
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


@pytest.mark.parametrize(("name", "head"), [("darts_v2", 476_426), ("nasnet_a_darts", 457_994), ("pnasnet5", 494_858)])
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


def imagenet(side: int = 224, channels: int = 4, cells: int = 3, auxiliary_norm: bool = False) -> CellNetwork:
    with seeded(0):
        size = (3, side, side), 10, channels, cells
        return CellNetwork(genotype("darts_v2"), *size, auxiliary=True, stem="imagenet", auxiliary_norm=auxiliary_norm)


def test_maps_and_channels_of_the_imagenet_network() -> None:
    """Sheet, section 1.2: cell inputs at 56 and 28, reductions to 14 and 7, the head on 7x7 behind cell 9."""
    with torch.device("meta"):
        built = imagenet(channels=48, cells=14)
        cells = [cell for cell in built.cells if isinstance(cell, NetworkCell)]
        sides: list[tuple[int, int, int]] = []
        for cell in cells:
            cell.register_forward_hook(
                lambda module, args, output: sides.append((args[0].shape[-1], args[1].shape[-1], output.shape[-1]))
            )
        logits, auxiliary = built(torch.empty(2, 3, 224, 224), auxiliary=True)
    upper = [(56, 28, 28), *[(28, 28, 28)] * 3, (28, 28, 14), (28, 14, 14), *[(14, 14, 14)] * 3]
    assert sides == [*upper, (14, 14, 7), (14, 7, 7), *[(7, 7, 7)] * 3]
    widths = [(*map(inputs_of, cell.preprocess), cell.channels) for cell in cells]
    assert widths[:3] == [(48, 48, 48), (48, 192, 48), (192, 192, 48)]
    reduced = [index for index, cell in enumerate(cells) if isinstance(cell.preprocess[0], FactorizedReduce)]
    assert reduced == [0, 5, 10]
    assert auxiliary is not None
    assert logits.shape == auxiliary.shape == (2, 10)


def test_the_imagenet_network_trains_and_its_head_normalises_once_or_twice() -> None:
    for twice in (False, True):
        built = imagenet(auxiliary_norm=twice)
        logits, auxiliary = built(torch.randn(2, 3, 224, 224), auxiliary=True)
        assert auxiliary is not None
        (logits.sum() + auxiliary.sum()).backward()
        assert all(p.grad is not None for p in built.stem.parameters())
        head = built.auxiliary_head
        assert head is not None
        assert sum(isinstance(layer, nn.BatchNorm2d) for layer in head) == 1 + twice


def test_the_second_output_of_the_imagenet_stem_follows_the_first() -> None:
    with seeded(0):
        stem = ImageNetStem(3, 8).eval()
    first, second = stem(torch.randn(1, 3, 32, 32))
    assert (first.shape, second.shape) == ((1, 8, 8, 8), (1, 8, 4, 4))
    assert (first < 0).any()  # the first has no ReLU behind it
    assert torch.equal(second, stem.eighth(first))


def test_sides_and_widths_that_the_imagenet_stem_cannot_halve_are_refused() -> None:
    with pytest.raises(InputError, match="112x112 cannot be halved 5x: sides must be multiples of 32"):
        imagenet(side=112)
    with pytest.raises(InputError, match="a stem for ImageNet makes an even number of channels, not 5"):
        imagenet(channels=5)


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


@pytest.mark.parametrize("name", [name for name in published.names() if published.record(name)["space"] == "darts"])
def test_forward_and_backward_of_every_published_cell(name: str) -> None:
    built = network(name, cells=4)
    with seeded(1):
        set_drop_path(built, 0.2)
        logits, auxiliary = built(torch.randn(4, 3, 32, 32), auxiliary=True)
        assert auxiliary is not None
        (logits.sum() + 0.4 * auxiliary.sum()).backward()
    assert logits.isfinite().all()
    first = next(built.stem.parameters()).grad
    assert first is not None
    assert first.abs().sum() > 0


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
