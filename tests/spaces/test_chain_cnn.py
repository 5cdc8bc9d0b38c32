"""The space of chains of convolutions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_cli.architecture import Architecture, Value
from nas_cli.errors import InputError
from nas_cli.seeding import seeded
from nas_cli.spaces.chain_cnn import ChainSpace
from nas_cli.spaces.combinations import finite_axes, walk
from nas_cli.spaces.decisions import When
from nas_cli.spaces.named import decided
from nas_cli.spaces.tokens import Choice, Subset, Tick
from nas_cli.strategies.black_box.controller.policy import Controller

ALL_TYPES = ("conv", "max_pool", "avg_pool")
PAPER = {"sizes": (1, 3, 5, 7), "filters": (24, 36, 48, 64)}


def space(layers: tuple[int, int] = (3, 3), **options: object) -> ChainSpace:
    return ChainSpace("chain_cnn", layers, **options)  # type: ignore[arg-type]


def test_there_are_as_many_chains_as_the_sheet_says() -> None:
    assert space((6, 6), **PAPER).size() == 2_251_799_813_685_248
    assert space((15, 15), **PAPER).size() == 64**15 * 2**105
    assert float(space((15, 15), **PAPER).size() or 0) == pytest.approx(5.022e58, rel=1e-3)
    assert space((6, 6), strides=(1, 2, 3), **PAPER).size() == 576**6 * 2**15
    assert float(576**6 * 2**15) == pytest.approx(1.197e21, rel=1e-3)


def test_of_several_depths_each_counts() -> None:
    assert space((1, 3), sizes=(1, 3), filters=(4,)).size() == 4 + 2 * 4**2 + 8 * 4**3


def test_decisions_and_tokens_follow_each_other() -> None:
    made = space((2, 2), strides=(1, 2))
    assert [decision.name for decision in made.decisions] == [
        "1/filter_height",
        "1/filter_width",
        "1/stride_height",
        "1/stride_width",
        "1/filters",
        "2/filter_height",
        "2/filter_width",
        "2/stride_height",
        "2/stride_width",
        "2/filters",
        "2/reads_1",
    ]
    layer = (
        Choice("filter_height", 3),
        Choice("filter_width", 3),
        Choice("stride_height", 2),
        Choice("stride_width", 2),
        Choice("filters", 4),
    )
    assert made.tokens == (*layer, Tick(), *layer, Subset("reads", anchor=True))
    deep = space((2, 4))
    assert deep.decisions[0].name == "layers"
    assert list(deep.decisions[0].values() or ()) == [2, 3, 4]
    assert deep.tokens[0] == Choice("layers", 3)


def test_type_is_decided_first_and_what_is_of_a_convolution_for_a_convolution_alone() -> None:
    made = space((1, 2), layer_types=("conv", "max_pool"), norms=(True, False))
    deep, first, second = When("layers", (2,)), When("1/layer_type", ("conv",)), When("2/layer_type", ("conv",))
    assert [(decision.name, decision.when) for decision in made.decisions] == [
        ("layers", None),
        ("1/layer_type", None),
        ("1/filter_height", None),
        ("1/filter_width", None),
        ("1/filters", first),
        ("1/norm", first),
        ("2/layer_type", deep),
        ("2/filter_height", deep),
        ("2/filter_width", deep),
        ("2/filters", second),
        ("2/norm", second),
        ("2/reads_1", deep),
    ]
    layer = (
        Choice("layer_type", 2),
        Choice("filter_height", 3),
        Choice("filter_width", 3),
        Choice("filters", 4),
        Choice("norm", 2),
    )
    assert made.tokens == (Choice("layers", 2), *layer, Tick(), *layer, Subset("reads", anchor=True))


def test_a_norm_alone_is_decided_of_every_layer() -> None:
    made = space((1, 2), norms=(False, True))
    names = {decision.name: decision.when for decision in made.decisions}
    assert names["1/norm"] is None
    assert names["2/norm"] == names["2/filters"] == When("layers", (2,))
    assert made.decode((1, 3, 3, 8, False, *[None] * 5)).decisions == ("3x3 filters 8 no norm",)
    assert space((1, 1), norms=(False,)).decode((3, 3, 8)).decisions == ("3x3 filters 8 no norm",)


TWO_TYPES = space((1, 2), sizes=(1,), filters=(2, 3), layer_types=("conv", "max_pool"), norms=(True, False))


def test_with_types_and_norms_each_chain_counts_once() -> None:
    """A layer is one of 2 · 2 convolutions or the one pool."""
    assert TWO_TYPES.size() == 5 + 2 * 5**2
    axes = finite_axes(TWO_TYPES.decisions)
    assert axes is not None
    found = {TWO_TYPES.decode(values): values for values in walk(TWO_TYPES.decisions, axes)}
    assert len(found) == TWO_TYPES.size()
    assert all(TWO_TYPES.encode(chain) == values for chain, values in found.items())
    everything = space((6, 6), strides=(1, 2, 3), layer_types=ALL_TYPES, norms=(True, False), **PAPER)
    assert everything.size() == (144 * (4 * 2 + 2)) ** 6 * 2**15


def test_a_controller_writes_every_chain_with_types_and_norms() -> None:
    """Its probabilities of all of them sum to 1, and what it draws are chains."""
    policy = Controller(hidden=8, initial=1.0).policy(TWO_TYPES, seed=0).double()
    axes = finite_axes(TWO_TYPES.decisions)
    assert axes is not None
    numbers = [
        [-1 if value is None else axis.index(value) for value, axis in zip(values, axes, strict=True)]
        for values in walk(TWO_TYPES.decisions, axes)
    ]
    probabilities = policy.score(torch.tensor(numbers)).log_prob.detach().exp()
    assert float(probabilities.sum()) == pytest.approx(1, abs=1e-12)
    assert float(probabilities.max()) > 2 / 55  # it is not uniform
    drawn, _ = policy.sample(
        torch.rand(200, len(axes), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    )
    assert {tuple(row) for row in drawn.tolist()} <= {tuple(row) for row in numbers}
    assert len({tuple(row) for row in drawn.tolist()}) > 20


@pytest.mark.parametrize("made", [space((4, 4)), space((1, 5), strides=(1, 2, 3)), space((20, 20)), TWO_TYPES])
def test_tokens_make_all_decisions(made: ChainSpace) -> None:
    anchors = 0
    decided = []
    for token in made.tokens:
        if isinstance(token, Choice):
            decided.append(token.width)
        elif isinstance(token, Subset):
            decided += [2] * anchors
        anchors += not isinstance(token, Choice) and token.anchor
    assert decided == [len(decision.values() or ()) for decision in made.decisions]


def test_an_architecture_is_the_texts_of_its_layers() -> None:
    made = space((1, 3), strides=(1, 2))
    values = (2, 3, 5, 2, 1, 24, 1, 1, 1, 1, 8, 1, None, None, None, None, None, None, None)
    chain = Architecture("chain_cnn", ("3x5 stride 2x1 filters 24", "1x1 filters 8 from 1"))
    assert made.decode(values) == chain
    assert made.encode(chain) == values
    assert made.describe(chain) == "layer 1: 3x5 stride 2x1 filters 24\nlayer 2: 1x1 filters 8 from 1"


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (("3x3 filters 8",), "a chain of space chain_cnn has 3 layers, this one 1"),
        (("3x7 filters 8", "3x3 filters 8", "3x3 filters 8"), "1/filter_width=7 is not in space chain_cnn"),
        (("3x3 filters 9", "3x3 filters 8", "3x3 filters 8"), "1/filters=9 is not in space chain_cnn"),
        (("3x3 stride 2x1 filters 8", "3x3 filters 8", "3x3 filters 8"), "has another stride than 1"),
        (("3x3 filters 8", "max_pool 3x3", "3x3 filters 8"), "layer 2: max_pool 3x3 has another type than conv"),
        (("3x3 filters 8 no norm", "3x3 filters 8", "3x3 filters 8"), "no norm has another norm than True"),
        (("3x3 filters 8", 3, "3x3 filters 8"), "is the texts of its layers"),
    ],
)
def test_a_chain_from_elsewhere_is_refused(texts: tuple[str | int, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        space().encode(Architecture("chain_cnn", texts))


def test_a_chain_of_a_space_with_another_type_is_refused() -> None:
    made = space((1, 1), layer_types=("conv", "avg_pool"), norms=(False,))
    assert made.encode(Architecture("chain_cnn", ("avg_pool 3x5",))) == ("avg_pool", 3, 5, None)
    with pytest.raises(InputError, match="1/layer_type=max_pool is not in space chain_cnn"):
        made.encode(Architecture("chain_cnn", ("max_pool 3x5",)))
    with pytest.raises(InputError, match="layer 1: 3x5 filters 8 has another norm than False"):
        made.encode(Architecture("chain_cnn", ("3x5 filters 8",)))


def test_types_and_norms_are_set_by_name() -> None:
    made = space((2, 2), layer_types=ALL_TYPES, norms=(True, False))
    before = Architecture("chain_cnn", ("3x3 filters 8", "avg_pool 3x5 from 1"))
    assert decided(made, before, {"1/norm": False}).decisions[0] == "3x3 filters 8 no norm"
    assert decided(made, before, {"1/layer_type": "max_pool"}).decisions[0] == "max_pool 3x3"
    given: dict[str, Value] = {"2/layer_type": "conv", "2/filters": 16, "2/norm": True}
    assert decided(made, before, given).decisions[1] == "3x5 filters 16 from 1"
    with pytest.raises(InputError, match=r"2\.filters=16: is not decided, as the other decisions stand"):
        decided(made, before, {"2/filters": 16})
    with pytest.raises(InputError, match=r"1\.layer_type=pool: must be one of conv, max_pool, avg_pool"):
        decided(made, before, {"1/layer_type": "pool"})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"layers": (3,)}, "layers must be the least and the greatest"),
        ({"layers": (4, 3)}, "layers must be"),
        ({"layers": (0, 3)}, "layers must be"),
        ({"sizes": (2, 3)}, "sizes must be odd"),
        ({"sizes": ()}, "sizes must be different numbers"),
        ({"filters": (8, 8)}, "filters must be different numbers"),
        ({"strides": (0, 1)}, "strides must be different numbers"),
        ({"block": 0}, "block must be at least 1"),
        ({"block": 3, "strides": (1, 2)}, "not defined for a block of 3"),
        ({"pools": (4,)}, "pools must be numbers of convolutions, 1 to 3"),
        ({"added_filters": -1}, "added_filters must be at least 0"),
        ({"layer_types": ()}, "layer_types must be conv, alone or with max_pool, avg_pool, each once"),
        ({"layer_types": ("max_pool",)}, "layer_types must be conv"),
        ({"layer_types": ("conv", "conv")}, "layer_types must be conv"),
        ({"layer_types": ("conv", "pool")}, "layer_types must be conv"),
        ({"norms": ()}, "norms must be true, false or both"),
        ({"norms": (True, True)}, "norms must be true, false or both"),
    ],
)
def test_options_are_checked(options: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        ChainSpace("chain_cnn", **options)  # type: ignore[arg-type]


def check_one(seed: int) -> None:
    """A random chain of a random form: it is written and read back, runs and learns."""
    generator = np.random.default_rng(seed)
    first = int(generator.integers(1, 5))
    one_stride = bool(generator.integers(2))
    block = int(generator.integers(1, 4)) if one_stride else 1
    made = ChainSpace(
        "chain_cnn",
        (first, first + int(generator.integers(3))),
        sizes=(1, 3, 5, 7),
        strides=(1,) if one_stride else (1, 2, 3),
        filters=(1, 2, 3),
        block=block,
        pools=sorted({int(k) for k in generator.integers(1, first * block + 1, size=int(generator.integers(3)))}),
        added_filters=int(generator.integers(2)),
        layer_types=ALL_TYPES[: int(generator.integers(1, 4))],
        norms=((True,), (False,), (True, False))[int(generator.integers(3))],
    )
    chain = made.sample(generator)
    assert made.decode(made.encode(chain)) == chain
    assert chain == Architecture.from_json(json.loads(json.dumps(chain.to_json())))
    assert len(made.graphs(chain)[0].nodes) == len(chain.decisions)
    height, width, channels = (int(n) for n in generator.integers((1, 1, 1), (10, 10, 4)))
    with seeded(seed, "network"):
        network = made.build(chain, (channels, height, width), 4)
        logits = network(torch.randn(2, channels, height, width))
    assert logits.shape == (2, 4)
    assert torch.isfinite(logits).all()
    (logits**2).mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())  # no layer is left out


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_every_chain_builds_and_learns(seed: int) -> None:
    check_one(seed)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(st.integers(0, 2**32))
def test_thousands_of_chains_build_and_learn(seed: int) -> None:
    check_one(seed)


def test_the_networks_of_the_paper_are_built() -> None:
    """39 layers with pools, at the paper's own side; on the meta device, without memory."""
    made = ChainSpace("chain_cnn", (13, 13), (1, 3, 5, 7), (1,), (6, 12, 24, 36), block=3, pools=(13, 24))
    with torch.device("meta"):
        network = made.build(made.sample(np.random.default_rng(0)), (3, 32, 32), 10)
        assert network(torch.empty(2, 3, 32, 32)).shape == (2, 10)
    assert sum(len(layer) for layer in network.layers) == 39  # type: ignore[arg-type]
