"""A small gradient search on made-up images, and how to follow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from made_up import CPU, MadeUp, space
from torch import Tensor

from nas_cli.estimators.shared_images import SharedImageWeights
from nas_cli.estimators.shared_weights import EdgeWeights, SharedWeights
from nas_cli.journal import Trial
from nas_cli.strategies.gradient.architecture_gradient import FirstOrder
from nas_cli.strategies.gradient.derivation import TopK
from nas_cli.strategies.gradient.mixing import Softmax
from nas_cli.strategies.gradient.optimizers import Adam
from nas_cli.strategies.gradient.relaxation import Relaxation
from nas_cli.strategies.gradient.search import GradientSearch
from nas_cli.strategies.gradient.stages import Single
from nas_cli.strategies.gradient.stopping import Epochs

EPOCHS, STEPS = 2, 3  # 20 of 40 images in batches of 8


def search(dataset: MadeUp | None = None, seed: int = 0, **options: Any) -> GradientSearch:
    shared = SharedImageWeights(space(), dataset or MadeUp(), CPU, seed, batch_size=8)
    given = {
        "mixing": Softmax(),
        "architecture_gradient": FirstOrder(),
        "optimizer": Adam(0.1),
        "derivation": TopK(),
        "stages": Single(),
        "stopping": Epochs(),
        "epochs": EPOCHS,
    }
    return GradientSearch(shared, seed, **{**given, **options})


def finish(made: GradientSearch, steps: int = 1000) -> tuple[list[dict[str, Any]], list[Trial]]:
    metrics, trials = [], []
    while not made.done and steps > 0:
        step = made.step()
        steps -= 1
        metrics += [dict(step.metrics)] if step.metrics is not None else []
        for trial in step.trials:
            trials.append(trial)
            made.tell(trial)
    return metrics, trials


def relaxation(made: GradientSearch) -> Relaxation:
    assert made._relaxation is not None
    return made._relaxation


def alphas(made: GradientSearch) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in relaxation(made).parameters.items()}


def same(first: Any, second: Any) -> bool:
    """Whether two states are the same, bit for bit."""
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def state(made: GradientSearch) -> dict[str, Any]:
    """What a search has reached, seconds left out."""
    found = made.state_dict()
    trial = found["trial"] and {key: found["trial"][key] for key in ("architecture", "score", "metrics", "budget")}
    return {**found, "spent": 0.0, "trial": trial}


def first_weight(shared: SharedWeights) -> float:
    return float(next(shared.network.parameters()).detach().sum())


def watched_steps(made: GradientSearch) -> list[dict[str, Tensor]]:
    """A list that grows by the edge weights of every later step of the supernet's weights."""
    seen: list[dict[str, Tensor]] = []
    original = made.shared.weight_step

    def weight_step(batch: Any, weights: EdgeWeights) -> Any:
        seen.append({kind: rows.detach().clone() for kind, rows in weights.items()})
        return original(batch, weights)

    made.shared.weight_step = weight_step  # type: ignore[method-assign,assignment]
    return seen


def watch(inner: Relaxation, slopes: list[Tensor]) -> None:
    """Note the gradient that every later step of the parameters' optimiser sees."""
    original = inner.optimizer.step

    def step() -> None:
        slopes.append(
            torch.cat([value.grad.flatten() for value in inner.parameters.values() if value.grad is not None])
        )
        original()

    inner.optimizer.step = step  # type: ignore[method-assign,assignment]
