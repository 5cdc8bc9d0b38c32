"""MAML++: weights of the losses after each step, rates and norms of each step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from made_up import CPU, MadeUp
from torch import nn

from nas_cli.data.episodes import Episodes
from nas_cli.learner import Learner, step_weights
from nas_cli.seeding import seeded
from nas_cli.task import Task

EPISODES = Episodes(ways=2, shots=2, queries=3, train_classes=2)


def network() -> nn.Module:
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(1, 2, 3, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Softplus(), nn.Flatten(), nn.Linear(32, 2)
        ).double()


def task(made: nn.Module, number: int = 0) -> Task:
    episode = EPISODES.train(MadeUp(), 0, CPU.device).episode(number)
    for part in ("support", "query"):
        images, labels = getattr(episode, part)
        object.__setattr__(episode, part, (images.double(), labels))
    return Task(made, episode, CPU, "transductive")


def learner(made: nn.Module, steps: int = 3, rates: bool = False, norms: bool = False) -> Learner:
    return Learner(made, steps, 0.1, rates, norms)


def test_step_weights_fall_but_for_the_last_s() -> None:
    assert step_weights(5, 7, 0) == [0, 0, 0, 0, 1]
    assert step_weights(5, 0, 10) == pytest.approx([0.2] * 5)
    # At epoch 5 of 10: others 1/5 - 5/50, the last 1/5 + 5 * 4/50.
    assert step_weights(5, 5, 10) == pytest.approx([0.1] * 4 + [0.6])
    for epoch in (10, 100):
        assert step_weights(5, epoch, 10) == pytest.approx([0.006] * 4 + [0.976])
    for epoch in range(20):
        assert sum(step_weights(5, epoch, 10)) == pytest.approx(1)


def test_plain_steps_are_gradient_descent() -> None:
    made = network()
    expected = {name: value.detach().clone() for name, value in made.named_parameters()}
    for _ in range(2):
        values = {name: value.requires_grad_() for name, value in expected.items()}
        slopes = torch.autograd.grad(task(made).support(values, {}), list(values.values()))
        expected = {
            name: value.detach() - 0.1 * slope for (name, value), slope in zip(values.items(), slopes, strict=True)
        }
    before = {name: value.clone() for name, value in made.state_dict().items()}
    *_, found = learner(made).adapted(task(made), 2, False)
    for name, value in expected.items():
        assert torch.allclose(found[name], value)
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def query(made: nn.Module, learnt: Learner, steps: int, second: bool) -> torch.Tensor:
    one = task(made)
    *_, weights = learnt.adapted(one, steps, second)
    return one.query(weights, {})


@pytest.mark.parametrize("norms", [False, True])
def test_the_gradient_in_everything_learnt_against_differences(norms: bool) -> None:
    """Exact with second order; the first order's is exact in the rates of the last step alone."""
    made = network()
    learnt = learner(made, rates=True, norms=norms)
    exact = torch.autograd.grad(query(made, learnt, 3, True), learnt.meta)
    first = torch.autograd.grad(query(made, learnt, 3, False), learnt.meta)
    generator = torch.Generator().manual_seed(1)
    for place, tensor in enumerate(learnt.meta):
        direction = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                tensor += sign * 1e-4 * direction
            values.append(query(made, learnt, 3, False).item())
            with torch.no_grad():
                tensor -= sign * 1e-4 * direction
        difference = (values[0] - values[1]) / 2e-4
        assert (exact[place] * direction).sum().item() == pytest.approx(difference, rel=1e-5, abs=1e-8)
    rates = [place for place, tensor in enumerate(learnt.meta) if tensor.shape == (3,)]
    assert rates
    for place in rates:
        assert torch.allclose(first[place][-1], exact[place][-1], atol=1e-12)
    assert any(not torch.allclose(a, b, rtol=1e-3) for a, b in zip(first, exact, strict=True))


def test_later_steps_take_what_the_last_one_learnt() -> None:
    made = network()
    learnt = learner(made, steps=2, rates=True, norms=True)
    with torch.no_grad():
        for values in learnt.state_dict()["norms"].values():
            values[0] += 1.0
            values[1] -= 1.0
    found = list(learnt.adapted(task(made), 4, False))
    scale = [weights["1.weight"].detach() for weights in found]
    assert torch.equal(scale[0], torch.full((2,), 2.0).double())
    assert torch.equal(scale[1], torch.zeros(2).double())
    assert torch.equal(scale[3], scale[1])


def test_what_is_learnt() -> None:
    made = network()
    assert len(learner(made).meta) == 5
    whole = learner(made, rates=True, norms=True)
    # Convolution, linear weight and bias with a rate each, and the two vectors of the norm.
    assert sorted(tuple(value.shape) for value in whole.meta) == sorted(
        [(2, 1, 3, 3), (2, 32), (2,), (3,), (3,), (3,), (3, 2), (3, 2)]
    )
    assert all(value.is_leaf and value.requires_grad for value in whole.meta)


def test_a_state_goes_back() -> None:
    made: Any = network()
    first = learner(made, rates=True, norms=True)
    state = {part: {name: value + 1 for name, value in values.items()} for part, values in first.state_dict().items()}
    second = learner(network(), rates=True, norms=True)
    second.load_state_dict(state)
    for part, values in second.state_dict().items():
        assert all(torch.equal(value, state[part][name]) for name, value in values.items())
