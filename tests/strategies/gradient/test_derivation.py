"""Top-k derivation (systems sheet, sections 1.3 and 2.6, property 7)."""

from __future__ import annotations

import pytest
import torch

from nas_cli.errors import InputError
from nas_cli.networks.choices import Choices, all_pairs
from nas_cli.strategies.gradient.derivation import TopK

NAMES = ("none", "skip", "conv")
ONE_NODE = Choices(((0, 3), (1, 3), (2, 3)), (NAMES,) * 3)


def test_the_worked_example() -> None:
    rows = torch.tensor([[0.80, 0.15, 0.05], [0.10, 0.30, 0.60], [0.30, 0.36, 0.34]])
    assert TopK(2)(ONE_NODE, rows) == ((("conv", 1), ("skip", 2)),)
    assert TopK(1)(ONE_NODE, rows) == ((("conv", 1),),)


def test_pairs_stand_in_order_of_strength() -> None:
    rows = torch.tensor([[0.1, 0.4, 0.5], [0.0, 0.1, 0.9], [0.3, 0.6, 0.1]])
    assert TopK(2)(ONE_NODE, rows) == ((("conv", 1), ("skip", 2)),)


def test_among_equals_the_lower_source_and_the_first_operation_stay() -> None:
    assert TopK(2)(ONE_NODE, torch.full((3, 3), 1 / 3)) == ((("skip", 0), ("skip", 1)),)


def test_none_is_never_chosen_but_weakens_its_edge() -> None:
    rows = torch.tensor([[0.98, 0.01, 0.01], [0.98, 0.00, 0.02], [0.97, 0.03, 0.00]])
    assert TopK(2)(ONE_NODE, rows) == ((("skip", 2), ("conv", 1)),)


def test_every_node_and_every_list_of_its_own() -> None:
    edges = all_pairs(2, 2)  # 0-2, 1-2, 0-3, 1-3, 2-3
    choices = Choices(edges, (("a", "none"), ("b", "c"), ("d", "e"), ("none", "f"), ("g", "h")))
    rows = torch.tensor([[0.1, 0.9], [0.3, 0.7], [0.9, 0.1], [0.8, 0.2], [0.5, 0.5]])
    assert TopK(2)(choices, rows) == ((("c", 1), ("a", 0)), (("d", 0), ("g", 2)))


def test_at_least_one_edge() -> None:
    with pytest.raises(InputError, match="edges must be at least 1, not 0"):
        TopK(0)
