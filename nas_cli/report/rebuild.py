"""The strategy of a run of Bayesian optimisation, built again from its configuration, with no trial told."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nas_cli.errors import InputError, require
from nas_cli.report.runs import Run

if TYPE_CHECKING:
    from nas_cli.strategies.black_box.bo.strategy import BayesianOptimisation

#: A run folder may come from anyone. Of what it names, only classes of this package are made: a module of a user's, or
#: one that lies where the report is called, is not even imported.
OURS = "nas_cli."
TARGET = "nas_cli.strategies.black_box.bo.strategy.BayesianOptimisation"
#: The one estimator that is made again: whether its scores have noise counts, and it needs no data.
FUNCTION = "nas_cli.estimators.function.Function"


def is_bayesian(run: Run) -> bool:
    """Whether a run is a search by Bayesian optimisation, by its configuration."""
    strategy = (run.config or {}).get("strategy")
    return run.command == "search" and isinstance(strategy, dict) and strategy.get("_target_") == TARGET


def rebuild(run: Run) -> BayesianOptimisation:
    """The strategy of a run for which `is_bayesian` holds.

    Raises `InputError` where its configuration names a class of someone else's, or is refused.
    """
    # Imported here: reading other results needs neither torch nor BoTorch.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of how libraries use each other
        from nas_cli.build import build
        from nas_cli.estimators.function import Function
        from nas_cli.spaces.base import Space
        from nas_cli.strategies.black_box.bo.strategy import BayesianOptimisation

    config = run.config or {}
    for part in ("space", "strategy"):
        require(isinstance(config.get(part), dict), f"{run.folder}: its configuration has no {part}")
        for target in _targets(config[part]):
            if not target.startswith(OURS):
                raise InputError(f"{run.folder}: {part} names {target}, which is not made for a report")
    seed = config.get("seed")
    if type(seed) is not int:
        raise InputError(f"{run.folder}: its configuration has no seed")
    space = build(config["space"], "space", Space, name=run.space)
    given: dict[str, Any] = {"space": space, "seed": seed}
    estimator = config.get("estimator")
    if isinstance(estimator, dict) and estimator.get("_target_") == FUNCTION:
        given["estimator"] = build(estimator, "estimator", Function, **given)
    return build(config["strategy"], "strategy", BayesianOptimisation, **given)


def _targets(value: Any) -> Iterator[str]:
    """Every `_target_` in a part of a configuration."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "_target_":
                yield str(item)
            else:
                yield from _targets(item)
    elif isinstance(value, list):
        for item in value:
            yield from _targets(item)
