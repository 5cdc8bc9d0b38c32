"""The NASNet space: its size, its tokens, its text, the networks that it makes (systems sheet, sections 0 and 2)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nas_cli import config as configuration
from nas_cli import published
from nas_cli.errors import InputError
from nas_cli.networks.blocks import cells_of
from nas_cli.networks.nasnet_operations import OPERATIONS
from nas_cli.spaces.nasnet import NasNetSpace
from nas_cli.spaces.tokens import Choice

SPACE = NasNetSpace("nasnet", list(OPERATIONS))


def test_size_is_exact() -> None:
    assert (
        SPACE.size() == 2_286_906_949_584_691_200**2 == math.prod((2 * (b + 1) ** 2 * 13**2) for b in range(1, 6)) ** 2
    )
    assert math.log(SPACE.size()) == pytest.approx(84.54746380)
    assert NasNetSpace("nasnet", ["identity"], ["add"], blocks=1).size() == 16


def test_tokens_are_five_a_block_and_share_their_heads() -> None:
    tokens = SPACE.tokens
    assert len(tokens) == len(SPACE.decisions) == 2 * 5 * 5
    assert all(isinstance(token, Choice) for token in tokens)
    names = ["hidden_1", "hidden_2", "operation_1", "operation_2", "combine"]
    assert [token.head for token in tokens] == names * 10  # type: ignore[union-attr]
    assert [token.width for token in tokens[:5]] == [6, 6, 13, 13, 2]  # type: ignore[union-attr]
    allowed = [token.outputs for token in tokens[::5]]  # type: ignore[union-attr]
    assert allowed == [tuple(range(b + 1)) for b in range(1, 6)] * 2
    for token, decision in zip(tokens, SPACE.decisions, strict=True):
        assert len(token.outputs) == len(decision.values() or ())  # type: ignore[union-attr]


def test_an_order_of_decisions_and_its_text() -> None:
    small = NasNetSpace("nasnet", list(OPERATIONS), blocks=2)
    values = (0, 1, "identity", "conv_1x1", "add", 2, 0, "sep_conv_3x3", "identity", "concat") * 2
    text = "identity:0 add conv_1x1:1 | sep_conv_3x3:2 concat identity:0"
    assert small.decode(values).decisions == (text, text)
    assert small.encode(small.decode(values)) == values


def test_nasnet_a_is_built_and_drawn_but_has_no_code() -> None:
    architecture = published.load("nasnet_a")
    with pytest.raises(InputError, match="unread blocks make the output"):
        SPACE.encode(architecture)
    normal, reduce = SPACE.graphs(architecture)
    assert (normal.title, reduce.title) == ("normal cell", "reduction cell")
    assert (normal.outputs, reduce.outputs) == ((1, 2, 3, 4, 5, 6), (3, 4, 5, 6))
    assert [len(graph.edges) for graph in (normal, reduce)] == [10, 10]
    assert normal.nodes[0] == "2 add"


def test_a_graph_tells_how_blocks_combine() -> None:
    for seed in range(10):
        architecture = SPACE.sample(np.random.default_rng(seed))
        labels = SPACE.labelled_graph(architecture).labels
        told = [label.partition(": ")[2] for label in labels if label.endswith((": add", ": concat"))]
        blocks = [[*(block.combine for block in cell.blocks), "concat"] for cell in cells_of(architecture).values()]
        assert told == blocks[0] + blocks[1]


@pytest.mark.parametrize(
    ("stem", "cells", "penultimate", "channels"),
    [("cifar", 6, 768, 32), ("cifar", 7, 2304, 96), ("imagenet", 4, 1056, 44), ("imagenet", 6, 4032, 168)],
)
def test_the_papers_notation(stem: str, cells: int, penultimate: int, channels: int) -> None:
    with torch.device("meta"):
        network = SPACE.build(
            published.load("nasnet_a"),
            (3, 64, 64),
            10,
            cells=cells,
            stem=stem,
            penultimate=penultimate,  # type: ignore[arg-type]
        )
    assert (network.skeleton.channels, network.skeleton.cells) == (channels, cells)
    assert network.classifier[-1].in_features == penultimate


def test_a_width_that_does_not_divide_is_rounded() -> None:
    space = NasNetSpace("nasnet", ["identity", "conv_1x1"], blocks=3)
    architecture = space.decode((0, 1, "identity", "identity", "add") * 6)
    network = space.build(architecture, (1, 8, 8), 10, penultimate=100)  # 100 / (4 * 3) = 8.33
    assert network.skeleton.channels == 8
    with pytest.raises(InputError, match="both set the width"):
        space.build(architecture, (1, 8, 8), 10, channels=8, penultimate=96)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 0}, "blocks must be at least 1"),
        ({"channels": 3}, "multiple of 2"),
        ({"cells": 0}, "cells must be at least 1"),
        ({"operations": []}, "operations: at least one"),
        ({"operations": ["identity", "identity"]}, "one stands twice"),
        ({"operations": ["sepconv"]}, "operation 'sepconv' is not one of"),
        ({"combinations": ["ad"]}, r"ad is not one of add, concat \(did you mean add\?\)"),
    ],
)
def test_options_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NasNetSpace("nasnet", **{"operations": list(OPERATIONS), **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("strategy", ["random", "tpe", "ppo"])
def test_a_strategy_of_single_trials_trains_its_cells_on_the_digits(strategy: str) -> None:
    """Whatever else the strategy is judged by; and what a person names goes before it."""
    names = configuration.compose("search", [f"strategy={strategy}", "space=nasnet"])["names"]
    assert (names["dataset"], names["estimator"]) == ("digits", "train")
    named = configuration.compose("search", [f"strategy={strategy}", "space=nasnet", "dataset=cifar10"])["names"]
    assert (named["dataset"], named["estimator"]) == ("cifar10", "train")
