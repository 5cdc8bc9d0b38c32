"""NASNet's networks: counts, layout, drop-path (systems sheet, section 2)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nas_cli import published
from nas_cli.cost import Cost, count
from nas_cli.errors import InputError
from nas_cli.networks.blocks import Block, BlockCell, cells_of
from nas_cli.networks.drop_path import DropPath, set_drop_path
from nas_cli.networks.nasnet import NasNetCell, NasNetNetwork, Skeleton, State
from nas_cli.networks.nasnet_operations import OPERATIONS, make_operation
from nas_cli.seeding import seeded
from nas_cli.spaces.nasnet import NasNetSpace

CELLS = cells_of(published.load("nasnet_a"))
SMALL, MOBILE, LARGE = (3, 32, 32), (3, 224, 224), (3, 331, 331)


def cifar(channels: int, cells: int) -> Skeleton:
    return Skeleton("cifar", channels, cells)


def mobile(channels: int, cells: int) -> Skeleton:
    return Skeleton("imagenet", channels, cells, stem_filters=32)


def large(channels: int, cells: int) -> Skeleton:
    return Skeleton("imagenet", channels, cells, stem_filters=96, skip_reduction_input=True)


# skeleton, image, classes, parameters, running statistics, multiply-adds, parameters of the head
SHEET = {
    "6 @ 768": (cifar(32, 6), SMALL, 10, 3_346_538, 3_383_786, 544.33, 1_631_498),
    "4 @ 1056": (mobile(44, 4), MOBILE, 1000, 5_289_978, 5_326_716, 563.64, 2_411_240),
    "6 @ 4032": (large(168, 6), LARGE, 1000, 88_753_150, 88_949_818, 23_783.4, 4_567_784),
    "7 @ 2304": (cifar(96, 7), SMALL, 10, 32_590_954, 32_718_826, 5_151.3, None),
    "6 @ 2304": (cifar(96, 6), SMALL, 10, 28_213_546, None, None, None),
    "5 @ 1536": (large(64, 5), (3, 299, 299), 1000, 12_263_416, None, 2_686.4, None),
    "4 @ 1536": (large(64, 4), (3, 299, 299), 1000, 10_291_320, None, 2_256.7, None),
    "7 @ 1920": (large(80, 7), (3, 299, 299), 1000, 24_613_292, None, 5_373.7, None),
    "6 @ 1920": (large(80, 6), (3, 299, 299), 1000, 21_556_812, None, 4_710.2, None),
    "1 @ 96": (cifar(4, 1), SMALL, 10, 25_486, 26_782, 4.768704, None),
    "1 @ 192": (cifar(8, 1), SMALL, 10, 72_370, None, 13.567872, None),
}
QUICK = {"6 @ 768", "4 @ 1056", "6 @ 4032", "1 @ 96", "1 @ 192"}


def running(module: nn.Module) -> int:
    return sum(value.numel() for name, value in module.named_buffers() if "running" in name)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SHEET]
)
def test_counts_are_those_of_the_sheet(name: str) -> None:
    skeleton, image, classes, params, with_running, millions, head = SHEET[name]
    built: list[NasNetNetwork] = []

    def build() -> NasNetNetwork:
        built.append(NasNetNetwork(CELLS, image, classes, skeleton, auxiliary=True))
        return built[0]

    found = count(build, image)
    assert found.params == params
    if millions is not None:
        assert round(found.macs / 1e6, len(str(millions).partition(".")[2])) == millions
    if head is not None:
        assert found.params_with_auxiliary - params == head
    if with_running is not None:
        built[0].auxiliary_head = None
        assert params + running(built[0]) == with_running


def cell(channels: int, newest: State, before: State, reduce: bool) -> NasNetCell:
    with seeded(0):
        return NasNetCell(CELLS["reduce" if reduce else "normal"], newest, before, channels, reduce)


@pytest.mark.parametrize(
    ("channels", "sides", "reduce", "params", "macs", "output"),
    [
        (8, (8, 8), False, 2_832, 168_960, (48, 8)),
        (16, (8, 8), True, 9_504, 219_648, (64, 4)),
        (16, (4, 8), False, 7_200, 109_056, (96, 4)),
    ],
)
def test_counts_of_single_cells(
    channels: int, sides: tuple[int, int], reduce: bool, params: int, macs: int, output: tuple[int, int]
) -> None:
    width = 64 if sides[0] == 4 else 48

    class Alone(nn.Module):
        """A cell on inputs of its own."""

        def __init__(self) -> None:
            super().__init__()
            self.cell = cell(channels, State(width, int(sides[0] == 4)), State(48, 0), reduce)

        def forward(self, image: Tensor) -> Tensor:
            newest, before = (torch.zeros(1, w, side, side) for w, side in zip((width, 48), sides, strict=True))
            result: Tensor = self.cell(newest, before)
            assert result.shape[1:] == (output[0], output[1], output[1])
            return result

    assert count(Alone, (1, 1, 1)) == Cost(params, params, macs)


def sides_of(network: NasNetNetwork, image: Tensor) -> list[tuple[int, int, int]]:
    seen: list[tuple[int, int, int]] = []
    for one in network.cells:
        one.register_forward_hook(
            lambda module, args, output: seen.append((args[0].shape[-1], args[1].shape[-1], output.shape[-1]))
        )
    network(image)
    return seen


@pytest.mark.parametrize(("side", "chain"), [(224, (111, 56, 28, 14, 7)), (331, (165, 83, 42, 21, 11))])
def test_sides_of_the_imagenet_networks(side: int, chain: tuple[int, ...]) -> None:
    """The stem has no padding, and every reduction rounds up."""
    a, b, c, d, e = chain
    with torch.device("meta"):
        seen = sides_of(NasNetNetwork(CELLS, (3, side, side), 10, mobile(4, 2)), torch.empty(2, 3, side, side))
    first = [(a, a, b), (b, a, c)]
    second = [(c, b, c), (c, c, c), (c, c, d), (d, c, d), (d, d, d), (d, d, e), (e, d, e), (e, e, e)]
    assert seen == first + second


def test_where_cells_find_their_inputs() -> None:
    plain, skipping = Skeleton(cells=2), Skeleton(cells=2, skip_reduction_input=True)
    assert plain.reduces == (False, False, True, False, False, True, False, False)
    assert [plain.inputs(k) for k in range(5)] == [(0, None), (1, 0), (2, 1), (3, 2), (4, 3)]
    assert [skipping.inputs(k) for k in range(5)] == [(0, None), (1, 0), (2, 1), (3, 1), (4, 3)]
    # The cell after ImageNet's stem cells is after none of the stack's reductions.
    assert Skeleton("imagenet", 4, 2, skip_reduction_input=True).inputs(2) == (2, 1)
    assert [Skeleton("imagenet", 8, 1).filters(k) for k in range(7)] == [2, 4, 8, 16, 16, 32, 32]
    assert [Skeleton("cifar", 8, 1).filters(k) for k in range(5)] == [8, 16, 16, 32, 32]
    assert plain.auxiliary_cell == 4
    assert Skeleton("imagenet", 4, 2).auxiliary_cell == 6


def test_the_first_cell_reads_the_stem_as_it_is() -> None:
    """State 1 keeps the stem's 3 F channels; where it is concatenated, a 1x1 convolution without ReLU makes them F."""
    first, second = NasNetNetwork(CELLS, SMALL, 10, cifar(4, 2)).cells[:2]
    assert isinstance(first, NasNetCell)
    assert isinstance(second, NasNetCell)
    assert isinstance(first.before, nn.Identity)
    assert [type(layer) for layer in first.outputs[0]] == [nn.Conv2d, nn.BatchNorm2d]  # type: ignore[arg-type]
    assert first.outputs[0][0].in_channels == 12  # type: ignore[index]
    assert [type(layer) for layer in second.before] == [nn.ReLU, nn.Conv2d, nn.BatchNorm2d]  # type: ignore[arg-type]


@pytest.mark.parametrize("side", [4, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_makes_the_width_and_half_the_side_rounded_up(name: str, stride: int, side: int) -> None:
    half = -(-side // stride)
    for inputs, outputs in ((3, 5), (4, 4)):
        assert make_operation(name, inputs, outputs, stride)(torch.randn(2, inputs, side, side)).shape == (
            2,
            outputs,
            half,
            half,
        )


def test_what_operations_are_made_of() -> None:
    def kinds(name: str, inputs: int, stride: int) -> str:
        short = {nn.ReLU: "R", nn.Conv2d: "C", nn.BatchNorm2d: "B", nn.AvgPool2d: "P", nn.MaxPool2d: "P"}
        layers = make_operation(name, inputs, 4, stride).modules()
        return "".join(short.get(type(layer), "") for layer in layers)

    assert kinds("sep_conv_5x5", 4, 2) == "RCCBRCCB"  # twice; nothing between depthwise and pointwise
    assert kinds("conv_1x7_7x1", 4, 2) == "RCBRCB"
    assert kinds("dil_conv_3x3", 4, 1) == kinds("conv_3x3", 4, 1) == kinds("conv_1x1", 4, 2) == "RCB"
    assert (kinds("max_pool_5x5", 4, 2), kinds("max_pool_5x5", 2, 2)) == ("P", "PCB")
    assert (kinds("identity", 4, 1), kinds("identity", 2, 1), kinds("identity", 4, 2)) == ("", "RCB", "RCB")
    first, second = (
        layer
        for layer in make_operation("sep_conv_3x3", 2, 4, 2).modules()
        if isinstance(layer, nn.Conv2d) and layer.groups > 1
    )
    assert (first.stride, first.in_channels, second.stride, second.in_channels) == ((2, 2), 2, (1, 1), 4)


def test_an_average_does_not_count_the_padding() -> None:
    ones = torch.ones(1, 2, 5, 5)
    assert torch.equal(make_operation("avg_pool_3x3", 2, 2, 1)(ones), ones)


def test_a_block_adds_or_concatenates() -> None:
    made = BlockCell((Block(("identity", 0), ("identity", 1)), Block(("identity", 1), ("identity", 0), "concat")))
    module = NasNetCell(made, State(2, 0), State(2, 0), 2, reduce=False)
    module.newest = nn.Identity()
    module.joins[1] = nn.Identity()
    a, b = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    assert torch.equal(module(a, b), torch.cat([a + b, b, a], dim=1))


def drops(module: nn.Module) -> list[DropPath]:
    return [layer for layer in module.modules() if isinstance(layer, DropPath)]


def test_paths_are_dropped_by_depth_and_identities_never() -> None:
    """keep(k, t) = 1 - min(1, t / T) (k + 1) / K (1 - keep_final); 20 cells, keep_final 0.6."""
    with torch.device("meta"):
        network = NasNetNetwork(CELLS, SMALL, 10, cifar(4, 6))
        flat = NasNetNetwork(CELLS, SMALL, 10, cifar(4, 6), drop_path_by_depth=False)
    assert len(network.cells) == 20
    keeps = {}
    for progress in (0.0, 0.5, 1.0):
        set_drop_path(network, (1 - 0.6) * progress)
        keeps[progress] = [{1 - drop.probability for drop in drops(one)} for one in network.cells]
    assert keeps[0.0] == [{1.0}] * 20
    assert all(len(cell) == 1 for progress in keeps.values() for cell in progress)
    found = [keeps[progress][k].pop() for progress, k in ((0.5, 9), (1.0, 19), (0.5, 0))]
    assert found == pytest.approx([0.9, 0.6, 0.99])
    set_drop_path(flat, 0.4)
    assert {drop.probability for drop in drops(flat)} == {0.4}
    # Ten operations, two identities in the normal cell and one in the reduction cell; an identity that has to change
    # the width (the first cell) is one too.
    assert [len(drops(one)) for one in network.cells[:8]] == [8] * 6 + [9, 8]


def test_the_two_cells_of_the_imagenet_stem_are_the_first_in_the_depth() -> None:
    """4 @ 1056: 3 * 4 + 2 cells and the stem's two, so that cell k of 16 drops with (k + 1) / 16; keep_final 0.6."""
    with torch.device("meta"):
        network = NasNetNetwork(CELLS, (3, 64, 64), 10, Skeleton("imagenet", 44, 4))
    set_drop_path(network, 0.4)
    found = [{drop.probability for drop in drops(one)} for one in network.cells]
    assert [cell.pop() for cell in found] == pytest.approx([0.4 * (k + 1) / 16 for k in range(16)])
    assert not any(found)  # all paths of a cell alike


def test_drop_path_leaves_evaluation_and_keep_1_alone_and_has_the_mean_of_its_input() -> None:
    with seeded(0):
        network = NasNetNetwork(CELLS, (1, 8, 8), 10, cifar(2, 1))
        images = torch.randn(4, 1, 8, 8)
    plain = network.eval()(images)
    set_drop_path(network, 0.4)
    assert torch.equal(network(images), plain)
    set_drop_path(network, 0.0)
    with seeded(1):
        first = network.train()(images)
        state = torch.get_rng_state()
    with seeded(1):
        assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn
    set_drop_path(network, 0.4)
    with seeded(1):
        assert not torch.equal(network(images), first)
    drop = DropPath(share=0.5)
    set_drop_path(drop, 0.6)
    with seeded(2):
        dropped = drop(torch.ones(40_000, 1))
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert abs(dropped.mean().item() - 1) < 0.0164  # five standard errors


def test_the_auxiliary_head_stands_before_the_second_reduction() -> None:
    with seeded(0):
        network = NasNetNetwork(CELLS, (1, 16, 20), 7, cifar(2, 1), auxiliary=True)
    logits, auxiliary = network(torch.randn(2, 1, 16, 20), auxiliary=True)
    assert auxiliary is not None
    assert logits.shape == auxiliary.shape == (2, 7)
    (logits.sum() + auxiliary.sum()).backward()
    assert all(p.grad is not None for p in network.auxiliary_head.parameters())  # type: ignore[union-attr]
    small = NasNetNetwork(CELLS, (1, 8, 8), 7, cifar(2, 1), auxiliary=True)
    assert small(torch.randn(2, 1, 8, 8), auxiliary=True)[1] is None


def test_dropout_and_normalisation_are_options() -> None:
    network = NasNetNetwork(CELLS, SMALL, 10, cifar(2, 1), dropout=0.5, norm_momentum=0.01, norm_epsilon=1e-3)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.5]
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.01, 1e-3)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Skeleton(channels=3), "channels=3: .* with stem=cifar they must be a multiple of 2"),
        (lambda: Skeleton("imagenet", 6), "must be a multiple of 4"),
        (lambda: Skeleton(cells=0), "cells must be at least 1"),
        (lambda: NasNetNetwork(CELLS, (3, 2, 9), 10, Skeleton("imagenet")), "2x9 are too small for stem=imagenet"),
        (lambda: NasNetNetwork(CELLS, SMALL, 0, Skeleton()), "classes of at least 1"),
        (lambda: NasNetNetwork(CELLS, SMALL, 2, Skeleton(), dropout=1.0), r"dropout must be in \[0, 1\)"),
        (lambda: make_operation("sep_conv_3", 2, 2, 1), r"did you mean sep_conv_3x3\?"),
    ],
)
def test_what_makes_no_network_is_refused(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]


SPACE = NasNetSpace("nasnet", list(OPERATIONS), channels=2)


def runs(seed: int, side: int, stem: str) -> None:
    """A random network runs forward and backward."""
    architecture = SPACE.sample(np.random.default_rng(seed))
    options = {"channels": 4, "stem_filters": 4} if stem == "imagenet" else {"channels": 2}
    with seeded(seed):
        network = SPACE.build(architecture, (1, side, side), 3, stem=stem, auxiliary=side >= 9, **options)  # type: ignore[arg-type]
        images = torch.randn(2, 1, side, side)
    logits, auxiliary = network(images, auxiliary=True)
    assert logits.shape == (2, 3)
    total = logits.sum() + (0 if auxiliary is None else auxiliary.sum())
    total.backward()
    assert torch.isfinite(logits).all()
    for made, kind in zip(network.cells, network.skeleton.reduces, strict=True):
        outputs = cells_of(architecture)["reduce" if kind else "normal"].outputs
        assert isinstance(made, NasNetCell)
        assert len(made.outputs) == len(outputs)
    last = network.classifier[-1]
    assert last.in_features == 4 * options["channels"] * len(cells_of(architecture)["normal"].outputs)
    assert all(p.grad is not None for p in network.classifier.parameters())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([7, 9, 5, 1]))
def test_every_random_cell_runs_at_odd_sizes(seed: int, side: int) -> None:
    runs(seed, side, "cifar")


@pytest.mark.parametrize("seed", range(3))
def test_random_cells_run_on_the_other_skeleton(seed: int) -> None:
    runs(seed, 35, "imagenet")


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([7, 9, 11]), st.sampled_from(["cifar", "imagenet"]))
def test_thousands_of_random_cells_run_at_odd_sizes(seed: int, side: int, stem: str) -> None:
    runs(seed, side, stem)
