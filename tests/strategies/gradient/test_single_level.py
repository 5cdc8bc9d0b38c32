"""Penalties on the architecture, and one level for both (stochastic sheet, section 1.2)."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from searches import (
    EPOCHS,
    alphas,
    finish,
    relaxation,
    search,
)
from torch import Tensor

from nas_cli.errors import DivergedError
from nas_cli.estimators.shared_weights import EdgeWeights
from nas_cli.strategies.gradient.architecture_gradient import FirstOrder, SingleLevel
from nas_cli.strategies.gradient.optimizers import Adam
from nas_cli.strategies.gradient.regularisers import Regulariser
from nas_cli.strategies.gradient.relaxation import Relaxation


class Price(Regulariser):
    """Half the squared distance of the edge weights from 1, many times over."""

    def penalty(self, relaxation: Relaxation, weights: EdgeWeights) -> Tensor:
        return 100 * torch.stack([(rows - 1).square().sum() / 2 for rows in weights.values()]).sum()


class Bad(Regulariser):
    def penalty(self, relaxation: Relaxation, weights: EdgeWeights) -> Tensor:
        return next(iter(weights.values())).sum() * math.nan


def test_penalties_are_added_to_the_architecture_s_gradient_alone() -> None:
    found = {}
    for price in (False, True):
        made = search(regularisers={"price": Price(), "nothing": Regulariser()} if price else {})
        made._begin()
        inner = relaxation(made)
        weights = inner.weights()
        slopes = {kind: torch.ones_like(rows) for kind, rows in weights.items()}
        found[price] = inner.gradient(weights, slopes)
        if price:
            penalty = Price().penalty(inner, inner.weights())
            wanted = torch.autograd.grad(penalty, list(inner.parameters.values()))
            for with_price, without, part in zip(found[True], found[False], wanted, strict=True):
                torch.testing.assert_close(with_price, without + part)
        made.step()  # and a whole step takes it


def test_a_penalty_that_is_not_finite_is_told() -> None:
    for gradient in (FirstOrder(), SingleLevel()):
        with pytest.raises(DivergedError, match="the penalty of the architecture is nan"):
            search(architecture_gradient=gradient, regularisers={"bad": Bad()}).step()


def test_penalties_of_many_steps_decide_the_cell_in_bilevel_and_single_level() -> None:
    class Skip(Regulariser):
        def penalty(self, relaxation: Relaxation, weights: EdgeWeights) -> Tensor:
            return -1000 * torch.stack([rows[:, 2].sum() for rows in weights.values()]).sum()

    for gradient in (FirstOrder(), SingleLevel()):
        metrics, _ = finish(search(architecture_gradient=gradient, regularisers={"skip": Skip()}, optimizer=Adam(0.3)))
        assert (metrics[-1]["skips_normal"], metrics[-1]["skips_reduce"]) == (4, 4)


def test_a_single_level_step_is_one_backward_pass_of_loss_and_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    made = search(architecture_gradient=SingleLevel(), regularisers={"price": Price()})
    made._begin()
    inner = relaxation(made)
    twin = search(architecture_gradient=SingleLevel(), regularisers={"price": Price()})
    twin._begin()
    batch = twin.shared.train_batch()
    twin.shared.network.train()
    weights = relaxation(twin).weights()
    total = twin.shared.loss(batch, weights) + Price().penalty(relaxation(twin), weights)
    alpha = list(relaxation(twin).parameters.values())
    network = list(twin.shared.network.parameters())
    wanted = torch.autograd.grad(total, [*alpha, *network])

    backwards: list[int] = []
    original = torch.Tensor.backward
    monkeypatch.setattr(torch.Tensor, "backward", lambda *a, **k: backwards.append(1) or original(*a, **k))
    monkeypatch.setattr(torch.autograd, "grad", None)
    slopes: list[Tensor] = []
    move = inner.move

    def seen(gradient: Any = None) -> None:
        assert gradient is None
        slopes.extend(value.grad.clone() for value in inner.parameters.values() if value.grad is not None)
        move()

    inner.move = seen  # type: ignore[method-assign,assignment]
    before = alphas(made)
    made.step()
    assert len(backwards) == 1
    for slope, expected in zip(slopes, wanted, strict=False):
        torch.testing.assert_close(slope, expected)
    assert len(slopes) == len(alpha)
    assert not any(torch.equal(value, before[name]) for name, value in alphas(made).items())
    # The penalty has no say in the weights: the clipped gradient is that of the loss.
    norm = torch.stack([slope.norm() for slope in wanted[len(alpha) :]]).norm()
    factor = min(1.0, 5.0 / norm.item())
    for parameter, expected in zip(made.shared.network.parameters(), wanted[len(alpha) :], strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, factor * expected, rtol=1e-4, atol=1e-6)


def test_single_level_draws_no_held_out_batch() -> None:
    made = search(architecture_gradient=SingleLevel())
    made._begin()
    made.shared.held_out_batch = None  # type: ignore[method-assign,assignment]
    metrics, _ = finish(made)
    assert len(metrics) == EPOCHS
