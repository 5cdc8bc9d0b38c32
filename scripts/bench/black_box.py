"""Simple regret of our black-box strategies beside Optuna's and SMAC's, and what one proposal costs.

    python scripts/bench/black_box.py [--seeds 10] [--functions branin hartmann6 …] [--only "bo" …] [--asks]

All sides judge the same functions, to be maximised, one point at a time, in one run. Printed are medians over seeds of
the best value's distance from the optimum, with the quartiles, after 30 and 60 evaluations. `--asks` prints CPU seconds
of one proposal on hartmann6 and on nasbench201 instead, given so many random observations. Optuna and SMAC come with
`pip install nas-run[bench]`; where one is missing, it is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import logging
import math
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import architectures
import numpy as np
import torch

from nas_cli import config as configuration
from nas_cli.build import build
from nas_cli.errors import InputError
from nas_cli.estimators.function import Function
from nas_cli.journal import Trial
from nas_cli.seeding import numpy_generator
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Real
from nas_cli.spaces.functions import Branin, FunctionSpace, Hartmann6
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.strategies.black_box.base import Strategy

CHECKPOINTS = (30, 60)
SIZES = (100, 200, 500, 1000, 2000)
CELLS = (500,)  # of SIZES, on nasbench201

Objective = Callable[[Sequence[float]], float]
#: From a function, its bounds, a seed and how many evaluations to all values found.
Side = Callable[[FunctionSpace, int, int], list[float]]


class _Formula(FunctionSpace):
    """A function on a cube that is no space of the package: what our strategies were not tuned on."""

    def __init__(self, name: str, low: float, high: float, dimension: int, formula: Objective) -> None:
        super().__init__(name)
        self._decisions = tuple(Real(f"x{k}", low, high) for k in range(dimension))
        self.formula = formula

    @property
    def decisions(self) -> tuple[Real, ...]:
        return self._decisions

    def value(self, architecture: Any) -> float:
        return self.formula([float(value) for value in self.encode(architecture)])


def ackley(x: Sequence[float]) -> float:
    root = math.sqrt(sum(v * v for v in x) / len(x))
    waves = sum(math.cos(2 * math.pi * v) for v in x) / len(x)
    return 20 * math.exp(-0.2 * root) + math.exp(waves) - 20 - math.e


def levy(x: Sequence[float]) -> float:
    w = [1 + (v - 1) / 4 for v in x]
    inner = sum((v - 1) ** 2 * (1 + 10 * math.sin(math.pi * v + 1) ** 2) for v in w[:-1])
    return -(math.sin(math.pi * w[0]) ** 2 + inner + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2))


def rosenbrock(x: Sequence[float]) -> float:
    return -sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


#: Each with its maximum. Ackley's and Levy's cubes are not centred on the optimum, where a design may begin.
FUNCTIONS: dict[str, tuple[FunctionSpace, float]] = {
    "branin": (Branin("branin"), -10 / (8 * math.pi)),
    "hartmann6": (Hartmann6("hartmann6"), 3.322368011416),
    "ackley5": (_Formula("ackley5", -10.0, 20.0, 5, ackley), 0.0),
    "levy4": (_Formula("levy4", -10.0, 10.0, 4, levy), 0.0),
    "rosenbrock3": (_Formula("rosenbrock3", -2.0, 2.0, 3, rosenbrock), 0.0),
}
OURS = {
    "bo": ["strategy=bo"],
    "bo snoek_mcmc": ["+experiment=bo/snoek_mcmc"],
    "tpe": ["strategy=tpe"],
    "tpe paper": ["+experiment=tpe/paper"],
    "random": ["strategy=random"],
}


def ours(overrides: Sequence[str], space: FunctionSpace, seed: int, evaluations: int) -> list[float]:
    """Values that a strategy of this package finds."""
    made = strategy(overrides, space, seed, evaluations)
    values: list[float] = []
    for index in range(evaluations):
        (candidate,) = made.ask(1, [])
        values.append(space.value(candidate.architecture))
        made.tell(Trial(index=index, architecture=candidate.architecture, score=values[-1]))
    return values


def strategy(overrides: Sequence[str], space: FunctionSpace, seed: int, evaluations: int) -> Strategy:
    section = configuration.compose("search", [*overrides, "space=branin", "estimator=function"])["strategy"]
    part = {**section, "evaluations": evaluations}
    return build(part, "strategy", Strategy, space=space, seed=seed, estimator=Function(space))


def with_optuna(name: str, space: FunctionSpace, seed: int, evaluations: int) -> list[float]:
    """Values that a sampler of Optuna finds."""
    study = optuna_study(name, seed)
    values: list[float] = []
    for _ in range(evaluations):
        trial = study.ask(optuna_box(space))
        values.append(space.value(space.decode(list(trial.params.values()))))
        study.tell(trial, values[-1])
    return values


def optuna_study(name: str, seed: int) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = getattr(optuna.samplers, name)(seed=seed)
    return optuna.create_study(direction="maximize", sampler=sampler)


def optuna_box(space: FunctionSpace) -> dict[str, Any]:
    from optuna.distributions import FloatDistribution

    return {d.name: FloatDistribution(d.low, d.high) for d in space.decisions if isinstance(d, Real)}


def with_smac(space: FunctionSpace, seed: int, evaluations: int) -> list[float]:
    """Values that SMAC's black-box facade finds."""
    from ConfigSpace import ConfigurationSpace, Float
    from smac import BlackBoxFacade, Scenario

    logging.getLogger("smac").setLevel(logging.ERROR)
    box = ConfigurationSpace(seed=seed)
    box.add([Float(d.name, (d.low, d.high)) for d in space.decisions if isinstance(d, Real)])
    values: list[float] = []

    def target(config: Any, seed: int = 0) -> float:
        values.append(space.value(space.decode([config[d.name] for d in space.decisions])))
        return -values[-1]

    scenario = Scenario(box, deterministic=True, n_trials=evaluations, seed=seed, output_directory=_scratch())
    BlackBoxFacade(scenario, target, overwrite=True, logging_level=logging.ERROR).optimize()
    return values


def _scratch() -> Any:
    import tempfile
    from pathlib import Path

    return Path(tempfile.mkdtemp())


def sides() -> dict[str, Side]:
    """Who takes part; what is missing is left out with one line."""
    found: dict[str, Side] = {name: partial(ours, overrides) for name, overrides in OURS.items()}
    for name in list(OURS):
        try:
            strategy(OURS[name], FUNCTIONS["branin"][0], 0, 60)
        except InputError as error:
            print(f"{name}: left out, {error}")
            del found[name]
    rivals: dict[str, dict[str, Side]] = {
        "optuna": {f"Optuna {n}": partial(with_optuna, n) for n in ("TPESampler", "GPSampler")},
        "smac": {"SMAC": with_smac},
    }
    for package, those in rivals.items():
        if importlib.util.find_spec(package) is None:
            print(f"{package}: left out, it is not installed (pip install nas-run[bench])")
        else:
            found |= those
    return found


def regrets(function: str, taking_part: dict[str, Side], seeds: int) -> None:
    """Print the table of one function."""
    space, optimum = FUNCTIONS[function]
    print(f"\n{function}: simple regret, median (quartiles) of {seeds} seeds; CPU seconds of one run")
    print(f"{'':20}" + "".join(f"{f'after {n}':>30}" for n in CHECKPOINTS) + f"{'CPU s':>9}")
    for name, side in taking_part.items():
        found, start = [], time.process_time()
        for seed in range(seeds):
            values = side(space, seed, max(CHECKPOINTS))
            found.append([optimum - max(values[:n]) for n in CHECKPOINTS])
        spent = (time.process_time() - start) / seeds
        cells = "".join(f"{_spread(column):>30}" for column in zip(*found, strict=True))
        print(f"{name:20}{cells}{spent:>9.1f}", flush=True)


def _spread(values: Sequence[float]) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.1e} ({low:.1e}, {high:.1e})"


def asks(repeats: int, only: Sequence[str]) -> None:
    """Print what one proposal costs, given so many observations."""
    space = FUNCTIONS["hartmann6"][0]
    print(f"CPU seconds of one proposal, on hartmann6 where no other, median of {repeats}, given so many observations")
    print(f"{'':20}" + "".join(f"{n:>9}" for n in SIZES))
    rows: dict[str, tuple[Sequence[int], Callable[[int], Callable[[], Any]]]] = {
        name: (SIZES, partial(_our_ask, OURS[name], space)) for name in ("bo", "tpe")
    }
    rows["bo nasbench201"] = CELLS, _cell_ask
    if importlib.util.find_spec("optuna") is not None:
        rows |= {f"Optuna {name}": (SIZES, partial(_optuna_ask, name, space)) for name in ("GPSampler", "TPESampler")}
    for name, (sizes, prepare) in rows.items():
        if only and not any(name.startswith(wanted) for wanted in only):
            continue
        cells = [f"{_seconds(prepare(size), repeats):>9.2f}" if size in sizes else f"{'':9}" for size in SIZES]
        print(f"{name:20}" + "".join(cells), flush=True)


def _seconds(propose: Callable[[], Any], repeats: int) -> float:
    """CPU seconds of a call, their median."""
    propose()  # the first loads code, and fits with no start
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        propose()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def _data(space: Space, value: Callable[[Any], float], size: int) -> list[tuple[Any, float]]:
    generator = numpy_generator(0, "bench")
    drawn = [space.sample(generator) for _ in range(size)]
    return [(each, value(each)) for each in drawn]


def _our_ask(overrides: Sequence[str], space: FunctionSpace, size: int) -> Callable[[], Any]:
    return _as_in_a_search(strategy(overrides, space, 0, 10 * size), space, space.value, size)


def _cell_ask(size: int) -> Callable[[], Any]:
    made, table = architectures.parts(OURS["bo"], 10 * size, 0)
    return _as_in_a_search(made, NasBench201("nasbench201"), lambda cell: table.measure(cell).score, size)


def _as_in_a_search(made: Strategy, space: Space, value: Callable[[Any], float], size: int) -> Callable[[], Any]:
    """Asks and is told, as in a search: each call has one observation more."""
    made.ask(20, [])  # past the initial design
    told = 0

    def tell(architecture: Any, score: float) -> None:
        nonlocal told
        made.tell(Trial(index=told, architecture=architecture, score=score))
        told += 1

    for architecture, score in _data(space, value, size):
        tell(architecture, score)

    def propose() -> None:
        (candidate,) = made.ask(1, [])
        tell(candidate.architecture, value(candidate.architecture))

    return propose


def _optuna_ask(name: str, space: FunctionSpace, size: int) -> Callable[[], Any]:
    import optuna

    study, box = optuna_study(name, 0), optuna_box(space)
    for architecture, value in _data(space, space.value, size):
        params = {d.name: float(v) for d, v in zip(space.decisions, architecture.decisions, strict=True)}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=box, value=value))

    def propose() -> None:
        trial = study.ask(box)
        study.tell(trial, space.value(space.decode(list(trial.params.values()))))

    return propose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--functions", nargs="+", default=["branin", "hartmann6"], choices=list(FUNCTIONS))
    parser.add_argument("--only", nargs="+", default=[], help="sides whose names begin so")
    parser.add_argument("--asks", action="store_true", help="print CPU seconds of one proposal instead")
    parser.add_argument("--repeats", type=int, default=3, help="proposals timed for each size")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"Python {sys.version.split()[0]}, torch {torch.__version__}, one thread")
    if options.asks:
        asks(options.repeats, options.only)
        return
    wanted = options.only
    taking_part = {n: s for n, s in sides().items() if not wanted or any(n.startswith(w) for w in wanted)}
    for function in options.functions:
        regrets(function, taking_part, options.seeds)


if __name__ == "__main__":
    main()
