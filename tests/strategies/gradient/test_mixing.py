"""Softmax mixing (systems sheet, section 2.1, eq. 2, and 2.3)."""

from __future__ import annotations

import pytest
import torch

from nas_cli.networks.choices import Choices, all_pairs
from nas_cli.networks.mixed import FanOut
from nas_cli.networks.operations import search_operation
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient.mixing import Softmax

EDGES = all_pairs(2, 4)
CHOICES = {kind: Choices(EDGES, (tuple("abcdefgh"),) * 14) for kind in ("normal", "reduce")}


def test_parameters_are_small_and_their_number_is_the_papers() -> None:
    with seeded(0):
        parameters = Softmax().initial(CHOICES)
    assert {kind: tuple(value.shape) for kind, value in parameters.items()} == {"normal": (14, 8), "reduce": (14, 8)}
    assert torch.cat([*parameters.values()]).std().item() == pytest.approx(1e-3, rel=0.15)
    assert not torch.equal(parameters["normal"], parameters["reduce"])
    assert not any(value.any() for value in Softmax(initial_scale=0).initial(CHOICES).values())


def test_rows_are_a_softmax() -> None:
    alphas = {"normal": torch.tensor([[0.0, 1.0, 2.0], [5.0, 5.0, 5.0]], requires_grad=True)}
    weights = Softmax().weights(alphas)["normal"]
    expected = torch.tensor([[0.09003057, 0.24472847, 0.66524096], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(weights, expected)
    (slope,) = torch.autograd.grad(weights[0, 2], alphas["normal"])
    torch.testing.assert_close(slope[0], expected[0, 2] * (torch.tensor([0.0, 0.0, 1.0]) - expected[0]))


def test_probabilities_are_the_weights_and_strengths_carry_no_gradient() -> None:
    alphas = {"normal": torch.randn(2, 3, requires_grad=True)}
    probabilities, strengths = Softmax().probabilities(alphas)["normal"], Softmax().strengths(alphas)["normal"]
    torch.testing.assert_close(probabilities, Softmax().weights(alphas)["normal"])
    assert probabilities.requires_grad
    assert torch.equal(strengths, probabilities)
    assert not strengths.requires_grad


def test_edges_compute_all_operations() -> None:
    assert isinstance(Softmax().fan_out([("none", "skip_connect")] * 2, 4, 1, search_operation), FanOut)
