"""From strengths to cells (systems sheet, sections 1.3, 2.6 property 7, and 4; the stochastic sheet, 1.2)."""

from __future__ import annotations

import pytest
import torch

from nas_cli.errors import InputError
from nas_cli.networks.choices import Choices, Nodes, all_pairs
from nas_cli.strategies.gradient.derivation import Argmax, SkipLimit, TopK

NAMES = ("none", "skip_connect", "conv")
ONE_NODE = Choices(((0, 3), (1, 3), (2, 3)), (NAMES,) * 3)
WORKED = torch.tensor([[0.80, 0.15, 0.05], [0.10, 0.30, 0.60], [0.30, 0.36, 0.34]])


def test_the_worked_example() -> None:
    assert TopK(2)("normal", ONE_NODE, WORKED) == ((("conv", 1), ("skip_connect", 2)),)
    assert TopK(1)("normal", ONE_NODE, WORKED) == ((("conv", 1),),)


def test_weighed_edges_change_the_choice() -> None:
    """Section 3, property (f): with edge weights .7, .1, .2 edge 1 falls to .06."""
    rows = WORKED * torch.tensor([[0.7], [0.1], [0.2]])
    assert TopK()("normal", ONE_NODE, rows) == ((("skip_connect", 0), ("skip_connect", 2)),)


def test_pairs_stand_in_order_of_strength() -> None:
    rows = torch.tensor([[0.1, 0.4, 0.5], [0.0, 0.1, 0.9], [0.3, 0.6, 0.1]])
    assert TopK(2)("normal", ONE_NODE, rows) == ((("conv", 1), ("skip_connect", 2)),)


def test_among_equals_the_lower_source_and_the_first_operation_stay() -> None:
    rows = torch.full((3, 3), 1 / 3)
    assert TopK(2)("normal", ONE_NODE, rows) == ((("skip_connect", 0), ("skip_connect", 1)),)


def test_none_is_never_chosen_but_weakens_its_edge() -> None:
    rows = torch.tensor([[0.98, 0.01, 0.01], [0.98, 0.00, 0.02], [0.97, 0.03, 0.00]])
    assert TopK(2)("normal", ONE_NODE, rows) == ((("skip_connect", 2), ("conv", 1)),)


def test_every_node_and_every_list_of_its_own() -> None:
    edges = all_pairs(2, 2)  # 0-2, 1-2, 0-3, 1-3, 2-3
    choices = Choices(edges, (("a", "none"), ("b", "c"), ("d", "e"), ("none", "f"), ("g", "h")))
    rows = torch.tensor([[0.1, 0.9], [0.3, 0.7], [0.9, 0.1], [0.8, 0.2], [0.5, 0.5]])
    assert TopK()("normal", choices, rows) == ((("c", 1), ("a", 0)), (("d", 0), ("g", 2)))


def test_where_a_space_keeps_all_edges_they_stand_in_order_and_none_is_an_operation() -> None:
    whole = Choices(ONE_NODE.edges, ONE_NODE.operations, inputs=None)
    assert TopK()("cell", whole, WORKED) == ((("none", 0), ("conv", 1), ("skip_connect", 2)),)
    assert TopK(2)("cell", whole, WORKED) == ((("none", 0), ("conv", 1)),)  # by strength, as asked for


def test_a_space_s_own_number_of_inputs() -> None:
    recurrent = Choices(ONE_NODE.edges, ONE_NODE.operations, inputs=1)
    assert TopK()("recurrent", recurrent, WORKED) == ((("conv", 1),),)


def test_at_least_one_edge() -> None:
    with pytest.raises(InputError, match="edges must be at least 1 or null, not 0"):
        TopK(0)


class TestArgmax:
    def test_an_edge_whose_strongest_is_none_vanishes(self) -> None:
        assert Argmax()("normal", ONE_NODE, WORKED) == ((("conv", 1), ("skip_connect", 2)),)

    def test_a_node_may_lose_every_edge_or_keep_all(self) -> None:
        nothing = torch.tensor([[0.9, 0.1, 0.0]] * 3)
        assert Argmax()("normal", ONE_NODE, nothing) == ((),)
        everything = torch.tensor([[0.0, 0.1, 0.9]] * 3)
        assert Argmax()("normal", ONE_NODE, everything) == ((("conv", 0), ("conv", 1), ("conv", 2)),)

    def test_none_stays_where_a_space_keeps_all_edges(self) -> None:
        whole = Choices(ONE_NODE.edges, ONE_NODE.operations, inputs=None)
        assert Argmax()("cell", whole, WORKED) == ((("none", 0), ("conv", 1), ("skip_connect", 2)),)


PAIRS = all_pairs(2, 4)
FULL = Choices(PAIRS, (NAMES,) * 14)


def skips(nodes: Nodes) -> int:
    return sum(name == "skip_connect" for node in nodes for name, _ in node)


def edges_of(nodes: Nodes) -> set[tuple[int, int, str]]:
    return {(source, target, name) for target, node in enumerate(nodes, 2) for name, source in node}


class TestSkipLimit:
    def test_a_skip_that_gives_way_takes_its_next_best_and_its_node_is_ranked_anew(self) -> None:
        # Every edge a skip but for edge 0 of node 5; the strengths of the skips rise from edge to edge.
        rows = torch.tensor([[0.0, 0.60 + 0.01 * row, 0.10] for row in range(14)])
        rows[9] = torch.tensor([0.0, 0.05, 0.30])
        found = SkipLimit()("normal", FULL, rows)
        assert skips(found) == 2
        # The two strongest skips, of edges 2-5 and 3-5 into the last node, stay: rows 12 and 13.
        assert found[3] == (("skip_connect", 3), ("skip_connect", 4))
        # Node 2 has no other edges, so both take their next best; node 4 falls to its two first sources.
        assert found[0] == (("conv", 0), ("conv", 1))
        assert found[2] == (("conv", 0), ("conv", 1))

    def test_the_weakest_gives_way_first_and_another_edge_may_take_its_place(self) -> None:
        choices = Choices(((0, 3), (1, 3), (2, 3)), (NAMES,) * 3)
        rows = torch.tensor([[0.0, 0.50, 0.10], [0.0, 0.40, 0.05], [0.0, 0.10, 0.20]])
        assert SkipLimit(2)("normal", choices, rows) == ((("skip_connect", 0), ("skip_connect", 1)),)
        assert SkipLimit(1)("normal", choices, rows) == ((("skip_connect", 0), ("conv", 2)),)
        # Without edge 1's skip it is at .05, below edges 2 and 0.
        assert SkipLimit(0)("normal", choices, rows) == ((("conv", 0), ("conv", 2)),)

    @pytest.mark.parametrize("seed", range(20))
    def test_random_strengths(self, seed: int) -> None:
        rows = torch.rand(14, 3, generator=torch.Generator().manual_seed(seed)).softmax(dim=1)
        rows[:, 1] += 0.1  # skips are liked
        plain, limited = TopK()("normal", FULL, rows), SkipLimit()("normal", FULL, rows)
        assert skips(limited) == min(skips(plain), 2)
        assert all([source for _, source in node] == sorted(source for _, source in node) for node in limited)
        assert all(len({source for _, source in node}) == 2 for node in limited)
        assert all(name != "none" for node in limited for name, _ in node)
        # Where there is nothing to do it is top-k, and the reduction cell is always that.
        assert edges_of(SkipLimit()("reduce", FULL, rows)) == edges_of(plain)
        assert edges_of(SkipLimit(8)("normal", FULL, rows)) == edges_of(plain)
        # Idempotent: a limit on top of a cell that keeps it changes nothing.
        kept = torch.tensor(FULL.one_hot(limited)) + 1e-3 * torch.tensor([0.0, 0.0, 1.0])
        assert edges_of(SkipLimit()("normal", FULL, kept)) == edges_of(limited)
        # The skips that stay were among those of the plain cell or took the place of none stronger.
        assert SkipLimit()("normal", FULL, rows) == limited

    def test_an_edge_of_nothing_but_skip_and_none_keeps_its_skip(self) -> None:
        choices = Choices(all_pairs(2, 1), (("none", "skip_connect"),) * 2)
        rows = torch.tensor([[0.5, 0.5], [0.4, 0.6]])
        assert SkipLimit(0)("normal", choices, rows) == ((("skip_connect", 0), ("skip_connect", 1)),)

    def test_such_an_edge_gives_way_to_another(self) -> None:
        choices = Choices(ONE_NODE.edges, (("none", "skip_connect"), ("none", "conv"), ("none", "conv")))
        rows = torch.tensor([[0.1, 0.9], [0.9, 0.1], [0.9, 0.1]])
        assert SkipLimit(0)("normal", choices, rows) == ((("conv", 1), ("conv", 2)),)
        assert SkipLimit(1)("normal", choices, rows) == ((("skip_connect", 0), ("conv", 1)),)

    def test_a_cell_without_skips(self) -> None:
        choices = Choices(all_pairs(2, 1), (("a", "b"),) * 2)
        assert SkipLimit(0)("normal", choices, torch.tensor([[0.5, 0.4], [0.1, 0.2]])) == ((("a", 0), ("b", 1)),)

    def test_the_limit_is_no_negative_number(self) -> None:
        with pytest.raises(InputError, match="limit must be at least 0, not -1"):
            SkipLimit(-1)
