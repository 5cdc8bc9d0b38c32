"""The NAS-Bench-201 space: strings, decisions, and what it builds."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.spaces.nasbench201 import OPERATIONS, NasBench201

RESNET = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
DECISIONS = ("nor_conv_3x3", "none", "nor_conv_3x3", "skip_connect", "none", "skip_connect")
CONFIG = Path(__file__).parents[2] / "configs" / "space" / "nasbench201.yaml"


@pytest.fixture
def space() -> NasBench201:
    return NasBench201("nasbench201")


def test_decisions_are_six_edges_of_five_operations(space: NasBench201) -> None:
    assert [decision.name for decision in space.decisions] == ["0->1", "0->2", "1->2", "0->3", "1->3", "2->3"]
    assert OPERATIONS == ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    assert space.size() == 15625


def test_string_of_the_resnet_cell(space: NasBench201) -> None:
    architecture = Architecture("nasbench201", DECISIONS)
    assert space.to_string(architecture) == RESNET
    assert space.describe(architecture) == RESNET
    assert space.from_string(RESNET) == architecture


def test_strings_round_trip(space: NasBench201) -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        architecture = space.sample(generator)
        assert space.from_string(space.to_string(architecture)) == architecture


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "1 nodes"),
        (RESNET + "+|none~0|", "4 nodes"),
        (RESNET.replace("|none~0|nor_conv_3x3~1|", "|none~0|"), "'|none~0|'"),
        (RESNET.replace("none~0", "zero~0"), "'zero~0'"),
        (RESNET.replace("none~0", "nome~0"), "did you mean none?"),
        (RESNET.replace("none~0", "none~1"), "'none~1'"),
        (RESNET.replace("none~0", "none"), "'none'"),
        (RESNET.replace("none~0", "none~0~0"), "'none~0~0'"),
        (RESNET[1:], "'nor_conv_3x3~0|'"),
        (RESNET[:-1], "'|skip_connect~0|none~1|skip_connect~2'"),
    ],
)
def test_wrong_string_is_refused_naming_the_token(space: NasBench201, text: str, names: str) -> None:
    with pytest.raises(InputError) as error:
        space.from_string(text)
    assert names in str(error.value)
    assert "\n" not in str(error.value)


def test_architecture_from_elsewhere_is_refused(space: NasBench201) -> None:
    with pytest.raises(InputError, match="0->2=sep_conv_3x3"):
        space.to_string(Architecture("darts", (DECISIONS[0], "sep_conv_3x3", *DECISIONS[2:])))
    with pytest.raises(InputError, match="6 decisions"):
        space.build(Architecture("nasbench201", DECISIONS[:5]), (3, 8, 8), 10)


@pytest.mark.parametrize(("channels", "cells"), [(16, 0), (16, -3), (16, 4), (0, 3)])
def test_sizes_that_make_no_network_are_refused(space: NasBench201, channels: int, cells: int) -> None:
    with pytest.raises(InputError):
        NasBench201("nasbench201", channels, cells)
    with pytest.raises(InputError):
        space.build(Architecture("nasbench201", DECISIONS), (3, 8, 8), 10, channels=channels, cells=cells)


def test_graph_leaves_none_out(space: NasBench201) -> None:
    (graph,) = space.graphs(Architecture("nasbench201", DECISIONS))
    assert graph.edges == (
        (0, 1, "nor_conv_3x3"),
        (1, 2, "nor_conv_3x3"),
        (0, 3, "skip_connect"),
        (2, 3, "skip_connect"),
    )
    assert (graph.inputs, graph.nodes, graph.outputs) == (("input",), ("1", "2", "3"), (3,))


def test_build_takes_the_sizes_of_the_space_unless_told() -> None:
    space = NasBench201("nasbench201", channels=4, cells=3)
    architecture = Architecture("nasbench201", DECISIONS)
    with torch.device("meta"):
        own = space.build(architecture, (1, 8, 8), 10)
        told = space.build(architecture, (1, 8, 8), 10, channels=8, cells=6)
    # The last layers: batch normalisation of 4 C channels, ReLU, pool, flatten, linear.
    assert [len(own), own[-1][0].num_features] == [7, 16]
    assert [len(told), told[-1][0].num_features] == [10, 32]


def test_yaml_lists_every_option_with_its_default() -> None:
    options = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    assert options.pop("_target_") == f"{NasBench201.__module__}.{NasBench201.__name__}"
    parameters = inspect.signature(NasBench201).parameters
    assert options == {name: parameter.default for name, parameter in parameters.items() if name != "name"}


ALL_SKIP = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"


@pytest.mark.parametrize(
    ("cell", "percent"),
    [
        # The rows of DARTS and of the ResNet cell in the sheet, section 10: valid and test on each data set.
        (ALL_SKIP, (39.77, 54.30, 15.03, 15.61, 16.43, 16.32)),
        (RESNET, (90.86, 93.91, 70.50, 70.89, 44.10, 44.23)),
    ],
)
def test_the_measured_accuracies_are_known(space: NasBench201, cell: str, percent: tuple[float, ...]) -> None:
    known = space.known(space.from_string(cell))
    parts = [f"table_{data}_{part}" for data in ("cifar10", "cifar100", "imagenet16") for part in ("valid", "test")]
    assert list(known) == parts
    assert [100 * value for value in known.values()] == pytest.approx(list(percent), abs=0.005)
    with pytest.raises(InputError, match="is not in space"):
        space.known(Architecture("nasbench201", ("sep_conv_3x3",) * 6))


def test_a_supernet_leaves_every_edge_and_operation_open() -> None:
    choices = NasBench201("nasbench201", channels=4, cells=6).choices["normal"]
    assert choices.shape == (6, 5)
    assert (choices.inputs, choices.repeats, choices.targets) == (None, 6, [1, 2, 3])
    assert choices.allowed(0) == [0, 1, 2, 3, 4]  # `none` is an operation like any other


def test_a_derived_cell_keeps_its_edges_of_none_and_lacks_no_other(space: NasBench201) -> None:
    nodes = ((("none", 0),), (("nor_conv_3x3", 1), ("skip_connect", 0)), (("avg_pool_3x3", 2),))
    architecture = space.from_cells({"normal": nodes})
    assert architecture.decisions == ("none", "skip_connect", "nor_conv_3x3", "none", "none", "avg_pool_3x3")


def test_two_operations_on_one_edge_are_refused(space: NasBench201) -> None:
    nodes = ((("none", 0),), (("skip_connect", 0), ("nor_conv_3x3", 0)), (("none", 0),))
    with pytest.raises(InputError, match="edge 0->2 has two operations"):
        space.from_cells({"normal": nodes})


def test_depths_of_a_supernet_are_those_of_a_network(space: NasBench201) -> None:
    space.check_depth(6)
    with pytest.raises(InputError, match="cells=4"):
        space.check_depth(4)
