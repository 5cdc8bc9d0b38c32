"""The DARTS space: its size, its code, its networks (systems sheet, sections 1.1 to 1.3)."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings

from nas_cli import published
from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.networks.mixed import FanOut
from nas_cli.seeding import seeded
from nas_cli.spaces.darts import DartsSpace

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
SPACE = DartsSpace("darts", OPERATIONS)


def small(**options: Any) -> DartsSpace:
    return DartsSpace("darts", **{"operations": OPERATIONS, "channels": 2, "cells": 3, **options})


def test_size_is_the_papers() -> None:
    assert SPACE.size() == 1_037_664_180**2
    assert small(nodes=1, operations=("none", "skip_connect", "sep_conv_3x3")).size() == 4**2


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_encode_is_the_inverse_of_decode(data: st.DataObject) -> None:
    values = tuple(data.draw(st.sampled_from(decision.choices)) for decision in SPACE.decisions)  # type: ignore[union-attr]
    architecture = SPACE.decode(values)
    assert SPACE.encode(architecture) == values
    assert SPACE.decode(SPACE.encode(architecture)) == architecture
    assert Architecture.from_json(architecture.to_json()) == architecture
    assert "none" not in SPACE.describe(architecture)


def test_the_order_of_a_nodes_inputs_is_not_part_of_the_code() -> None:
    nodes = ((("sep_conv_3x3", 1), ("skip_connect", 0)),) * 4
    turned = ((("skip_connect", 0), ("sep_conv_3x3", 1)),) * 4
    codes = [SPACE.encode(SPACE.from_cells({"normal": cell, "reduce": cell})) for cell in (nodes, turned)]
    assert codes[0] == codes[1]
    assert codes[0][:3] == ("0,1", "skip_connect", "sep_conv_3x3")


def test_from_cells_concatenates_all_nodes() -> None:
    nodes = ((("sep_conv_3x3", 1), ("skip_connect", 0)),) * 4
    text = str(SPACE.from_cells({"normal": nodes, "reduce": nodes}).decisions[0])
    assert text == " | ".join(["sep_conv_3x3:1 + skip_connect:0"] * 4) + " ; concat 2,3,4,5"


@pytest.mark.parametrize("seed", range(3))
def test_sampled_architectures_can_be_trained(seed: int) -> None:
    space = small()
    architecture = space.sample(np.random.default_rng(seed))
    with seeded(seed):
        network = space.build(architecture, (1, 8, 8), 5)
        x = torch.randn(4, 1, 8, 8)
    logits = network(x)
    assert logits.shape == (4, 5)
    F.cross_entropy(logits, torch.arange(4)).backward()
    slopes = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert slopes
    assert all(slope.isfinite().all() for slope in slopes)


def test_size_of_a_network_can_be_chosen() -> None:
    architecture = published.load("darts_v2")
    count = sum(p.numel() for p in SPACE.build(architecture, (3, 32, 32), 10, channels=36, cells=20).parameters())
    assert count == 3_349_342  # 3.3 M in the paper; the sheet's exact count


@pytest.mark.parametrize("name", published.names())
def test_published_cells_can_be_built(name: str) -> None:
    network = SPACE.build(published.load(name), (1, 8, 8), 10, channels=2, cells=2)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("name", ["nasnet_a", "amoebanet_a", "pnasnet5"])
def test_cells_from_elsewhere_have_no_code(name: str) -> None:
    with pytest.raises(InputError, match="darts"):
        SPACE.encode(published.load(name))


def test_a_cell_with_three_inputs_or_fewer_nodes_has_no_code() -> None:
    pair = (("sep_conv_3x3", 1), ("skip_connect", 0))
    three = small(nodes=3).from_cells({"normal": (pair,) * 3, "reduce": (pair,) * 3})
    with pytest.raises(InputError, match="4 nodes"):
        SPACE.encode(three)
    node = (*pair, ("skip_connect", 1))
    with pytest.raises(InputError, match="two inputs, not 3"):
        SPACE.encode(SPACE.from_cells({"normal": (node,) * 4, "reduce": (pair,) * 4}))
    twice = (("sep_conv_3x3", 1), ("skip_connect", 1))
    with pytest.raises(InputError, match="1,1"):
        SPACE.encode(SPACE.from_cells({"normal": (twice,) * 4, "reduce": (pair,) * 4}))


def test_graphs_show_both_cells() -> None:
    normal, reduce = SPACE.graphs(SPACE.sample(np.random.default_rng(0)))
    assert (normal.title, reduce.title) == ("normal cell", "reduction cell")
    assert len(normal.edges) == len(reduce.edges) == 8


def test_supernet_has_the_spaces_choices() -> None:
    space = small()
    assert {kind: choices.shape for kind, choices in space.choices.items()} == {"normal": (14, 8), "reduce": (14, 8)}
    with seeded(0):
        network = space.supernet((1, 8, 8), 10, FanOut)
    weights = {kind: torch.full((14, 8), 1 / 8) for kind in space.choices}
    assert network(torch.zeros(2, 1, 8, 8), weights).shape == (2, 10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operations": ("none",)}, "at least one other than none"),
        ({"operations": ("skip_connect", "skip_connect")}, "stands twice"),
        ({"operations": ("sep_conv_3x4",)}, "did you mean sep_conv_"),
        ({"channels": 3}, "even"),
        ({"nodes": 0}, "nodes must be at least 1, not 0"),
        ({"cells": 0}, "cells must be at least 1, not 0"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**options)
