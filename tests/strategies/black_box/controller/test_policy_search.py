"""The strategy: batches, baselines, pending samples, growth, resuming, and that it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from checkpoints import saved
from policy_searches import searcher, told, weights
from token_spaces import chain, macro, micro, recurrent

from nas_cli.architecture import Architecture
from nas_cli.errors import DivergedError, InputError
from nas_cli.spaces.base import Space
from nas_cli.spaces.functions import Branin
from nas_cli.strategies.black_box.controller.baseline import MovingAverage
from nas_cli.strategies.black_box.controller.growth import Growth, Steps
from nas_cli.strategies.black_box.controller.policy import Controller
from nas_cli.strategies.black_box.controller.updates import PPO, Reinforce, Update


def share(target: tuple[Any, ...], architecture: Architecture) -> float:
    return sum(map(lambda one, other: one == other, target, architecture.decisions)) / len(target)


@pytest.mark.parametrize(("space", "update"), [(recurrent(8), Reinforce()), (macro(6, 4), PPO())])
def test_it_learns_what_is_rewarded(space: Space, update: Update) -> None:
    """The share of decisions as in a hidden target, of the first batch and of the last five; the slow test has 100."""
    first, last = learnt(space, update, 0, 30)
    assert last > first + 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("update", [Reinforce, PPO])
@pytest.mark.parametrize("space", [recurrent(8), macro(6, 6)], ids=["recurrent", "macro"])
def test_it_learns_in_100_updates(space: Space, update: Callable[[], Update], seed: int) -> None:
    first, last = learnt(space, update(), seed, 100)
    assert last >= first + 0.1


def learnt(space: Space, update: Update, seed: int, updates: int) -> tuple[float, float]:
    drawn = torch.Generator().manual_seed(1000 + seed)
    target = tuple(
        values[int(torch.randint(len(values), (), generator=drawn))]
        for values in (decision.values() or () for decision in space.decisions)
    )
    made = searcher(space, update, seed, batch=20, evaluations=20 * updates)
    means = []
    for _ in range(updates):
        scores = []
        for candidate in made.ask(20, []):
            scores.append(share(target, candidate.architecture))
            told(made, candidate, scores[-1])
        means.append(sum(scores) / 20)
    return means[0], sum(means[-5:]) / 5


def test_an_update_is_one_step_of_adam_on_the_batch_alone() -> None:
    """Against a loss written down again: (R - b) of a batch with the baseline of before it, and the entropy."""
    space = recurrent(3)
    made = searcher(space, batch=3, entropy_weight=0.1, learning_rate=0.01)
    twin = searcher(space, batch=3, entropy_weight=0.1, learning_rate=0.01)
    optimizer = torch.optim.Adam(twin.policy.parameters(), 0.01)
    baseline = 0.0
    for batch, rewards in enumerate(([0.2, 0.5, 0.8], [0.9, 0.1, 0.3])):
        candidates = made.ask(3, [])
        for candidate, reward in zip(candidates, rewards, strict=True):
            told(made, candidate, reward)
        baseline = rewards[0] if batch == 0 else baseline
        sequences = torch.tensor(
            [
                [d.values().index(v) for d, v in zip(space.decisions, c.architecture.decisions, strict=True)]  # type: ignore[union-attr]
                for c in candidates
            ]
        )
        score = twin.policy.score(sequences)
        loss = -sum(((r - baseline) * score.log_prob[k] + 0.1 * score.entropy[k]) / 3 for k, r in enumerate(rewards))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()
        for reward in rewards:
            baseline = 0.95 * baseline + 0.05 * reward
        assert torch.allclose(weights(made), weights(twin), rtol=0, atol=1e-5)
        news = made.news()
        assert [line["update"] for line in news] == [batch + 1]
        assert news[0]["baseline"] == pytest.approx(baseline)
        assert news[0]["reward"] == pytest.approx(sum(rewards) / 3)
        assert news[0]["evaluations"] == 3 * batch + 3
    assert made.news() == []


def test_batches_are_accumulated_before_a_step() -> None:
    space = macro(3, 2)
    made = searcher(space, batch=2, accumulate=3)
    before = weights(made)
    for k, candidate in enumerate(made.ask(6, [])):
        assert torch.equal(weights(made), before)
        told(made, candidate, [0.1, 0.9, 0.4, 0.3, 0.8, 0.5][k])
    assert not torch.equal(weights(made), before)
    assert [line["update"] for line in made.news()] == [1]
    # With the same policy one batch of six differs in its baseline alone.
    average = MovingAverage()
    assert made.baseline.value == pytest.approx(
        [average.advantages([r]) and average.value for r in (0.1, 0.9, 0.4, 0.3, 0.8, 0.5)][-1]
    )


def test_results_are_taken_in_the_order_in_which_they_are_told() -> None:
    """The baseline starts at the first reward that is told, not at that of the first sample."""
    made = searcher(recurrent(4), batch=2)
    first, second = made.ask(2, [])
    told(made, second, 0.8)
    told(made, first, 0.2)
    assert made.baseline.value == pytest.approx(0.95 * 0.8 + 0.05 * 0.2)


def test_ppo_weighs_by_the_policy_that_sampled() -> None:
    """Samples of before an update: their ratio is not 1 in the first epoch of the next."""
    made = searcher(recurrent(6), PPO(epochs=1), batch=4, learning_rate=0.05)
    old = made.ask(4, [])
    for candidate, score in zip(made.ask(4, []), (0.1, 0.9, 0.5, 0.2), strict=True):
        told(made, candidate, score)
    (news,) = made.news()
    assert news["ratio"] == pytest.approx(1, abs=1e-5)
    for candidate, score in zip(old, (0.3, 0.6, 0.5, 0.2), strict=True):
        told(made, candidate, score)
    (news,) = made.news()
    assert abs(news["ratio"] - 1) > 1e-3


def test_a_failed_candidate_is_worth_the_least_so_far() -> None:
    made = searcher(macro(3, 2), batch=3)
    candidates = made.ask(5, [])
    told(made, candidates[0], None)  # nothing to compare with: left out
    assert made.lowest is None
    for candidate, score in zip(candidates[1:4], (-0.5, None, -0.25), strict=True):
        told(made, candidate, score)
    (news,) = made.news()
    assert news["reward"] == pytest.approx((-0.5 - 0.5 - 0.25) / 3)
    assert news["evaluations"] == 4
    assert bool(weights(made).isfinite().all())


def test_nothing_but_failures_teaches_nothing() -> None:
    made = searcher(macro(3, 2), batch=2)
    before = weights(made)
    for candidate in made.ask(10, []):
        told(made, candidate, None)
    assert torch.equal(weights(made), before)
    assert made.news() == []


def test_one_architecture_can_be_pending_twice() -> None:
    space = macro(2, 1)  # two architectures
    made = searcher(space, batch=6)
    candidates = made.ask(6, [])
    assert len({candidate.architecture for candidate in candidates}) < 6
    for candidate in candidates:
        told(made, candidate, 0.5)
    assert len(made.news()) == 1
    with pytest.raises(InputError, match="was not asked for"):
        told(made, candidates[0], 0.5)


@pytest.mark.parametrize("resumed", [False, True])
def test_of_equal_architectures_the_trial_s_own_sample_is_taken(resumed: bool) -> None:
    """One was sampled before an update and is judged still; one after it has a ratio of 1 in the next."""
    made = searcher(macro(2, 1), PPO(epochs=1), batch=6, learning_rate=0.05)
    old = made.ask(6, [])
    for index, candidate in enumerate(made.ask(6, []), start=6):
        told(made, candidate, float(candidate.architecture.decisions[2] or 0), index)
    new = made.ask(6, [])
    assert {c.architecture for c in new} <= {c.architecture for c in old}
    if resumed:
        state = saved(made.state_dict())
        made = searcher(macro(2, 1), PPO(epochs=1), batch=6, learning_rate=0.05)
        made.load_state_dict(state)
    made.news()
    before = {made._pending[k][1].log_prob for k in range(6)}
    for index, candidate in enumerate(new, start=12):
        assert made._pending[index][1].log_prob not in before
        told(made, candidate, float(candidate.architecture.decisions[2] or 0), index)
    (news,) = made.news()
    assert news["ratio"] == pytest.approx(1, abs=1e-6)
    assert [*made._pending] == [*range(6)]


def test_a_trial_of_another_architecture_than_the_sample_s_is_refused() -> None:
    made = searcher(macro(2, 1))
    one = next(c for c in made.ask(6, []) if c.architecture.decisions[2] == 1)
    other = next(k for k, (architecture, _) in made._pending.items() if architecture != one.architecture)
    with pytest.raises(InputError, match=f"trial {other}, .*: was not asked for"):
        told(made, one, 0.5, other)


class TestDivergence:
    """What cannot be learnt from is told before the policy is changed."""

    @pytest.mark.parametrize("rewards", [(-1e130, 0.5), (0.5, math.inf), (0.5, math.nan), (1e30, 0.0)])
    @pytest.mark.parametrize("update", [Reinforce(), PPO()])
    def test_of_rewards(self, update: Update, rewards: tuple[float, ...]) -> None:
        made = searcher(recurrent(3), update, batch=2)
        before = weights(made)
        first, second = made.ask(2, [])
        told(made, first, rewards[0])
        with pytest.raises(DivergedError, match="of update 1"):
            told(made, second, rewards[1])
        assert torch.equal(weights(made), before)

    def test_of_a_gradient_alone(self) -> None:
        class Root(Reinforce):
            """Finite, but infinitely steep."""

            def gain(self, log_prob: torch.Tensor, before: torch.Tensor, advantage: torch.Tensor) -> torch.Tensor:
                return (log_prob - log_prob.detach()).abs().sqrt()

        made = searcher(recurrent(3), Root(), batch=1)
        before = weights(made)
        with pytest.raises(DivergedError, match="the norm of the gradient of update 1 is"):
            told(made, made.ask(1, [])[0], 0.5)
        assert torch.equal(weights(made), before)

    def test_of_a_policy(self) -> None:
        made = searcher(recurrent(3), controller=Controller(hidden=8, initial=1e30))
        with pytest.raises(DivergedError, match="log π of samples after 0 updates is nan"):
            made.ask(1, [])


def test_workers_change_no_draw() -> None:
    together, alone = searcher(micro(2)), searcher(micro(2))
    assert [c.architecture for c in together.ask(7, [])] == [alone.ask(1, [])[0].architecture for _ in range(7)]


class TestGrowth:
    def test_the_number_of_layers_follows_the_samples(self) -> None:
        space = chain(1, 4)
        made = searcher(space, growth=Steps("layers", 1, 1, 3), evaluations=12, batch=2)
        found = []
        for candidate in [*made.ask(2, []), *made.ask(5, [])]:  # across two bounds
            space.encode(candidate.architecture)
            found.append(candidate.architecture.decisions[0])
            told(made, candidate, 0.1)
        assert found == [1, 1, 1, 2, 2, 2, 3]
        again = searcher(space, growth=Steps("layers", 1, 1, 3), evaluations=12, batch=2)
        again.load_state_dict(saved(made.state_dict()))
        assert again.ask(3, [])[-1].architecture.decisions[0] == 4

    @pytest.mark.parametrize(
        ("growth", "fault"),
        [
            (Steps("layers", 1, 1, 2), "growth: layers=5, of sample 8, is not one of 1, 2, 3, 4"),
            (Steps("depth", 1, 1, 2), "depth: no such decision of space tokens"),
            (Steps("layers", 0, 1, 100), "growth: layers=0, of sample 0"),
        ],
    )
    def test_one_that_leaves_the_space_is_refused_at_once(self, growth: Growth, fault: str) -> None:
        with pytest.raises(InputError, match=fault):
            searcher(chain(1, 4), growth=growth, evaluations=10)
        searcher(chain(1, 4), growth=Steps("layers", 1, 1, 2), evaluations=8)


def test_numbers_without_an_end_are_refused() -> None:
    with pytest.raises(InputError, match="has no end of values"):
        searcher(Branin("branin"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("batch", 0),
        ("accumulate", 0),
        ("entropy_weight", -1.0),
        ("entropy_weight", math.inf),
        ("learning_rate", 0.0),
        ("learning_rate", math.inf),
        ("learning_rate", 1e39),  # beyond float32
        ("evaluations", 0),
    ],
)
def test_options_that_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=option):
        searcher(recurrent(2), **{option: value})


def test_it_judges_as_many_as_the_estimator_can_in_minutes_unless_it_is_told() -> None:
    space = macro(3, 2)
    assert searcher(space).evaluations == 7
    assert searcher(space, evaluations=3).evaluations == 3


@pytest.mark.parametrize(
    ("update", "evaluations", "rate"), [(Reinforce(), 500, 0.005), (PPO(), 500, 0.00125), (Reinforce(), 20, 0.05)]
)
def test_a_short_search_moves_in_large_steps(update: Update, evaluations: int, rate: float) -> None:
    """Half a unit by 500 / 5 steps, or 4 times as many in PPO; four steps would be of 0.125, which is too large."""
    made = searcher(macro(3, 2), update, batch=5, evaluations=evaluations)
    assert made.optimizer.param_groups[0]["lr"] == pytest.approx(rate)
