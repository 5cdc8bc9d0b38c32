"""Feature maps of the networks of all spaces."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from nas_cli import config as configuration
from nas_cli import load_architecture
from nas_cli.build import build
from nas_cli.errors import InputError
from nas_cli.networks.features import FeatureMaps, Pyramid
from nas_cli.networks.fractal import FractalNetwork
from nas_cli.networks.nasbench201 import NasBench201Network
from nas_cli.seeding import seeded
from nas_cli.spaces.base import NetworkSpace, Space

IMAGE = (3, 32, 32)
NAMES = configuration.choices()["space"]


def images(side: int = 32) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def space_of(name: str) -> Space:
    section = configuration.compose("search", [f"space={name}"])["space"]
    small = {option: value for option, value in {"channels": 4, "cells": 3}.items() if option in section}
    return build({**section, **small}, "space", Space, name=name)


@pytest.mark.parametrize("name", NAMES)
def test_any_network_gives_maps_of_the_sides_and_widths_that_it_says(name: str) -> None:
    space = space_of(name)
    if not isinstance(space, NetworkSpace):
        pytest.skip("makes no networks")
    with seeded(0, "network"):
        network = space.build(space.sample(np.random.default_rng(0)), IMAGE, 5)
    maps = FeatureMaps(network, IMAGE)
    strides = [stage.stride for stage in maps.stages]
    assert strides == sorted(set(strides))
    for side in (32, 64):
        found = maps(images(side))
        assert list(found) == [str(number) for number in range(len(strides))]
        for made, stage in zip(found.values(), maps.stages, strict=True):
            assert made.shape[:2] == (2, stage.channels)
            if side == 32 or all(stride == int(stride) for stride in strides):
                assert made.shape[2] == made.shape[3] == side / stage.stride
    sum(made.square().mean() for made in found.values()).backward()  # type: ignore[union-attr]
    assert any(parameter.grad is not None for parameter in network.parameters())


def test_a_stage_of_cells_ends_with_its_last_cell() -> None:
    space = space_of("darts")
    assert isinstance(space, NetworkSpace)
    with seeded(0, "network"):
        network = space.build(load_architecture("darts_v2"), IMAGE, 5, channels=4, cells=6).eval()
    maps = FeatureMaps(network, IMAGE)
    # Reductions are cells 2 and 4 of 0 to 5, and the classifier's average is no stage.
    assert [(stage.layer, stage.channels, stage.stride) for stage in maps.stages] == [
        ("cells.1", 16, 1),
        ("cells.3", 32, 2),
        ("cells.5", 64, 4),
    ]
    last, _ = network.features(images())  # type: ignore[operator]
    assert torch.equal(maps(images())["2"], last)


def test_a_stage_of_nasbench201_ends_with_its_last_cell() -> None:
    network = NasBench201Network(("skip_connect",) * 6, IMAGE, 5, channels=4, cells=6)
    stages = FeatureMaps(network, IMAGE).stages
    assert [(stage.layer, stage.channels, stage.stride) for stage in stages] == [("2", 4, 1), ("5", 8, 2), ("8", 16, 4)]


def test_the_first_output_of_a_stem_is_a_stage() -> None:
    space = space_of("darts")
    assert isinstance(space, NetworkSpace)
    network = space.build(load_architecture("darts_v2"), (3, 64, 64), 5, channels=4, cells=3, stem="imagenet")
    stages = FeatureMaps(network, (3, 64, 64)).stages
    assert [(stage.layer, stage.place, stage.stride) for stage in stages] == [
        ("stem", 0, 4),
        ("cells.0", 0, 8),
        ("cells.1", 0, 16),
        ("cells.2", 0, 32),
    ]


def test_fine_stages_can_be_left_out() -> None:
    network = FractalNetwork(2, IMAGE, 5, (4, 6, 8))
    assert [stage.stride for stage in FeatureMaps(network, IMAGE, first_stride=4).stages] == [4, 8]
    with pytest.raises(InputError, match="stride of 16 or more"):
        FeatureMaps(network, IMAGE, first_stride=16)


def test_finding_the_stages_changes_nothing() -> None:
    network = FractalNetwork(2, IMAGE, 5, (4, 6), dropout=0.3).train()
    network.blocks[0].eval()
    before, modes = copy.deepcopy(network.state_dict()), [module.training for module in network.modules()]
    torch.manual_seed(3)
    generator = torch.get_rng_state()
    FeatureMaps(network, IMAGE)
    assert torch.equal(torch.get_rng_state(), generator)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_the_last_layer_of_a_side_is_the_one_and_an_average_is_none() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late = nn.Conv2d(4, 5, 3, padding=1)  # used after what stands below it
            self.early = nn.Conv2d(3, 4, 3, padding=1)
            self.down = nn.Conv2d(5, 6, 3, stride=2, padding=1)
            self.average = nn.AdaptiveAvgPool2d(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.average(self.down(self.late(self.early(x)))).flatten(1)  # type: ignore[no-any-return]

    assert [stage.layer for stage in FeatureMaps(Own(), IMAGE).stages] == ["late", "down"]


def test_a_pyramid_has_one_width() -> None:
    pyramid = Pyramid(FeatureMaps(FractalNetwork(2, IMAGE, 5, (4, 6, 8)), IMAGE), out_channels=7)
    assert pyramid.out_channels == 7
    assert [tuple(made.shape) for made in pyramid(images()).values()] == [(2, 7, 16, 16), (2, 7, 8, 8), (2, 7, 4, 4)]
