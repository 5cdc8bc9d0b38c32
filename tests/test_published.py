"""Published architectures: every record is rebuilt and its counts compared (systems sheets, sections 9 and 1.6)."""

from __future__ import annotations

import pytest
import torch

from nas_cli import config as configuration
from nas_cli import published
from nas_cli.build import build
from nas_cli.cost import Cost, count
from nas_cli.data.base import Dataset
from nas_cli.errors import InputError
from nas_cli.networks.cell_network import CellNetwork
from nas_cli.networks.few_shot import FewShotNetwork
from nas_cli.networks.genotype import Genotype
from nas_cli.spaces.nasnet import NasNetSpace
from nas_cli.training import Recipe

IMAGE = (3, 32, 32)

# parameters, with auxiliary head, multiply-adds, parameters for 100 classes: C = 36, 20 cells, CIFAR.
SHEET = {
    "nasnet_a_darts": (3_830_950, 4_288_944, 603_452_448, 3_895_840),
    "amoebanet_a": (3_145_078, 3_603_072, 488_931_552, 3_184_048),
    "darts_v1": (3_169_414, 3_645_840, 500_987_520, 3_221_344),
    "darts_v2": (3_349_342, 3_825_768, 528_359_040, 3_401_272),
    "pc_darts_cifar": (3_634_678, 4_111_104, 556_670_592, 3_686_608),
    "pc_darts_image": (3_721_510, 4_197_936, 570_466_944, 3_773_440),
    "pdarts": (3_433_798, 3_910_224, 532_174_464, 3_485_728),
    "snas_mild": (2_661_382, 3_137_808, 422_218_368, 2_713_312),
    "gdas_v1": (3_368_782, 3_845_208, 519_428_736, 3_420_712),
    "pnasnet5": (4_481_110, 4_975_968, 706_026_528, 4_546_000),
    "darts_plus": (3_652_390, 4_128_816, 583_157_376, 3_704_320),
}
# Others of which the sheets give parameters without the head, and the skips in the normal cell.
PARAMETERS = {
    "snas_moderate": 2_847_358,
    "snas_aggressive": 2_313_622,
    "darts_s1_wd3e-4_1": 1_550_062,
    "darts_s1_wd3e-4_2": 1_581_814,
    "darts_s1_wd3e-4_3": 1_550_062,
    "darts_s1_wd81e-4_1": 2_901_358,
    "darts_s1_wd81e-4_2": 2_537_398,
    "darts_s1_wd81e-4_3": 2_629_630,
    "darts_s1_dp0.2_1": 2_724_886,
    "darts_s1_dp0.2_2": 2_153_350,
    "darts_s1_dp0.2_3": 2_365_030,
}
SKIPS = {
    "darts_v1": 3,
    "darts_v2": 2,
    "pc_darts_cifar": 1,
    "pdarts": 2,
    "snas_mild": 4,
    "gdas_v1": 4,
    "darts_s1_wd3e-4_1": 7,
    "darts_s1_wd3e-4_2": 7,
    "darts_s1_wd3e-4_3": 7,
    "darts_s1_wd81e-4_1": 2,
    "darts_s1_wd81e-4_2": 2,
    "darts_s1_wd81e-4_3": 2,
    "darts_s1_dp0.2_1": 3,
    "darts_s1_dp0.2_2": 4,
    "darts_s1_dp0.2_3": 4,
}


#: T-NAS' networks of two cells: parameters and multiply-adds at 84x84 for five classes.
FEW_SHOT = {"auto_maml_1shot": (23_213, 25_958_512), "auto_maml_5shot": (26_061, 27_713_488)}
OF_DARTS = [name for name in published.names() if published.record(name)["space"] == "darts"]


def network(name: str, classes: int, channels: int, cells: int, auxiliary: bool) -> CellNetwork:
    genotype = Genotype.from_architecture(published.load(name))
    return CellNetwork(genotype, IMAGE, classes, channels, cells, auxiliary)


def test_nothing_of_the_sheets_is_missing() -> None:
    assert (SHEET.keys() | PARAMETERS.keys()) <= set(OF_DARTS)
    assert FEW_SHOT.keys() <= set(published.names())
    assert published.names() == sorted(published.names())


@pytest.mark.parametrize("name", published.names())
def test_record_is_complete(name: str) -> None:
    record = published.record(name)
    assert record["name"] == name
    assert record.keys() == {"name", "space", "decisions", "paper", "source", "reported", "counts"}
    assert record["paper"].keys() == {"authors", "title", "venue", "arxiv"}


@pytest.mark.parametrize("name", OF_DARTS)
def test_counts_are_those_of_the_network(name: str) -> None:
    record = published.record(name)
    counts = record["counts"]
    size = counts["classes"], counts["channels"], counts["cells"]
    measured = count(lambda: network(name, *size, auxiliary=True), IMAGE)
    assert measured == Cost(counts["params"], counts["params_with_auxiliary"], counts["macs"])


@pytest.mark.parametrize("name", SHEET)
def test_counts_are_those_of_the_sheet(name: str) -> None:
    counts = published.record(name)["counts"]
    assert (counts["channels"], counts["cells"], counts["classes"]) == (36, 20, 10)
    assert (counts["params"], counts["params_with_auxiliary"], counts["macs"]) == SHEET[name][:3]
    with torch.device("meta"):
        built = network(name, 100, 36, 20, auxiliary=False)
    assert sum(parameter.numel() for parameter in built.parameters()) == SHEET[name][3]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_those_of_the_sheet(name: str) -> None:
    assert published.record(name)["counts"]["params"] == PARAMETERS[name]


def test_multiply_adds_of_the_other_snas_cells() -> None:
    assert published.record("snas_moderate")["counts"]["macs"] == 440_687_232
    assert published.record("snas_aggressive")["counts"]["macs"] == 374_912_640


@pytest.mark.parametrize("name", SKIPS)
def test_skips_in_the_normal_cell(name: str) -> None:
    assert Genotype.from_architecture(published.load(name)).normal.count("skip_connect") == SKIPS[name]


@pytest.mark.parametrize("name", [*OF_DARTS, *FEW_SHOT])
def test_texts_are_canonical(name: str) -> None:
    architecture = published.load(name)
    assert architecture.space == ("few_shot_darts" if name in FEW_SHOT else "darts")
    assert Genotype.from_architecture(architecture).to_architecture(architecture.space) == architecture


@pytest.mark.parametrize("name", FEW_SHOT)
def test_counts_of_few_shot_networks(name: str) -> None:
    counts, genotype = published.record(name)["counts"], Genotype.from_architecture(published.load(name))
    measured = count(lambda: FewShotNetwork(genotype, (3, 84, 84), 5, counts["channels"]), (3, 84, 84))
    assert (counts["params"], counts["macs"]) == (measured.params, measured.macs) == FEW_SHOT[name]


@pytest.mark.parametrize("name", ["darts_v3", "DARTS_V2", "../published", ""])
def test_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(InputError) as error:
        published.load(name)
    assert "darts_v2" in str(error.value)
    assert "\n" not in str(error.value)


def test_misspelt_name_gets_a_hint() -> None:
    with pytest.raises(InputError, match=r"did you mean pc_darts_cifar\?"):
        published.record("pc_dart_cifar")


def test_nasnet_a_is_nasnets_own_network() -> None:
    """6 @ 768 (reinforcement-learning sheet, section 2)."""
    record, space = published.record("nasnet_a"), NasNetSpace("nasnet", ["identity"])
    counts = record["counts"]
    size = {name: counts[name] for name in ("channels", "cells", "classes")}
    measured = count(lambda: space.build(published.load("nasnet_a"), IMAGE, **size, auxiliary=True), IMAGE)
    assert record["space"] == "nasnet"
    assert size == {"channels": 32, "cells": 6, "classes": 10}
    assert measured == Cost(counts["params"], counts["params_with_auxiliary"], counts["macs"])
    assert measured == Cost(3_346_538, 3_346_538 + 1_631_498, 544_333_312)


@pytest.mark.parametrize(
    ("evaluation", "dataset", "params", "macs"),
    [
        ("nasnet_cifar10", "cifar10", 3_346_538, 544_333_312),
        ("nasnet_mobile", "imagenet", 5_289_978, 563_638_816),
        ("nasnet_large", "imagenet", 88_753_150, 23_783_414_658),
    ],
)
def test_evaluations_of_nasnet_ask_for_its_papers_networks(
    evaluation: str, dataset: str, params: int, macs: int
) -> None:
    config = configuration.compose("evaluate", ["space=nasnet", f"evaluation={evaluation}"])
    assert config["names"]["dataset"] == dataset  # whatever the space would train on
    data = build(config["dataset"], "dataset", Dataset, name=dataset)
    recipe = build(config["evaluation"], "evaluation", Recipe)
    space = build(config["space"], "space", NasNetSpace, name="nasnet")
    counts = recipe.counts(published.load("nasnet_a"), space, data)
    assert (counts["params"], counts["macs"]) == (params, macs)
