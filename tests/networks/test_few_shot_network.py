"""T-NAS' network of two cells, and the supernet that holds it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_cli.errors import InputError
from nas_cli.networks.few_shot import FewShotNetwork, FewShotStem
from nas_cli.networks.mixed import FanOut
from nas_cli.networks.operations import FactorizedReduce
from nas_cli.seeding import seeded
from nas_cli.spaces.few_shot_darts import FewShotDarts

OPERATIONS = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_5x5", "avg_pool_3x3")


def space() -> FewShotDarts:
    return FewShotDarts("few_shot_darts", OPERATIONS, nodes=2, channels=4)


def test_the_stem_halves_twice() -> None:
    with seeded(0):
        stem = FewShotStem(3, 16)
        assert stem(torch.randn(2, 3, 84, 84)).shape == (2, 48, 21, 21)
    # 3 -> 24 -> 48 channels, each with a scale and a shift.
    assert sum(value.numel() for value in stem.parameters()) == 3 * 24 * 9 + 48 + 24 * 48 * 9 + 96


@pytest.mark.parametrize("side", [12, 28, 84])
def test_odd_sides_behind_the_stem_are_halved_upwards(side: int) -> None:
    with seeded(0):
        made = space()
        network = made.supernet((1, side, side), 3, FanOut)
        weights = {kind: torch.full(open_.shape, 0.2) for kind, open_ in made.choices.items()}
        x = torch.randn(4, 1, side, side)
        assert network(x, weights).shape == (4, 3)
        maps = network.reduce(
            network.stem(x), network.normal(network.stem(x), network.stem(x), *rows(made, 0)), *rows(made, 1)
        )
    assert maps.shape == (4, 2 * 8, -(-side // 8), -(-side // 8))


def rows(made: FewShotDarts, cell: int) -> list[list[torch.Tensor]]:
    """Equal weights of a cell, by source."""
    choices = list(made.choices.values())[cell]
    count = choices.shape[1]
    return [[torch.full((len(choices.rows_from(source)), count), 0.2) for source in range(3)]]


def test_the_cells_are_those_of_the_architecture() -> None:
    made = space()
    chosen = made.from_cells(
        {
            "normal": ((("sep_conv_3x3", 0), ("skip_connect", 1)), (("avg_pool_3x3", 0), ("dil_conv_5x5", 2))),
            "reduce": ((("skip_connect", 0), ("skip_connect", 1)), (("sep_conv_3x3", 0), ("skip_connect", 2))),
        }
    )
    assert made.decode(made.encode(chosen)) == chosen
    with seeded(0):
        network = made.build(chosen, (1, 28, 28), 3)
        assert network(torch.randn(2, 1, 28, 28)).shape == (2, 3)
    assert isinstance(network, FewShotNetwork)
    names = [type(layer) for layer in network.reduce.modules()]
    assert names.count(FactorizedReduce) == 2  # the strided skips; the third is an identity
    assert names.count(nn.Identity) == 1


def test_a_one_hot_supernet_computes_the_network() -> None:
    """With the weights of the one in the other, in evaluation mode at the initial statistics."""
    made = FewShotDarts("few_shot_darts", ("none", "dil_conv_3x3"), nodes=1, channels=4)
    chosen = made.from_cells(dict.fromkeys(made.choices, ((("dil_conv_3x3", 0), ("dil_conv_3x3", 1)),)))
    with seeded(0):
        network, supernet = made.build(chosen, (1, 20, 20), 3).eval(), made.supernet((1, 20, 20), 3, FanOut).eval()
        x = torch.randn(2, 1, 20, 20)
    there, here = (
        [layer for layer in one.modules() if isinstance(layer, nn.Conv2d | nn.Linear)] for one in (network, supernet)
    )
    for target, source in zip(there, here, strict=True):
        target.load_state_dict(source.state_dict())
    weights = {kind: torch.tensor([[0.0, 1.0], [0.0, 1.0]]) for kind in made.choices}
    assert torch.allclose(network(x), supernet(x, weights), atol=1e-5)
    assert not torch.allclose(network(x), supernet(x, {kind: rows / 2 for kind, rows in weights.items()}), atol=1e-3)


@pytest.mark.parametrize(("side", "told"), [(30, "multiples of 4"), (8, "at least 12")])
def test_sides_that_do_not_fit(side: int, told: str) -> None:
    with pytest.raises(InputError, match=told):
        space().supernet((1, side, side), 3, FanOut)


def test_it_has_two_cells() -> None:
    with pytest.raises(InputError, match="a supernet has 2 cells, not 5"):
        space().supernet((1, 28, 28), 3, FanOut, None, 5)
