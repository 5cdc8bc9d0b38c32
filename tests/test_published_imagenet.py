"""Published cells in the network for ImageNet: counts of the sheets (sections 9 and 1.6), as the recipes build it."""

from __future__ import annotations

import pytest
import torch
import yaml

from nas_cli import published
from nas_cli.config import configs_folder
from nas_cli.cost import Cost, count
from nas_cli.data.imagenet import ImageNet
from nas_cli.networks.genotype import Genotype
from nas_cli.spaces.darts import DartsSpace
from nas_cli.training import Recipe

SPACE, DATASET = DartsSpace("darts", ["skip_connect"]), ImageNet("imagenet")

# parameters, with auxiliary head, multiply-adds: C = 48, 14 cells, 224x224, 1,000 classes.
SHEET = {
    "nasnet_a_darts": (5_564_320, 6_800_520, 604_031_616),
    "amoebanet_a": (4_627_360, 5_863_560, 526_746_624),
    "darts_v1": (4_510_432, 5_771_208, 505_864_704),
    "darts_v2": (4_718_752, 5_979_528, 529_911_552),
    "pc_darts_cifar": (5_270_560, 6_531_336, 571_137_408),
    "pc_darts_image": (5_342_464, 6_603_240, 581_627_328),
    "pdarts": (4_944_352, 6_205_128, 542_819_328),
    "snas_mild": (3_939_328, 5_200_104, 438_042_432),
    "gdas_v1": (4_969_216, 6_229_992, 537_597_888),
    "pnasnet5": (6_394_912, 7_680_264, 696_738_048),
    "darts_plus": (5_059_744, 6_320_520, 574_430_208),
}
# SNAS, whose code puts an affine normalisation behind every pool: channels, parameters, millions of multiply-adds.
SNAS = [
    ("snas_mild", 48, 3_942_208, 438.0),
    ("snas_mild", 50, 4_238_875, 474.2),
    ("snas_moderate", 48, 4_313_728, 465.6),
    ("snas_moderate", 50, 4_637_475, 503.5),
]


def recipe(channels: int = 48, auxiliary_norm: bool = False) -> Recipe:
    return Recipe(channels=channels, cells=14, stem="imagenet", auxiliary_weight=0.4, auxiliary_norm=auxiliary_norm)


def measured(name: str, channels: int = 48) -> Cost:
    return count(lambda: recipe(channels).build(published.load(name), SPACE, DATASET), DATASET.input_shape)


@pytest.mark.parametrize("name", SHEET)
def test_counts_are_those_of_the_sheet(name: str) -> None:
    assert measured(name) == Cost(*SHEET[name])


def test_the_second_normalisation_of_the_head() -> None:
    sizes = []
    for twice in (False, True):
        with torch.device("meta"):
            network = recipe(auxiliary_norm=twice).build(published.load("pdarts"), SPACE, DATASET)
        sizes.append(sum(parameter.numel() for parameter in network.parameters()))
    assert sizes == [SHEET["pdarts"][1], SHEET["pdarts"][1] + 1_536]


def test_gdas_at_its_papers_width() -> None:
    found = measured("gdas_v1", channels=50)
    assert (found.params, found.macs) == (5_345_075, 581_009_000)


@pytest.mark.parametrize(("name", "channels", "params", "millions"), SNAS)
def test_snas(name: str, channels: int, params: int, millions: float) -> None:
    # Every pool is in one of the two reduction cells, which have 2 C and 4 C channels; the normalisation behind it
    # would learn two numbers per channel.
    genotype = Genotype.from_architecture(published.load(name))
    assert not any(genotype.normal.count(pool) for pool in ("max_pool_3x3", "avg_pool_3x3"))
    pools = genotype.reduce.count("max_pool_3x3")
    found = measured(name, channels)
    assert found.params + pools * 2 * (2 + 4) * channels == params
    assert round(found.macs / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("name", "norm"), [("imagenet_darts", False), ("imagenet_pc_darts", False), ("imagenet_pdarts", True)]
)
def test_recipes_ask_for_this_network(name: str, norm: bool) -> None:
    options = yaml.safe_load((configs_folder() / "evaluation" / f"{name}.yaml").read_text())["evaluation"]
    names = ("channels", "cells", "stem", "auxiliary_weight", "auxiliary_norm")
    assert [options[option] for option in names] == [48, 14, "imagenet", 0.4, norm]
