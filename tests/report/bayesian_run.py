"""A run of Bayesian optimisation on a function, with hyper-parameters that need no inference, for the tests."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas_cli.build import build
from nas_cli.config import compose
from nas_cli.report.runs import Run
from nas_cli.report.trace import Trace, trace_of
from nas_cli.spaces.functions import FunctionSpace

PLACES: dict[str, Sequence[Any]] = {
    "brochu1d": [0.1, 0.5, 0.9, 0.3, 1.1, 0.7],
    "branin": [(-4.0, 1.0), (0.0, 9.0), (8.0, 3.0), (3.0, 2.0)],
}


@functools.cache
def _config(space: str, more: tuple[str, ...]) -> dict[str, Any]:
    told = ["strategy=bo", f"space={space}", "strategy/hyperparameters=fixed", "strategy.initial.points=2", *more]
    return dict(compose("search", told))


def bayesian_run(space: str = "brochu1d", *more: str, folder: Path = Path("run")) -> tuple[Run, Trace]:
    """The run and its trials, at given places."""
    config = _config(space, more)
    function = build(config["space"], "space", FunctionSpace, name=space)
    trials = []
    for index, place in enumerate(PLACES[space]):
        architecture = function.decode([place] if isinstance(place, float) else list(place))
        value = function.value(architecture)
        trials.append(
            {
                "index": index,
                "architecture": architecture.to_json(),
                "score": value,
                "metrics": {"regret": function.optimum - value},
            }
        )
    run = Run(folder, True, "search", "bo", space, "digits", "function", seed=0, score_name="value", config=config)
    return run, trace_of([], trials)
