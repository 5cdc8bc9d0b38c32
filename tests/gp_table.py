"""The Gaussian process of the spec sheet's table: three points of the line, zero mean, amplitude 1, length scale .5."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.journal import Trial
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Real
from nas_cli.spaces.functions import FunctionSpace
from nas_cli.strategies.black_box.bo import cost, initial, pending, priors
from nas_cli.strategies.black_box.bo.acquisitions import LogExpectedImproving, Situation
from nas_cli.strategies.black_box.bo.gaussian_process import GaussianProcess, Vectors
from nas_cli.strategies.black_box.bo.hyperparameters import Fixed
from nas_cli.strategies.black_box.bo.kernels.base import Covariance
from nas_cli.strategies.black_box.bo.kernels.stationary import Stationary
from nas_cli.strategies.black_box.bo.maximisers.continuous import Multistart
from nas_cli.strategies.black_box.bo.strategy import BayesianOptimisation

SE = math.inf
M52 = 2.5


class Made(Space):
    """A space of given decisions."""

    decisions: tuple[Decision, ...] = ()  # type: ignore[assignment]

    def __init__(self, *decisions: Decision, name: str = "made") -> None:
        super().__init__(name)
        self.decisions = decisions  # type: ignore[misc]


def line(dimension: int = 1) -> Space:
    return Made(*(Real(f"x{k}", 0.0, 1.0) for k in range(dimension)), name="line")


def mixed_space() -> Space:
    return Made(Real("r", 0.0, 1.0), Integer("i", 1, 4), Categorical("c", ("a", "b", "c")), name="mixed")


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


ROWS = tensor(0, 0.5, 1).unsqueeze(-1)
TARGETS = tensor(0, 1, 0)


def on_line(smoothness: float) -> Covariance:
    return Stationary(smoothness).on(line())


def process(smoothness: float, *vectors: Sequence[float], targets: Tensor = TARGETS) -> GaussianProcess:
    """The process under vectors (mean, amplitude, noise, length scale)."""
    values = torch.tensor(vectors, dtype=torch.float64)
    return GaussianProcess(Vectors(on_line(smoothness), values), ROWS, targets[None, :, None])


def table(smoothness: float, noise: float) -> GaussianProcess:
    return process(smoothness, (0.0, 1.0, noise, 0.5))


def situation(model: GaussianProcess, incumbent: Tensor | None = None, **options: Any) -> Situation:
    """With the best target, of each member, to improve on."""
    found = model.targets.amax(1).reshape(-1) if incumbent is None else incumbent
    given: dict[str, Any] = {"proposal": 1, "proposals": 10, "dimension": 1, "size": None, "pending": None, "seed": 0}
    return Situation(model=model, incumbent=found, **{**given, **options})


def points(*values: float) -> Tensor:
    """Points of the line as an acquisition takes them."""
    return tensor(*values)[:, None, None]


class Judge(Estimator):
    """Names a score and says whether it has noise; measures nothing."""

    def __init__(self, score_name: str = "valid_accuracy", is_exact: bool = True) -> None:
        self.score_name = score_name
        self.is_exact = is_exact

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        raise NotImplementedError


def bo(space: Space, seed: int = 0, **options: Any) -> BayesianOptimisation:
    """A fast strategy for tests, with parts replaced."""
    parts: dict[str, Any] = {
        "kernel": Stationary(),
        "hyperparameters": Fixed(),
        "priors": priors.BoTorch(),
        "acquisition": LogExpectedImproving(),
        "maximiser": Multistart(raw=64, restarts=2),
        "pending": pending.Auto(),
        "cost": cost.NoCost(),
        "initial": initial.Sobol(3),
        "estimator": Judge(),
    }
    return BayesianOptimisation(space, seed, **{**parts, **options})


def run(strategy: BayesianOptimisation, space: FunctionSpace, evaluations: int) -> list[float]:
    """Ask, judge and tell, one at a time; the best value after each."""
    best: list[float] = []
    for index in range(evaluations):
        (candidate,) = strategy.ask(1, [])
        value = space.value(candidate.architecture)
        best.append(max([value, *best[-1:]]))
        strategy.tell(Trial(index=index, architecture=candidate.architecture, score=value))
    return best
