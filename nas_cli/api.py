"""The same from Python: `search`, `evaluate`, `load_architecture`. No Hydra knowledge is needed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_cli import config as configuration
from nas_cli import run_config, session
from nas_cli.architecture import Architecture
from nas_cli.published import find as load_architecture
from nas_cli.session import Result

__all__ = ["Architecture", "Result", "evaluate", "load_architecture", "search"]


def search(
    strategy: str = "darts",
    *,
    space: str | None = None,
    dataset: str | None = None,
    estimator: str | None = None,
    experiment: str | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    config_dir: str | Path | None = None,
    chatty: bool = False,
) -> Result:
    """Run one architecture search, as `nas-run` does.

    Args:
        strategy: how to search; it brings a space, a data set and an estimator that suit it.
        space, dataset, estimator: to search something else.
        experiment: a paper's setting, e.g. ``darts/cifar10_first_order``.
        seed: of everything random.
        options: any option by its key, e.g. ``{"strategy.epochs": 3, "dataset.root": "/data"}``.
        folder: the run folder; None: ``outputs/<strategy>-<space>-<dataset>/<time>``. If it holds an unfinished run,
            that one is not touched and `InputError` is raised; go on with it by ``nas-run resume=…``.
        config_dir: a folder of further config groups.
        chatty: whether to show progress and print a summary.

    Raises `InputError` for a bad configuration.
    """
    groups = {"strategy": strategy, "space": space, "dataset": dataset, "estimator": estimator}
    overrides = [f"{group}={name}" for group, name in groups.items() if name is not None]
    overrides += [f"+experiment={experiment}"] if experiment else []
    config = _compose("search", [*overrides, f"seed={seed}"], options, config_dir)
    names = config["names"]
    default = f"outputs/{names['strategy']}-{names['space']}-{names['dataset']}"
    return session.start(config, _folder(folder, default), "search", _path(config_dir), chatty)


def evaluate(
    architecture: Architecture | Result | str | Path,
    *,
    evaluation: str | None = None,
    dataset: str | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    config_dir: str | Path | None = None,
    chatty: bool = False,
) -> Result:
    """Train an architecture from scratch and test it, as `nas-evaluate` does.

    Args:
        architecture: a `Result` of `search` or its run folder (whose space, data set and evaluation are taken over); or
            an `Architecture`, a published name, or the path of an ``architecture.json``.
        evaluation: the recipe, e.g. ``cifar10``.
        dataset: to train on another data set than the run's or the recipe's.
        seed, options, folder, config_dir, chatty: as in `search`.

    Raises `InputError` for a bad configuration or a damaged file.
    """
    groups = {"evaluation": evaluation, "dataset": dataset}
    overrides = [f"{group}={name}" for group, name in groups.items() if name is not None]
    config_dir = _path(config_dir)
    if isinstance(architecture, Result):
        architecture = architecture.folder
    if isinstance(architecture, str | Path) and Path(architecture).is_dir():
        config_dir = config_dir or run_config.config_dir(Path(architecture))
        chosen = {name: value for name, value in groups.items() if value is not None}
        inherited = run_config.overrides_from(Path(architecture), chosen, config_dir)
        overrides = [*inherited, *overrides, f"run={configuration.literal(str(architecture))}"]
    elif isinstance(architecture, Architecture):
        overrides.append(f"space={architecture.space}")
    else:
        found = load_architecture(architecture)
        overrides += [f"space={found.space}", f"architecture={configuration.literal(str(architecture))}"]
    config = _compose("evaluate", [*overrides, f"seed={seed}"], options, config_dir)
    if isinstance(architecture, Architecture):
        config["architecture"] = architecture.to_json()
    default = f"outputs/evaluate-{config['names']['evaluation']}-{config['names']['dataset']}"
    return session.start(config, _folder(folder, default), "evaluate", config_dir, chatty)


def _compose(
    primary: str, overrides: list[str], options: Mapping[str, Any] | None, config_dir: str | Path | None
) -> dict[str, Any]:
    given = [f"{key}={configuration.literal(value)}" for key, value in (options or {}).items()]
    return configuration.compose(primary, [*overrides, *given], _path(config_dir))


def _path(folder: str | Path | None) -> Path | None:
    return None if folder is None else Path(folder).resolve()


def _folder(folder: str | Path | None, default: str) -> Path:
    if folder is not None:
        return Path(folder)
    path = Path(default, time.strftime("%Y-%m-%d_%H-%M-%S"))
    # Short runs can follow each other within a second.
    numbered = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(candidate for candidate in itertools.chain([path], numbered) if not candidate.exists())
