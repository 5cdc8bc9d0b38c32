"""Searches with a controller, for the tests of what they do."""

from __future__ import annotations

from typing import Any

import torch

from nas_cli.architecture import Architecture
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.journal import Trial
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.base import Candidate
from nas_cli.strategies.black_box.controller.baseline import MovingAverage
from nas_cli.strategies.black_box.controller.growth import Growth, NoGrowth
from nas_cli.strategies.black_box.controller.policy import Controller
from nas_cli.strategies.black_box.controller.rewards import Score
from nas_cli.strategies.black_box.controller.strategy import PolicySearch
from nas_cli.strategies.black_box.controller.updates import Reinforce, Update


class Anything(Estimator):
    candidates = 7

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        raise NotImplementedError


def searcher(
    space: Space, update: Update | None = None, seed: int = 0, growth: Growth | None = None, **options: Any
) -> PolicySearch:
    controller = options.pop("controller", Controller())
    return PolicySearch(
        space,
        seed,
        controller,
        update or Reinforce(),
        options.pop("reward", Score()),
        MovingAverage(),
        growth or NoGrowth(),
        options.pop("estimator", Anything()),
        **options,
    )


def told(made: PolicySearch, candidate: Candidate, score: float | None, index: int | None = None) -> None:
    """By default of the oldest sample of its architecture."""
    pending = (k for k, (architecture, _) in made._pending.items() if architecture == candidate.architecture)
    index = next(pending, 0) if index is None else index
    status = "ok" if score is not None else "failed"
    made.tell(Trial(index, candidate.architecture, score, status=status))


def weights(made: PolicySearch) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(made.policy.parameters()).detach().clone()
