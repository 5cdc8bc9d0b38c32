"""A price on costs (stochastic sheet, sections 1.2.4 and 1.7)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from made_up import CPU, MadeUp
from torch import Tensor

from nas_cli.errors import CombinationError, InputError
from nas_cli.estimators.shared_images import SharedImageWeights
from nas_cli.networks.resources import resources
from nas_cli.seeding import seeded
from nas_cli.spaces.darts import DartsSpace
from nas_cli.strategies.gradient.mixing import Mixing, Progress, Softmax
from nas_cli.strategies.gradient.optimizers import Adam
from nas_cli.strategies.gradient.relaxation import Relaxation
from nas_cli.strategies.gradient.resource_penalty import ResourcePenalty
from nas_cli.strategies.gradient.sampling import Gumbel, Sampled
from nas_cli.strategies.gradient.switches import Switches

OPERATIONS = (
    *("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect"),
    *("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
)


class Large(MadeUp):
    """What the sheet's numbers are for: 32x32."""

    input_shape = (1, 32, 32)


def relaxation(mixing: Mixing, penalty: ResourcePenalty | None = None) -> Relaxation:
    space = DartsSpace("darts", OPERATIONS, channels=16, cells=3)
    shared = SharedImageWeights(space, Large(), CPU, 0)
    shared.begin(mixing.fan_out, 1)
    with seeded(0):
        return Relaxation(shared, mixing, space.choices, [penalty] if penalty else [], Adam(), None)


def uniform() -> dict[str, Tensor]:
    return {kind: torch.full((14, 8), 1 / 8) for kind in ("normal", "reduce")}


def plain_params(**options: Any) -> ResourcePenalty:
    return ResourcePenalty(eta=1.0, combine="plain", counted=["params"], **options)


def test_uniform_probabilities_cost_what_the_sheet_says() -> None:
    """396 params an edge, 5544 a cell, of the normal cells at C=16."""
    penalty = plain_params()
    costs = penalty.costs(relaxation(Softmax()))["normal"]  # the only normal cell stands first, at C=16
    assert costs.shape == (1, 14, 8, 1)
    edges = penalty.price(uniform()["normal"], costs) / 0.86  # a plain sum counts 0.43 · 2 params
    assert edges.tolist() == pytest.approx([396] * 14)


def test_the_gradient_of_the_closed_form() -> None:
    """p_k (C^k - p·C) on every edge, in the logits."""
    made = relaxation(Softmax(initial_scale=0.3))
    penalty = plain_params()
    (slope,) = torch.autograd.grad(penalty.penalty(made, {}), made.parameters["normal"])
    p = made.probabilities()["normal"]
    costs = torch.tensor([resources(name, 16, 1024, 1).params for name in OPERATIONS]) * 0.86
    assert torch.allclose(slope, p * (costs - (p @ costs)[:, None]), rtol=1e-4)


def test_the_closed_form_is_the_mean_of_one_hot_costs() -> None:
    made = relaxation(Sampled(initial_scale=1.0))
    closed, drawn = plain_params(), plain_params(method="reparametrization")
    expected = closed.penalty(made, {}).item()
    with seeded(0):
        costs = torch.stack([drawn.penalty(made, made.weights()).detach() for _ in range(2000)])
    assert costs.mean().item() == pytest.approx(expected, abs=4 * costs.std().item() / 2000**0.5)


def test_logarithms_of_costs_below_one_are_zero() -> None:
    penalty = ResourcePenalty(eta=1.0)
    costs = penalty.costs(relaxation(Softmax()))["normal"]
    none = torch.zeros(14, 8)
    none[:, 0] = 1
    assert penalty.price(none, costs).sum() == 0
    weights = uniform()["normal"]
    table = torch.tensor([resources(name, 16, 1024, 1) for name in OPERATIONS], dtype=torch.float32)
    assert penalty.price(weights, costs)[0].item() == pytest.approx(table.mean(0).log().mean().item(), rel=1e-5)


@pytest.mark.parametrize("baseline", [False, True])
def test_the_score_function_points_where_the_closed_form_does(baseline: bool) -> None:
    made = relaxation(Sampled(initial_scale=0.3))
    scored = plain_params(method="policy_gradient", baseline=baseline)
    with seeded(0):
        drawn = [
            torch.autograd.grad(scored.penalty(made, made.weights()), made.parameters["normal"])[0] for _ in range(400)
        ]
    (exact,) = torch.autograd.grad(plain_params().penalty(made, {}), made.parameters["normal"])
    mean = torch.stack(drawn).mean(0)
    assert torch.nn.functional.cosine_similarity(mean.flatten(), exact.flatten(), dim=0) > 0.9


def test_the_baseline_is_the_mean_price_of_an_operation_whatever_was_drawn() -> None:
    """So the surrogate is score · (price - level), and the draw itself is in no level."""
    made = relaxation(Sampled(initial_scale=1.0))
    with_level, without = (plain_params(method="policy_gradient", baseline=baseline) for baseline in (True, False))
    costs = with_level.costs(made)
    level = torch.cat([table.flatten() for table in costs.values()]).mean() * 0.86
    with seeded(0):
        for _ in range(3):
            weights = made.weights()
            score = torch.cat(list(made.mixing.log_probability(made.values, weights).values())).sum()
            found = without.penalty(made, weights) - with_level.penalty(made, weights)
            assert found.item() == pytest.approx((level * score).item(), rel=1e-4)


def test_layers_with_cells_of_their_own_cost_together_what_a_shared_cell_costs() -> None:
    found = []
    for shared_cells in (True, False):
        space = DartsSpace("darts", OPERATIONS, channels=16, cells=5, shared_cells=shared_cells)
        shared = SharedImageWeights(space, Large(), CPU, 0)
        mixing = Softmax(initial_scale=0.0)
        shared.begin(mixing.fan_out, 1)
        made = Relaxation(shared, mixing, space.choices, [], Adam(), None)
        found.append(ResourcePenalty(eta=1.0).penalty(made, {}).item())
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_no_price_no_gradient_and_a_price_pulls_towards_free_operations() -> None:
    made = relaxation(Softmax())
    (slope,) = torch.autograd.grad(ResourcePenalty(eta=0.0).penalty(made, {}), made.parameters["normal"])
    assert not slope.any()
    (slope,) = torch.autograd.grad(ResourcePenalty(eta=1.0).penalty(made, {}), made.parameters["normal"])
    assert (slope.argmax(dim=1) == OPERATIONS.index("sep_conv_5x5")).all()
    assert (slope.argmin(dim=1) == OPERATIONS.index("none")).all()


def test_expected_costs_are_reported() -> None:
    penalty = ResourcePenalty()
    made = relaxation(Softmax(initial_scale=0.0), penalty)
    found = penalty.end_epoch(made, Progress(0, 1))
    assert list(found) == ["expected_params", "expected_macs", "expected_memory"]
    assert found["expected_params"] > 5544


def test_what_does_not_go_together_is_refused() -> None:
    shared = relaxation(Softmax()).shared
    with pytest.raises(CombinationError, match="policy_gradient: Softmax draws no edge weights"):
        ResourcePenalty(method="policy_gradient").check(Softmax(), shared)
    ResourcePenalty(method="policy_gradient").check(Gumbel(), shared)
    with pytest.raises(CombinationError, match="switches do not"):
        ResourcePenalty().check(Switches(), shared)


@pytest.mark.parametrize(("option", "bad"), [("eta", -1.0), ("counted", []), ("counted", ["params", "params"])])
def test_ranges(option: str, bad: Any) -> None:
    with pytest.raises(InputError, match=option):
        ResourcePenalty(**{option: bad})
