"""Search by a policy that learns from rewards: REINFORCE and PPO."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from nas_cli.architecture import Architecture
from nas_cli.descent import check_finite, descend
from nas_cli.errors import InputError, require
from nas_cli.estimators.base import Estimator
from nas_cli.journal import Trial
from nas_cli.seeding import numpy_generator
from nas_cli.spaces.base import Space
from nas_cli.spaces.tokens import values_of
from nas_cli.strategies.black_box.base import Candidate, Strategy
from nas_cli.strategies.black_box.controller.baseline import MovingAverage
from nas_cli.strategies.black_box.controller.growth import Growth
from nas_cli.strategies.black_box.controller.policy import INACTIVE, LARGEST, Controller
from nas_cli.strategies.black_box.controller.rewards import Reward
from nas_cli.strategies.black_box.controller.updates import Update

#: How far Adam can move a weight in a whole search at the default rate; the papers' 1,600 updates at 6e-4: 0.96.
TRAVEL = 0.5
LARGEST_RATE = 0.05  # however short the search


@dataclass(frozen=True)
class _Sample:
    """A sequence, log π of it when it was sampled, and its reward or, later, its advantage."""

    sequence: list[int]
    log_prob: float
    value: float = 0.0


class PolicySearch(Strategy):
    """An LSTM writes candidates token by token, and a batch of their rewards moves it.

    Candidates are sampled from the policy as it is when they are asked for; one may come again and is judged again.
    A batch is as many results as were told, in that order, whichever policy sampled them. A failed trial has the
    lowest reward of all that were judged so far; before there is one it is left out.

    Args:
        controller: the LSTM.
        update: what is maximised.
        reward: what a score is worth.
        baseline: what rewards are compared with.
        growth: a decision that is not left to the controller.
        estimator: what judges.
        evaluations: how many candidates to judge; None: as many as the estimator judges in minutes.
        batch: m, results in a batch. Zoph & Le: 8 on CIFAR-10, 1 on PTB; NASNet: 20.
        accumulate: batches, each with its own baseline, that make one update. Zoph & Le: 1, on PTB 10.
        entropy_weight: of the policy's entropy beside the gain. NASNet: 1e-5.
        learning_rate: of Adam, which moves a weight by about as much a step; None: so that all steps together can move
            it by a half, which a long search does in small steps and a short one in large. Zoph & Le: 6e-4, 5e-4 on
            PTB; NASNet: 3.5e-4; ENAS: 3.5e-3 for convolutional cells.

    The policy stays on the CPU whatever the hardware: it writes token by token with matrices of a hundred rows, which
    do not fill a GPU; 1,000 sequences of 50 tokens at once take half a second on one core.

    Raises `DivergedError` where the policy or a step of it is not finite.

    Differs from the papers: one process holds the policy, which many workers may sample from; their parameter servers
    take gradients from replicas.
    Reference: Zoph & Le, ICLR 2017, arXiv:1611.01578, sec. 3; Zoph et al., NASNet, CVPR 2018, arXiv:1707.07012.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        controller: Controller,
        update: Update,
        reward: Reward,
        baseline: MovingAverage,
        growth: Growth,
        estimator: Estimator,
        evaluations: int | None = None,
        batch: int = 10,
        accumulate: int = 1,
        entropy_weight: float = 3e-3,
        learning_rate: float | None = None,
    ) -> None:
        evaluations = estimator.candidates if evaluations is None else evaluations
        super().__init__(evaluations)
        reward.check(estimator)
        require(batch >= 1, f"batch must be at least 1, not {batch}")
        require(accumulate >= 1, f"accumulate must be at least 1, not {accumulate}")
        require(0 <= entropy_weight < math.inf, f"entropy_weight must be at least 0 and finite, not {entropy_weight}")
        require(
            learning_rate is None or 0 < learning_rate <= LARGEST,
            f"learning_rate must be above 0 and at most {LARGEST:g}, or null, not {learning_rate}",
        )
        self.space = space
        self.seed = seed
        self.policy = controller.policy(space, seed, growth.decision)
        self.values = [tuple(values_of(space.name, decision)) for decision in space.decisions]
        self.growth = growth
        self._check_growth(evaluations)
        self.update = update
        self.reward = reward
        self.baseline = baseline
        self.batch = batch
        self.accumulate = accumulate
        self.entropy_weight = entropy_weight
        steps = max(evaluations // (batch * accumulate), 1) * update.epochs
        rate = min(TRAVEL / steps, LARGEST_RATE) if learning_rate is None else learning_rate
        self.optimizer = torch.optim.Adam(self.policy.parameters(), rate)
        self.asked = 0
        self.told = 0
        self.updates = 0
        self.lowest: float | None = None  # reward so far
        self._pending: dict[int, tuple[Architecture, _Sample]] = {}  # by the number of the sample
        self._rewarded: list[_Sample] = []  # of the batch that is not yet full, with rewards
        self._ready: list[_Sample] = []  # of full batches since the last update, with advantages
        self._news: list[dict[str, Any]] = []

    def _check_growth(self, evaluations: int) -> None:
        """Refuse a schedule that leaves the space before the search is over."""
        if self.policy.pinned is None:
            return
        there = self.values[self.policy.pinned]
        for sample in range(evaluations):
            value = self.growth.value(sample)
            if value not in there:
                allowed = ", ".join(map(str, there))
                raise InputError(f"growth: {self.growth.decision}={value}, of sample {sample}, is not one of {allowed}")

    def ask(self, count: int, pending: Sequence[Candidate]) -> Sequence[Candidate]:
        first, self.asked = self.asked, self.asked + count
        asked: list[Candidate] = []
        while first < self.asked:
            given = self._given(first)
            last = next((k for k in range(first, self.asked) if self._given(k) != given), self.asked)
            asked += self._sampled(range(first, last), given)
            first = last
        return asked

    def caution(self) -> str | None:
        needed, there = self.batch * self.accumulate, self.evaluations or 0
        if needed <= there:
            return None
        return f"an update takes {needed} results, and only {there} will be judged: the policy never learns"

    def _given(self, sample: int) -> int:
        """The number of the pinned decision's value in a sample."""
        if self.policy.pinned is None:
            return INACTIVE
        return self.values[self.policy.pinned].index(self.growth.value(sample))

    def _sampled(self, samples: range, given: int) -> list[Candidate]:
        if not samples:
            return []
        # The k-th sample has numbers of its own: workers cannot change them.
        draws = [numpy_generator(self.seed, "policy", k).random(len(self.values)) for k in samples]
        sequences, score = self.policy.sample(torch.from_numpy(np.stack(draws)), given)
        check_finite(score.log_prob.sum(), f"log π of samples after {self.updates} updates")
        candidates = []
        for k, sequence, log_prob in zip(samples, sequences.tolist(), score.log_prob.tolist(), strict=True):
            values = [
                None if number == INACTIVE else values[number]
                for number, values in zip(sequence, self.values, strict=True)
            ]
            architecture = self.space.decode(values)
            self._pending[k] = architecture, _Sample(sequence, log_prob)
            candidates.append(Candidate(architecture))
        return candidates

    def tell(self, trial: Trial) -> None:
        self.told += 1
        sample = self._taken(trial)
        reward = self.lowest if trial.score is None else self.reward.of(trial.score, trial)
        if reward is None:
            return
        self.lowest = reward if self.lowest is None else min(self.lowest, reward)
        self._rewarded.append(_Sample(sample.sequence, sample.log_prob, reward))
        if len(self._rewarded) < self.batch:
            return
        full, self._rewarded = self._rewarded, []
        rewards = [each.value for each in full]
        advantages = self.baseline.advantages(rewards)
        self._ready += [_Sample(s.sequence, s.log_prob, a) for s, a in zip(full, advantages, strict=True)]
        if len(self._ready) == self.batch * self.accumulate:
            self._improve(sum(rewards) / len(rewards))

    def _taken(self, trial: Trial) -> _Sample:
        """The sample that a trial judged, which is pending no longer: trials are numbered as samples are."""
        architecture, sample = self._pending.pop(trial.index, (None, None))
        if sample is None or architecture != trial.architecture:
            raise InputError(f"trial {trial.index}, {trial.architecture}: was not asked for")
        return sample

    def _improve(self, reward: float) -> None:
        """Move the policy by all that is ready. Raises `DivergedError` where that is no finite step."""
        ready, self._ready = self._ready, []
        sequences = torch.tensor([sample.sequence for sample in ready])
        dtype = self.policy.first.dtype
        before = torch.tensor([sample.log_prob for sample in ready], dtype=dtype)
        advantage = torch.tensor([sample.value for sample in ready], dtype=dtype)
        entropy: float | None = None
        for _ in range(self.update.epochs):
            score = self.policy.score(sequences)
            gain = (
                self.update.gain(score.log_prob, before, advantage).mean() + self.entropy_weight * score.entropy.mean()
            )
            check_finite(gain, f"the gain of update {self.updates + 1}, with a mean reward of {reward:g},")
            self.optimizer.zero_grad()
            torch.autograd.backward(-gain)
            descend(self.policy, self.optimizer, math.inf, f"the norm of the gradient of update {self.updates + 1}")
            entropy = float(score.entropy.detach().mean()) if entropy is None else entropy
        self.updates += 1
        self._news.append(
            {
                "update": self.updates,
                "evaluations": self.told,
                "reward": reward,
                "baseline": self.baseline.value,
                "entropy": entropy,
                **self.update.news(score.log_prob.detach(), before),
            }
        )

    def news(self) -> Sequence[dict[str, Any]]:
        news, self._news = self._news, []
        return news

    def state_dict(self) -> dict[str, Any]:
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "baseline": self.baseline.value,
            "lowest": self.lowest,
            "asked": self.asked,
            "told": self.told,
            "updates": self.updates,
            "pending": [
                (k, architecture.to_json(), asdict(sample)) for k, (architecture, sample) in self._pending.items()
            ],
            "rewarded": [asdict(sample) for sample in self._rewarded],
            "ready": [asdict(sample) for sample in self._ready],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.baseline.value = state["baseline"]
        self.lowest = state["lowest"]
        self.asked = state["asked"]
        self.told = state["told"]
        self.updates = state["updates"]
        self._pending = {k: (Architecture.from_json(where), _Sample(**sample)) for k, where, sample in state["pending"]}
        self._rewarded = [_Sample(**sample) for sample in state["rewarded"]]
        self._ready = [_Sample(**sample) for sample in state["ready"]]
