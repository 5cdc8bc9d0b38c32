"""Partial channels with edge normalisation (systems sheet, section 3)."""

from __future__ import annotations

import pytest
import torch

from nas_cli.errors import InputError
from nas_cli.networks.choices import Choices, all_pairs
from nas_cli.networks.operations import search_operation
from nas_cli.networks.supernet import Supernet
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient.derivation import TopK
from nas_cli.strategies.gradient.mixing import Softmax
from nas_cli.strategies.gradient.partial_channels import PartialChannels

DARTS = (
    *("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect"),
    *("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
)
FULL = dict.fromkeys(("normal", "reduce"), Choices(all_pairs(2, 4), (DARTS,) * 14))


def values(mixing: PartialChannels) -> dict[str, torch.Tensor]:
    with seeded(0):
        return {**mixing.initial(FULL), **mixing.fixed(FULL)}


def test_how_many_parameters_there_are() -> None:
    def count(mixing: Softmax | PartialChannels, operations: int = 8) -> int:
        choices = {kind: Choices(open_.edges, (DARTS[:operations],) * 14) for kind, open_ in FULL.items()}
        return sum(value.numel() for value in mixing.initial(choices).values())

    assert count(PartialChannels()) == 252
    assert count(PartialChannels(edge_normalisation=False)) == 224
    assert [count(Softmax(), operations) for operations in (8, 5, 3)] == [224, 140, 84]  # P-DARTS' stages


@pytest.mark.parametrize(("share", "count"), [(4, 299_578), (2, 671_482)])
def test_the_supernets_have_the_published_parameter_counts(share: int, count: int) -> None:
    with torch.device("meta"):
        network = Supernet(FULL, (3, 32, 32), 10, 16, 8, PartialChannels(share).fan_out)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_edge_weights_of_a_node_add_up_to_one() -> None:
    for rows in PartialChannels(initial_scale=1.0).weights(values(PartialChannels(initial_scale=1.0))).values():
        assert rows.shape == (14, 9)
        torch.testing.assert_close(rows[:, :-1].sum(1), torch.ones(14))
        for target in FULL["normal"].targets:
            assert rows[FULL["normal"].rows_into(target), -1].sum().item() == pytest.approx(1)
    even = PartialChannels(initial_scale=0.0)
    edges = even.weights(values(even))["normal"][:, -1].tolist()
    assert edges == pytest.approx([1 / 2] * 2 + [1 / 3] * 3 + [1 / 4] * 4 + [1 / 5] * 5)
    plain = PartialChannels(edge_normalisation=False)
    assert plain.weights(values(plain))["normal"][:, -1].tolist() == [1.0] * 14


def test_the_worked_example() -> None:
    """Property (f): rows of section 2.6 with edge weights .7, .1, .2 keep edges 0 (.105) and 2 (.072)."""
    choices = {"normal": Choices(((0, 3), (1, 3), (2, 3)), (("none", "skip", "conv"),) * 3)}
    rows = torch.tensor([[0.80, 0.15, 0.05], [0.10, 0.30, 0.60], [0.30, 0.36, 0.34]])
    mixing = PartialChannels()
    found = mixing.strengths(
        {"normal": rows.log(), "edges/normal": torch.tensor([0.7, 0.1, 0.2]).log(), **mixing.fixed(choices)}
    )
    assert found["normal"].amax(dim=1).tolist()[1:] == pytest.approx([0.06, 0.072])
    assert found["normal"][0, 1].item() == pytest.approx(0.105)
    assert TopK()("normal", choices["normal"], found["normal"]) == ((("skip", 0), ("skip", 2)),)


def test_derived_cells_have_edges_of_weight_one() -> None:
    mixing = PartialChannels()
    nodes = tuple((("sep_conv_3x3", 0), ("skip_connect", 1)) for _ in range(4))
    rows = mixing.discrete_weights(FULL, {"normal": nodes})["normal"]
    assert rows.shape == (14, 9)
    assert rows[:, -1].tolist() == [float(source < 2) for source, _ in FULL["normal"].edges]
    assert torch.equal(rows[:, :-1].sum(1), rows[:, -1])


def test_gradients_reach_both_kinds_of_parameters() -> None:
    mixing = PartialChannels(initial_scale=1.0)
    leaves = {name: value.requires_grad_() for name, value in mixing.initial(FULL).items()}
    weights = mixing.weights({**leaves, **mixing.fixed(FULL)})
    slopes = torch.autograd.grad([rows.square().sum() for rows in weights.values()], list(leaves.values()))
    assert all(slope.any() for slope in slopes)
    with torch.no_grad():
        mixed = mixing.fan_out([DARTS] * 2, 8, 1, search_operation)
        assert mixed(torch.randn(2, 8, 4, 4), weights["normal"][:2])[0].shape == (2, 8, 4, 4)


def test_range() -> None:
    with pytest.raises(InputError, match="share must be at least 1, not 0"):
        PartialChannels(share=0)
