"""The derivation by entropy: several operations on an edge, and the repair of what is left (sheet, section 2.3)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nas_cli.errors import InputError
from nas_cli.networks.choices import Choices, all_pairs
from nas_cli.strategies.gradient.derivation import TopK
from nas_cli.strategies.gradient.entropy import Entropy

NAMES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
CHOICES = Choices(all_pairs(2, 2), (NAMES,) * 5)  # edges 0-2, 1-2, 0-3, 1-3, 2-3


def strengths(**entries: float) -> Tensor:
    """Variances of 0.01 but for those named, ``e0_max_pool_3x3``."""
    table = torch.full((5, 4), 0.01)
    table[:, 0] = 0
    for name, value in entries.items():
        edge, _, operation = name.partition("_")
        table[int(edge[1:]), NAMES.index(operation)] = value
    return table


def test_all_that_has_entropy_stays_in_the_order_of_the_edges() -> None:
    table = strengths(
        e0_sep_conv_3x3=0.5, e0_max_pool_3x3=0.1, e1_skip_connect=2, e3_skip_connect=0.06, e4_max_pool_3x3=9
    )
    assert Entropy()("normal", CHOICES, table) == (
        (("max_pool_3x3", 0), ("sep_conv_3x3", 0), ("skip_connect", 1)),
        (("skip_connect", 1), ("max_pool_3x3", 2)),
    )


@pytest.mark.parametrize(("variance", "kept"), [(0.0585, False), (0.0586, True), (0.05854983152431917, False)])
def test_the_threshold(variance: float, kept: bool) -> None:
    table = strengths(e0_skip_connect=1, e1_skip_connect=variance)
    assert (("skip_connect", 1) in Entropy()("normal", CHOICES, table)[0]) == kept


def test_none_never_stays() -> None:
    assert Entropy()("normal", CHOICES, strengths(e0_none=5, e0_skip_connect=1)) == ((("skip_connect", 0),), ())


def test_an_edge_out_of_a_node_without_inputs_goes() -> None:
    table = strengths(e4_sep_conv_3x3=5, e3_skip_connect=1)
    assert Entropy()("normal", CHOICES, table) == ((), (("skip_connect", 1),))


def test_nothing_left_is_repaired_by_the_largest_variance_into_each_node() -> None:
    """Also where what lives hangs on a node that nothing reaches."""
    table = strengths(e1_max_pool_3x3=0.03, e4_sep_conv_3x3=5)
    assert Entropy()("normal", CHOICES, table) == ((("max_pool_3x3", 1),), (("sep_conv_3x3", 2),))
    table = strengths(e0_skip_connect=0.05, e2_sep_conv_3x3=0.04)
    assert Entropy()("normal", CHOICES, table) == ((("skip_connect", 0),), (("sep_conv_3x3", 0),))
    assert all(Entropy()("normal", CHOICES, torch.zeros(5, 4)))


def test_a_cell_that_has_all_edges_has_one_operation_or_none_on_each() -> None:
    choices = Choices(((0, 1), (0, 2), (1, 2)), (NAMES,) * 3, inputs=None)
    table = torch.tensor([[0.0, 0.1, 0.3, 0.2], [9.0, 0.01, 0.05, 0.04], [0.0, 0.01, 0.0, 0.07]])
    assert Entropy()("cell", choices, table) == ((("skip_connect", 0),), (("none", 0), ("sep_conv_3x3", 1)))


def test_the_same_variances_make_a_cell_of_pairs() -> None:
    """`top_k`: the two strongest edges of a node, each with the operation of the largest variance."""
    table = strengths(e0_sep_conv_3x3=0.5, e0_max_pool_3x3=0.1, e1_skip_connect=2, e2_skip_connect=3, e4_max_pool_3x3=9)
    assert TopK()("normal", CHOICES, table) == (
        (("skip_connect", 1), ("sep_conv_3x3", 0)),
        (("max_pool_3x3", 2), ("skip_connect", 0)),
    )


def test_a_threshold_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"threshold must be above 0, not 0\.0"):
        Entropy(threshold=0.0)
