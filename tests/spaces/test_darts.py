"""The DARTS space: its size, its code, its networks (systems sheet, sections 1.1 to 1.3)."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings

from nas_cli import config as configuration
from nas_cli import published
from nas_cli.architecture import Architecture
from nas_cli.build import build
from nas_cli.cost import count
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


@pytest.mark.parametrize("name", [name for name in published.names() if published.load(name).space == "darts"])
def test_published_cells_can_be_built(name: str) -> None:
    network = SPACE.build(published.load(name), (1, 8, 8), 10, channels=2, cells=2)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("name", ["nasnet_a_darts", "amoebanet_a", "pnasnet5"])
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
        ({"operations": {"normal": [["noise"]] * 14}}, "has lists for normal, not for normal and reduce"),
        ({"operations": dict.fromkeys(("normal", "reduce"), (["noise"],) * 5)}, "needs a list for each of 14 edges"),
        (
            {"nodes": 1, "operations": dict.fromkeys(("normal", "reduce"), (["noise"], ["noise", "skip_connect"]))},
            "operations.normal: all edges need equally many",
        ),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**options)


def configured(name: str, **options: Any) -> DartsSpace:
    """A space of the sheet's section 6.1, as configured."""
    section = configuration.compose("search", [f"space={name}"])["space"]
    return build({**section, **options}, "space", DartsSpace, name=name)


@pytest.mark.parametrize(
    ("name", "operations", "params"),
    [("darts_s1", 2, 405_146), ("darts_s2", 2, 665_466), ("darts_s3", 3, 665_466), ("darts_s4", 2, 624_506)],
)
def test_supernets_of_the_reduced_spaces(name: str, operations: int, params: int) -> None:
    space = configured(name, channels=16, cells=8)
    assert {choices.shape for choices in space.choices.values()} == {(14, operations)}
    with torch.device("meta"):
        network = space.supernet((3, 32, 32), 10, FanOut)
    assert sum(parameter.numel() for parameter in network.parameters()) == params


def test_sizes_of_the_reduced_spaces() -> None:
    pairs = 1 * 3 * 6 * 10  # of sources, over the four nodes
    assert [configured(f"darts_s{k}").size() for k in (1, 2, 3, 4)] == [(pairs * 4**4) ** 2] * 4


SHORT = {"I": "skip_connect", "M": "max_pool_3x3", "s3": "sep_conv_3x3", "d3": "dil_conv_3x3", "d5": "dil_conv_5x5"}
#: RobustDARTS' released cells on S1 and their parameters at C = 36, L = 20 (sheet, section 9).
RELEASED = [
    ("I:1 d3:0 I:2 I:0 I:0 I:2 I:2 I:1", "M:1 M:0 I:2 M:1 I:2 M:0 M:0 M:1", 1_550_062),
    ("I:1 d3:0 I:1 I:2 I:1 I:2 I:2 I:1", "M:1 M:0 M:0 I:2 M:1 M:0 d5:4 M:0", 1_581_814),
    ("I:0 I:1 I:1 I:2 I:2 I:1 I:2 d3:4", "M:1 M:0 I:2 M:0 I:2 M:1 M:0 I:3", 1_550_062),
    ("I:0 I:1 s3:1 d3:2 s3:2 s3:1 d3:2 M:1", "M:0 M:1 M:1 M:0 d3:2 d5:3 M:1 d5:2", 2_901_358),
    ("I:1 I:0 s3:1 d5:0 s3:1 M:0 M:1 d3:4", "M:0 M:1 M:1 M:0 d5:3 M:1 M:1 d5:2", 2_537_398),
    ("I:0 I:1 s3:1 d3:2 s3:1 d3:3 M:1 d3:3", "M:0 M:1 M:0 M:1 M:0 M:1 M:1 M:0", 2_629_630),
    ("I:1 I:0 I:1 d3:2 d3:3 s3:2 d3:2 s3:0", "M:0 M:1 M:1 M:0 M:0 d5:3 d5:4 d5:3", 2_724_886),
    ("I:1 d3:0 I:0 d3:2 d3:3 I:0 d3:2 I:1", "M:0 M:1 M:1 M:0 d5:3 M:0 d5:4 M:1", 2_153_350),
    ("I:1 d3:0 I:0 I:1 d3:3 I:0 s3:0 d3:3", "M:0 M:1 M:1 M:0 d5:3 M:0 d5:4 d5:3", 2_365_030),
]


@pytest.mark.parametrize(("normal", "reduce", "params"), RELEASED)
def test_released_cells_of_s1(normal: str, reduce: str, params: int) -> None:
    space = configured("darts_s1")
    cells = {}
    for kind, text in (("normal", normal), ("reduce", reduce)):
        pairs = [(SHORT[code], int(source)) for code, source in (pair.split(":") for pair in text.split())]
        cells[kind] = tuple(zip(pairs[::2], pairs[1::2], strict=True))
    architecture = space.from_cells(cells)
    code = space.encode(architecture)  # raises for what is not in the space
    assert space.encode(space.decode(code)) == code
    assert len(code) == 8  # a decision for each node
    cost = count(lambda: space.build(architecture, (3, 32, 32), 10, channels=36, cells=20), (3, 32, 32))
    assert cost.params == params


def test_an_operation_of_another_edge_is_not_in_s1() -> None:
    space = configured("darts_s1")
    values = list(space.encode(space.sample(np.random.default_rng(0))))
    assert space.decisions[1].name == "normal/3/inputs"
    for text, member in (("skip_connect:0 + sep_conv_3x3:1", True), ("sep_conv_3x3:0 + skip_connect:1", False)):
        values[1] = text
        if member:
            assert space.encode(space.decode(values))[1] == text
        else:
            with pytest.raises(InputError, match="normal/3/inputs=sep_conv_3x3:0"):
                space.encode(space.decode(values))


class TestACellForEachLayer:
    """The option `shared_cells: false`."""

    space = small(shared_cells=False, cells=4, nodes=2)
    types = ("normal_0", "reduce_1", "reduce_2", "normal_3")

    def test_each_is_a_type_of_its_own(self) -> None:
        assert tuple(self.space.choices) == self.types
        assert {choices.repeats for choices in self.space.choices.values()} == {1}
        assert {kind: choices.repeats for kind, choices in small(cells=8).choices.items()} == {"normal": 6, "reduce": 2}
        assert self.space.size() == small(nodes=2).size() ** 2  # type: ignore[operator]

    def test_the_architecture_is_one_text_a_layer(self) -> None:
        architecture = self.space.sample(np.random.default_rng(0))
        assert len(architecture.decisions) == 4
        assert self.space.decode(self.space.encode(architecture)) == architecture
        assert [line.split(": ", 1) for line in self.space.describe(architecture).splitlines()] == [
            [kind, text] for kind, text in zip(self.types, architecture.decisions, strict=True)
        ]
        assert [graph.title for graph in self.space.graphs(architecture)] == [
            *("normal cell, layer 0", "reduction cell, layer 1", "reduction cell, layer 2", "normal cell, layer 3")
        ]

    def test_it_is_built_at_its_own_depth(self) -> None:
        architecture = self.space.sample(np.random.default_rng(0))
        for builder in (self.space, small(nodes=2, cells=4)):  # that it has a cell a layer can be seen in it
            assert builder.build(architecture, (1, 8, 8), 5)(torch.zeros(2, 1, 8, 8)).shape == (2, 5)
        with pytest.raises(InputError, match="4 layers makes networks of cells=4, not 20"):
            self.space.build(architecture, (1, 8, 8), 5, cells=20)

    def test_layers_can_differ(self) -> None:
        pair, other = (("sep_conv_3x3", 0), ("skip_connect", 1)), (("skip_connect", 0), ("skip_connect", 1))
        same = self.space.from_cells(dict.fromkeys(self.types, (pair, pair)))
        last = self.space.from_cells({**dict.fromkeys(self.types, (pair, pair)), "normal_3": (other, other)})
        params = [
            count(lambda a=a: self.space.build(a, (1, 8, 8), 5), (1, 8, 8)).params  # type: ignore[misc]
            for a in (same, last)
        ]
        # Two separable convolutions at the last layer's 8 channels: twice depthwise, pointwise, normalisation.
        assert params[0] - params[1] == 2 * 2 * (9 * 8 + 8 * 8 + 2 * 8)

    def test_equal_weights_make_the_supernet_of_shared_cells(self) -> None:
        shared = small(nodes=2, cells=4)
        with seeded(0):
            ours = self.space.supernet((1, 8, 8), 5, FanOut)
        with seeded(0):
            theirs = shared.supernet((1, 8, 8), 5, FanOut)
        x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        rows = {kind: torch.rand(choices.shape).softmax(-1) for kind, choices in shared.choices.items()}
        own = {kind: rows[kind.partition("_")[0]] for kind in self.types}
        assert torch.equal(ours(x, own), theirs(x, rows))
        own["normal_3"] = own["normal_3"].flip(-1)
        assert not torch.allclose(ours(x, own), theirs(x, rows))

    def test_other_depths_and_shared_cells_are_refused(self) -> None:
        with pytest.raises(InputError, match="each of 4 layers a supernet cannot have 5"):
            self.space.supernet((1, 8, 8), 5, FanOut, cells=5)
        with pytest.raises(
            InputError, match="has the cells normal_0, reduce_1, reduce_2, normal_3, not normal, reduce"
        ):
            self.space.encode(small(nodes=2).sample(np.random.default_rng(0)))
