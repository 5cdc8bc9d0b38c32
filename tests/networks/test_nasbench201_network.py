"""NAS-Bench-201's network: counts of the systems sheets, and what a cell computes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_cli.cost import count
from nas_cli.errors import InputError
from nas_cli.networks.nasbench201 import NasBench201Cell, NasBench201Network, ResidualBlock, skeleton
from nas_cli.networks.operations import make_operation
from nas_cli.seeding import seeded
from nas_cli.spaces.nasbench201 import OPERATIONS, NasBench201

SPACE = NasBench201("nasbench201", channels=16, cells=15)  # the paper's size


def uniform(operation: str) -> str:
    return SPACE.to_string(SPACE.decode([operation] * 6))


# canonical string, parameters, multiply-adds: 10 classes, 32x32 images, C = 16, 15 cells.
COUNTS = [
    (uniform("none"), 73_306, 7_783_040),
    (uniform("skip_connect"), 73_306, 7_783_040),
    (uniform("avg_pool_3x3"), 73_306, 7_783_040),
    (uniform("nor_conv_1x1"), 241_306, 31_376_000),
    (uniform("nor_conv_3x3"), 1_531_546, 220_119_680),
    ("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|", 559_386, 78_561_920),
    (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        1_288_506,
        184_730_240,
    ),
    (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
        802_426,
        113_951_360,
    ),
]


@pytest.mark.parametrize(("text", "params", "macs"), COUNTS)
def test_counts_of_the_table(text: str, params: int, macs: int) -> None:
    architecture = SPACE.from_string(text)
    cost = count(lambda: SPACE.build(architecture, (3, 32, 32), 10), (3, 32, 32))
    assert (cost.params, cost.params_with_auxiliary, cost.macs) == (params, params, macs)


def test_counts_with_more_classes_and_smaller_images() -> None:
    skip, conv = SPACE.decode(["skip_connect"] * 6), SPACE.decode(["nor_conv_3x3"] * 6)
    for classes, more in ((100, 5_850), (120, 7_150)):
        cost = count(lambda n=classes: SPACE.build(skip, (3, 32, 32), n), (3, 32, 32))  # type: ignore[misc]
        assert cost.params == 73_306 + more
    cost = count(lambda: SPACE.build(conv, (3, 16, 16), 120), (3, 16, 16))
    assert (cost.params, cost.macs) == (1_538_696, 55_037_440)


def test_counts_of_one_cell_per_stage() -> None:
    for operation, params in (("nor_conv_3x3", 364_954), ("skip_connect", 73_306)):
        architecture = SPACE.decode([operation] * 6)
        cost = count(lambda a=architecture: SPACE.build(a, (3, 32, 32), 10, cells=3), (3, 32, 32))  # type: ignore[misc]
        assert cost.params == params


def test_cell_sums_its_edges() -> None:
    x = torch.randn(2, 3, 4, 4)
    pooled = nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    # Node 1 = x, node 2 = pool(x) + x, node 3 = 0 + node 1 + node 2.
    cell = NasBench201Cell(["skip_connect", "avg_pool_3x3", "skip_connect", "none", "skip_connect", "skip_connect"], 3)
    assert torch.allclose(cell(x), 2 * x + pooled, atol=1e-6)
    assert torch.allclose(NasBench201Cell(["skip_connect"] * 6, 3)(x), 4 * x)


def test_real_network_has_affine_normalisation_and_no_bias_before_the_classifier() -> None:
    network = NasBench201Network(["nor_conv_3x3"] * 6, (3, 8, 8), 10, 4, 3)
    assert all(layer.affine for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    assert all(layer.bias is None for layer in network.modules() if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize(("classes", "params"), [(10, 1_692_826), (100, 1_698_676), (120, 1_699_976)])
def test_search_parameters_from_the_same_skeleton_and_operations(classes: int, params: int) -> None:
    def all_operations_on_all_edges(channels: int) -> nn.Module:
        return nn.ModuleList(make_operation(name, channels, 1, False) for name in OPERATIONS for _ in range(6))

    with torch.device("meta"):
        layers = skeleton(all_operations_on_all_edges, (3, 32, 32), classes, 16, 15)
    assert sum(parameter.numel() for layer in layers for parameter in layer.parameters()) == params
    # Stem, 15 cells and 2 residual blocks (the paper's 17), classifier.
    assert len(layers) == 19


def test_residual_block_halves_the_side() -> None:
    assert ResidualBlock(4, 8)(torch.randn(2, 4, 8, 8)).shape == (2, 8, 4, 4)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_forward_and_backward(operation: str) -> None:
    with seeded(0):
        network = NasBench201Network([operation] * 6, (1, 8, 8), 10, 4, 3)
        logits = network(torch.randn(4, 1, 8, 8))
        logits.sum().backward()
    assert logits.shape == (4, 10)
    assert logits.isfinite().all()


@pytest.mark.parametrize(("shape", "classes"), [((3, 6, 8), 10), ((3, 8, 9), 10), ((3, 8, 8), 0)])
def test_sizes_that_do_not_fit_are_refused(shape: tuple[int, int, int], classes: int) -> None:
    with pytest.raises(InputError):
        NasBench201Network(["none"] * 6, shape, classes, 4, 3)
