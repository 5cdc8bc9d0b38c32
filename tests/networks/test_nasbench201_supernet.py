"""NAS-Bench-201's supernet: the sheet's counts, the built network, and every mixing on it (sheet, section 10)."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.networks.mixed import FanOut
from nas_cli.networks.nasbench201 import EDGES, NasBench201Cell
from nas_cli.networks.nasbench201_supernet import MixedNasBench201Cell, NasBench201Supernet
from nas_cli.networks.resources import resources
from nas_cli.seeding import seeded
from nas_cli.spaces.nasbench201 import OPERATIONS, NasBench201
from nas_cli.strategies.gradient.mixing import Mixing, Softmax
from nas_cli.strategies.gradient.partial_channels import PartialChannels
from nas_cli.strategies.gradient.sampling import Gumbel, Sampled

SPACE = NasBench201("nasbench201", channels=4, cells=3)
# Every operation once or more, an edge of `none` and two into the last node.
CELL = ("nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1", "skip_connect", "none", "nor_conv_3x3")
MIXINGS = [Softmax(), PartialChannels(share=2), Gumbel(), Sampled()]


def images(count: int = 4) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def supernet(mixing: Mixing) -> NasBench201Supernet:
    with seeded(0):
        return SPACE.supernet((1, 8, 8), 10, mixing.fan_out).double()


@pytest.mark.parametrize(("classes", "params"), [(10, 1_692_826), (100, 1_698_676), (120, 1_699_976)])
@pytest.mark.parametrize("mixing", [Softmax(), Sampled()], ids=lambda mixing: type(mixing).__name__)
def test_counts_of_the_benchmark(mixing: Mixing, classes: int, params: int) -> None:
    space = NasBench201("nasbench201", channels=16, cells=15)
    with torch.device("meta"):
        network = space.supernet((3, 32, 32), classes, mixing.fan_out)
    assert sum(parameter.numel() for parameter in network.parameters()) == params


def convolution(cell: MixedNasBench201Cell, source: int, target: int, operation: str) -> nn.Conv2d:
    """The convolution of an operation on an edge."""
    edge = cell.targets[source].index(target)
    fan_out = cell.fan_outs[source]
    if isinstance(fan_out, FanOut):  # its convolutions stand operation by operation, then edge by edge
        convolutions = [layer for layer in fan_out.others.modules() if isinstance(layer, nn.Conv2d)]
        return convolutions[OPERATIONS.index(operation) % 2 * len(cell.targets[source]) + edge]
    (found,) = (
        layer
        for layer in fan_out.edges[edge][OPERATIONS.index(operation)].modules()  # type: ignore[union-attr,index]
        if isinstance(layer, nn.Conv2d)
    )
    return found


@pytest.mark.parametrize("mixing", [Softmax(), Sampled()], ids=lambda mixing: type(mixing).__name__)
def test_a_one_hot_supernet_is_the_built_network(mixing: Mixing) -> None:
    search = supernet(mixing)
    architecture = SPACE.decode(CELL)
    with seeded(1):
        built = SPACE.build(architecture, (1, 8, 8), 10).double()
    with torch.no_grad():
        for ours, theirs in zip(search.layers, built, strict=True):
            if isinstance(ours, MixedNasBench201Cell):
                assert isinstance(theirs, NasBench201Cell)
                for (source, target), operation, edge in zip(EDGES, CELL, theirs.edges, strict=True):
                    if "conv" in operation and operation != "skip_connect":
                        wanted = convolution(ours, source, target, operation)
                        assert wanted.bias is not None  # what a fresh normalisation behind it takes out again
                        edge[1].weight.copy_(wanted.weight)
            else:
                theirs.load_state_dict(ours.state_dict())
    nodes = tuple(
        tuple((operation, source) for (source, end), operation in zip(EDGES, CELL, strict=True) if end == target)
        for target in (1, 2, 3)
    )
    assert SPACE.from_cells({"normal": nodes}) == architecture
    weights = mixing.discrete_weights(SPACE.choices, {"normal": nodes})
    x = images()
    logits = search(x, {kind: rows.double() for kind, rows in weights.items()})
    torch.testing.assert_close(logits, built(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("mixing", MIXINGS, ids=lambda mixing: type(mixing).__name__)
def test_every_mixing_trains_weights_and_architecture(mixing: Mixing) -> None:
    network = supernet(mixing)
    with seeded(1):
        parameters = {name: value.double() for name, value in mixing.initial(SPACE.choices).items()}
        for value in parameters.values():
            value.requires_grad_()
        weights = mixing.weights({**parameters, **mixing.fixed(SPACE.choices)})
        logits = network(images(), weights)
    F.cross_entropy(logits, torch.arange(4)).backward()
    assert logits.shape == (4, 10)
    slopes = parameters["normal"].grad
    assert slopes is not None
    assert slopes.abs().sum() > 0
    torch.testing.assert_close(slopes.sum(-1), torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-10)
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in network.parameters())


def test_cells_may_have_weights_of_their_own() -> None:
    network, x = supernet(Softmax()), images()
    rows = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(-1)
    same = rows.repeat(3, 1, 1)
    shared = network(x, {"normal": rows})
    torch.testing.assert_close(network(x, {"normal": same}), shared, rtol=0, atol=1e-12)
    same[1] = same[1].flip(-1)
    assert not torch.allclose(network(x, {"normal": same}), shared)


def test_costs_depend_on_the_stage() -> None:
    network = NasBench201("nasbench201", channels=4, cells=6).supernet((1, 8, 8), 10, FanOut)
    assert [(site.channels, site.pixels) for site in network.sites] == [(4, 64)] * 2 + [(8, 16)] * 2 + [(16, 4)] * 2
    paper = NasBench201("nasbench201", channels=16, cells=15)
    with torch.device("meta"):
        sites = paper.supernet((3, 32, 32), 10, FanOut).sites
    macs = sum(resources("nor_conv_3x3", site.channels, site.pixels, 1).macs for site in sites)
    assert macs == 35_389_440  # of one 3x3 convolution in every cell, as the benchmark counts it
