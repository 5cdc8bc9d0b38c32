"""Regret of black-box strategies on the NAS-Bench-201 table, beside Optuna's TPE: python scripts/bench/architectures.py

Every method judges the same number of cells by their validation accuracy on CIFAR-10 (the table's mean over runs); its
regret is what its best cell lacks to the table's best, 91.6067 %, in points. Seeds are 0, 1, 2, …; the regret of random
search is also given exactly, as a mean over all draws. Figures do not depend on the machine, seconds do.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from nas_cli import config as configuration
from nas_cli.build import build
from nas_cli.data.base import Dataset
from nas_cli.errors import InputError
from nas_cli.estimators.table import Table
from nas_cli.journal import Trial
from nas_cli.report.efficiency import expected_best
from nas_cli.spaces.decisions import Categorical
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.strategies.black_box.base import Strategy
from nas_cli.tabular import NASBENCH201, NASBENCH201_DATA, load

TABLE = ["space=nasbench201", "estimator=table", "dataset=cifar10"]
#: One Gaussian process, under which only kernels differ.
PROCESS = ["+experiment=bo/nasbench201"]
#: Overrides of `nas-run` by the name of the method.
METHODS = {
    "random": ["strategy=random"],
    "tpe": ["strategy=tpe"],
    "bo": ["strategy=bo"],
    "bo, one-hot Matern 5/2": [*PROCESS, "strategy/kernel=matern52"],
    "bo, one-hot, plain score": [*PROCESS, "strategy/kernel=matern52", "strategy.target=score"],
    "bo, hamming": [*PROCESS, "strategy/kernel=hamming"],
    "bo, categorical": [*PROCESS, "strategy/kernel=categorical"],
    "bo, path": [*PROCESS, "strategy/kernel=path"],
    "bo, otmann (stand-in)": [*PROCESS, "strategy/kernel=otmann"],
    "bo, wl": [*PROCESS, "strategy/kernel=wl"],
    "bo, wl_oa": [*PROCESS, "strategy/kernel=wl_oa"],
    "bo, wl exponential": [*PROCESS, "strategy/kernel=wl", "strategy.kernel.exponential=true"],
    "bo, wl_oa exponential": PROCESS,
    "bo, the same, plain score": [*PROCESS, "strategy.target=score"],
    "experiment=bo/nas_bowl": ["+experiment=bo/nas_bowl"],
    "experiment=bo/nasbot": ["+experiment=bo/nasbot"],
}
OPTUNA = "optuna TPE"


def accuracies() -> list[float]:
    """Of all cells, in percent."""
    return [float(value) for value in load(NASBENCH201)[f"{NASBENCH201_DATA['cifar10']}_valid"]]


def parts(overrides: Sequence[str], evaluations: int, seed: int) -> tuple[Strategy, Table]:
    """A strategy and what judges for it, as `nas-run` builds them. Raises `InputError` where it would."""
    shared = [*overrides, *TABLE, f"strategy.evaluations={evaluations}", f"seed={seed}"]
    config = configuration.compose("search", shared)
    given: dict[str, Any] = {"seed": seed}
    given["space"] = build(config["space"], "space", NasBench201, name="nasbench201")
    given["dataset"] = build(config["dataset"], "dataset", Dataset, name="cifar10")
    given["estimator"] = build(config["estimator"], "estimator", Table, **given)
    return build(config["strategy"], "strategy", Strategy, **given), given["estimator"]  # type: ignore[type-abstract]


def our_best(overrides: Sequence[str], evaluations: int, seed: int) -> float:
    """Accuracy of the best cell that a strategy judges, in percent."""
    strategy, table = parts(overrides, evaluations, seed)
    scores = []
    for index in range(evaluations):
        (candidate,) = strategy.ask(1, [])
        measured = table.measure(candidate.architecture)
        scores.append(measured.score)
        strategy.tell(
            Trial(
                index,
                candidate.architecture,
                measured.score,
                dict(measured.metrics),
                cost_seconds=measured.cost_seconds,
            )
        )
    return 100 * max(scores)


def optuna_best(evaluations: int, seed: int) -> float:
    """The same for Optuna's TPE at its defaults."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = NasBench201("nasbench201")
    _, table = parts(METHODS["random"], evaluations, seed)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))

    def measure(trial: optuna.Trial) -> float:
        made = [
            trial.suggest_categorical(decision.name, decision.choices)
            for decision in space.decisions
            if isinstance(decision, Categorical)
        ]
        return table.measure(space.decode(made)).score

    study.optimize(measure, n_trials=evaluations)
    return 100 * float(study.best_value)


def row(name: str, best: Callable[[int], float], optimum: float, seeds: int) -> str:
    """One line of the table: the regrets of all seeds."""
    began = time.process_time()
    regrets = sorted(optimum - best(seed) for seed in range(seeds))
    seconds = (time.process_time() - began) / seeds
    error = statistics.stdev(regrets) / seeds**0.5 if seeds > 1 else 0.0
    found = sum(regret < 1e-4 for regret in regrets)
    figures = f"{statistics.mean(regrets):7.3f} ±{error:5.3f} {statistics.median(regrets):7.3f} {regrets[-1]:7.3f}"
    return f"{name:28} {figures} {found:4d}/{seeds:<3d} {seconds:8.1f}"


def commit() -> str:
    """The commit that was measured, with a mark where files differ from it."""
    command = ["git", "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--evaluations", type=int, default=100, help="cells that each run judges")
    parser.add_argument("--seeds", type=int, default=30, help="runs of each method")
    parser.add_argument("--only", nargs="*", default=[], help="methods whose name has one of these in it")
    options = parser.parse_args()
    values = accuracies()
    optimum = max(values)
    print(f"{options.evaluations} evaluations, {options.seeds} seeds; commit {commit()}")
    by_chance = optimum - expected_best(values, options.evaluations, replacement=True)
    print(f"random search, exactly: {by_chance:.3f} points")
    print(f"{'regret in points':28} {'mean':>7} {'s.e.':>6} {'median':>7} {'worst':>7} {'found':>8} {'CPU s':>8}")
    chosen = [name for name in (*METHODS, OPTUNA) if not options.only or any(part in name for part in options.only)]
    for name in chosen:
        try:
            if name == OPTUNA:
                best: Callable[[int], float] = lambda seed: optuna_best(options.evaluations, seed)  # noqa: E731
            else:
                best = lambda seed, method=name: our_best(METHODS[method], options.evaluations, seed)  # noqa: E731
            print(row(name, best, optimum, options.seeds), flush=True)
        except (InputError, ImportError) as error:
            print(f"{name:28} skipped: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
