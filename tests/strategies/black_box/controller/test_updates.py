"""What is maximised: numbers by hand, and the exact gradient of a softmax."""

from __future__ import annotations

import pytest
import torch
from token_spaces import recurrent

from nas_cli.errors import InputError
from nas_cli.strategies.black_box.controller.policy import Controller
from nas_cli.strategies.black_box.controller.updates import PPO, Reinforce


@pytest.mark.parametrize(
    ("ratio", "advantage", "value", "moves"),
    [(1.5, 1.0, 1.2, False), (0.5, 1.0, 0.5, True), (0.5, -1.0, -0.8, False), (1.5, -1.0, -1.5, True)],
)
def test_the_clipped_objective(ratio: float, advantage: float, value: float, moves: bool) -> None:
    log_prob = torch.tensor([ratio], dtype=torch.float64).log().requires_grad_()
    gain = PPO(0.2).gain(log_prob, torch.zeros(1), torch.tensor([advantage]))
    gain.backward()
    assert gain.item() == pytest.approx(value, abs=1e-12)
    assert log_prob.grad is not None
    assert log_prob.grad.item() == (pytest.approx(ratio * advantage, abs=1e-12) if moves else 0)


def test_the_gradient_of_reinforce_in_the_logits() -> None:
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    loss = -Reinforce().gain(torch.log_softmax(logits, 0)[2], torch.zeros(()), torch.tensor(0.5))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx([1 / 6, 1 / 6, -1 / 3])


@pytest.mark.parametrize("baseline", [0.0, 2.0, -7.5])
def test_the_expected_gradient_is_the_exact_one_whatever_the_baseline(baseline: float) -> None:
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    log_p = torch.log_softmax(logits, 0)
    rewards = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    (log_p.detach().exp() * Reinforce().gain(log_p, log_p.detach(), rewards - baseline)).sum().backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx([-1 / 3, 0, 1 / 3], abs=1e-12)


def test_the_first_epoch_of_ppo_has_the_gradient_of_reinforce() -> None:
    space = recurrent(4)
    policy = Controller().policy(space, 0).double()
    sequences, sampled = policy.sample(torch.rand(10, len(space.decisions), dtype=torch.float64))
    advantage = torch.linspace(-0.5, 0.7, 10, dtype=torch.float64)
    slopes = []
    for update in (Reinforce(), PPO()):
        policy.zero_grad()
        score = policy.score(sequences)
        assert torch.equal(score.log_prob.detach(), sampled.log_prob)
        update.gain(score.log_prob, sampled.log_prob, advantage).mean().backward()
        slopes.append([parameter.grad.clone() for parameter in policy.parameters() if parameter.grad is not None])
    assert max(float((one - other).abs().max()) for one, other in zip(*slopes, strict=True)) == 0.0
    assert max(float(one.abs().max()) for one in slopes[0]) > 0


def test_an_old_sample_that_became_far_likelier_makes_no_nan() -> None:
    log_prob = torch.tensor([0.0, 0.0], requires_grad=True)
    gain = PPO().gain(log_prob, torch.tensor([-1000.0, 1000.0]), torch.tensor([-1.0, 0.0]))
    gain.sum().backward()
    assert bool(gain.isfinite().all())
    assert log_prob.grad is not None
    assert bool(log_prob.grad.isfinite().all())


def test_news_of_an_epoch() -> None:
    found = PPO(0.2).news(torch.tensor([0.5, 1.0, 1.1, 1.4]).log(), torch.zeros(4))
    assert found == {"ratio": pytest.approx(1.0), "clipped": 0.5}
    assert Reinforce().news(torch.zeros(1), torch.zeros(1)) == {}


@pytest.mark.parametrize("options", [{"clip": 0.0}, {"clip": 1.0}, {"epochs": 0}])
def test_options_that_are_refused(options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(InputError, match=name):
        PPO(**options)  # type: ignore[arg-type]
