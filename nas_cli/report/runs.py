"""Run folders as data. Nothing in them is executed: JSON and plain YAML are all that is read."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas_cli.errors import InputError
from nas_cli.report.options import read_config

RESULT, CONFIG = "result.json", "config.yaml"
#: Estimators that judge by a formula: whatever data set a run names beside them was not used.
WITHOUT_DATA = ("function",)
NO_DATA = "none"  # what a run names that has no data set


@dataclass(frozen=True)
class Run:
    """One run folder.

    Args:
        folder: where it is.
        finished: whether there is a result; of an unfinished run only the names and the seed are known.
        command: ``search`` or ``evaluate``.
        strategy, space, dataset, estimator: the names of the parts, None where there is none or it had no use.
        evaluation: the name of the recipe.
        seed: of the run.
        architecture: of an evaluation, what was evaluated: its published name, else eight letters made from it.
        score_name: what `score` is, e.g. ``valid_accuracy``.
        score: of the best candidate, the higher the better; None where no candidate has one.
        metrics: of the best candidate; accuracies and errors are fractions. Without those that are no finite number.
        evaluations: how many candidates were judged.
        wall_seconds: how long it took.
        result: all of `result.json`, as plain data; empty for an unfinished run.
        config: all of `config.yaml`, as plain data with its interpolations unresolved; None where there is none.
        label: what whoever gathered the runs calls it, e.g. a row of a table; runs of one label belong together.
    """

    folder: Path
    finished: bool
    command: str
    strategy: str | None = None
    space: str | None = None
    dataset: str | None = None
    estimator: str | None = None
    evaluation: str | None = None
    seed: int | None = None
    architecture: str | None = None
    score_name: str | None = None
    score: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    evaluations: float | None = None
    wall_seconds: float | None = None
    result: dict[str, Any] = field(default_factory=dict)
    config: dict[Any, Any] | None = None
    label: str | None = None

    @property
    def name(self) -> str:
        """What it is called, its seed aside."""
        return self.label or self.strategy or self.architecture or "?"


def find_runs(paths: Iterable[str | os.PathLike[str]]) -> list[Run]:
    """The runs in and below some folders, each once, in the order of `paths` and then of their names.

    Args:
        paths: run folders, or folders above them. A folder with a result or a config is a run and is not searched
            further.

    Raises:
        InputError: a path that does not exist or holds no run, or a damaged `result.json` or `config.yaml`.
    """
    folders: dict[Path, Path] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise InputError(f"{path}: {'not a folder' if path.exists() else 'no such folder'}")
        found = _run_folders(path)
        if not found:
            raise InputError(f"{path}: holds no run (a folder with {RESULT} or {CONFIG})")
        for folder in found:
            folders.setdefault(folder.resolve(), folder)
    return [read_run(folder) for folder in folders.values()]


def _run_folders(path: Path) -> list[Path]:
    found = []
    for folder, below, files in os.walk(path):
        if RESULT in files or CONFIG in files:
            found.append(Path(folder))
            below.clear()
        # Hidden folders hold no runs; Hydra keeps a config.yaml of its own in one.
        below[:] = sorted((name for name in below if not name.startswith(".")), key=_natural)
    return found


def _natural(name: str) -> tuple[bool, int, str]:
    """Jobs of a sweep are numbered: 10 stands after 9."""
    return (False, int(name), "") if name.isdecimal() else (True, 0, name)


def read_run(folder: Path) -> Run:
    """The run in a folder. Raises `InputError` if its result or config is damaged."""
    path = folder / RESULT
    config = read_config(folder / CONFIG)
    if not path.exists():
        return _unfinished(folder, config)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({_one_line(error)})") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: must hold an object with the keys of a result, not {type(data).__name__}")
    best = data.get("best") or {}
    metrics = best.get("metrics") or {} if isinstance(best, dict) else None
    if not isinstance(best, dict) or not isinstance(metrics, dict):
        raise InputError(f"{path}: 'best' must be an object with 'architecture', 'score' and an object 'metrics'")
    numbers = {str(name): _number(path, f"best.metrics.{name}", value) for name, value in metrics.items()}
    seed = _number(path, "seed", data.get("seed"))
    command = _command(path, data)
    return Run(
        folder=folder,
        finished=True,
        command=command,
        strategy=_name(path, data, "strategy"),
        space=_name(path, data, "space"),
        dataset=_dataset(path, data),
        estimator=_name(path, data, "estimator"),
        evaluation=_name(path, data, "evaluation"),
        seed=None if seed is None else int(seed),
        architecture=_architecture_name(path, best.get("architecture")) if command == "evaluate" else None,
        score_name=_name(path, data, "score"),
        score=_number(path, "best.score", best.get("score")),
        metrics={name: value for name, value in numbers.items() if value is not None},
        evaluations=_number(path, "evaluations", data.get("evaluations")),
        wall_seconds=_number(path, "wall_seconds", data.get("wall_seconds")),
        result=data,
        config=config,
    )


def _command(path: Path, data: Mapping[Any, Any]) -> str:
    """``search`` or ``evaluate``, of a result or a config; one that does not say is a search's."""
    return _name(path, data, "command") or "search"


def _name(path: Path, data: Mapping[Any, Any], key: str) -> str | None:
    value = data.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{path}: {key}={value!r} must be a name or null")
    return value


def _dataset(path: Path, data: Mapping[Any, Any]) -> str | None:
    """The data set on which candidates were judged."""
    name = _name(path, data, "dataset")
    return None if name == NO_DATA or _name(path, data, "estimator") in WITHOUT_DATA else name


def _number(path: Path, key: str, value: Any) -> float | None:
    """A finite number; None for null, NaN and infinities, with which no mean can be formed."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{path}: {key}={value!r} must be a number or null")
    return value if math.isfinite(value) else None


def _architecture_name(path: Path, data: Any) -> str | None:
    if data is None:
        return None
    # Imported here, as searches need neither.
    from nas_cli import published
    from nas_cli.architecture import Architecture

    try:
        architecture = Architecture.from_json(data)
    except InputError as error:
        raise InputError(f"{path}: best.architecture: {error}") from None
    for name in published.names():
        if published.load(name) == architecture:
            return name
    return hashlib.sha256(json.dumps(architecture.to_json()).encode()).hexdigest()[:8]


def _unfinished(folder: Path, config: dict[Any, Any] | None) -> Run:
    path = folder / CONFIG
    names = (config or {}).get("names") or {}
    if config is None or not isinstance(names, dict):
        raise InputError(f"{path}: must hold a configuration whose 'names' say what was chosen")
    seed, architecture = config.get("seed"), config.get("architecture")
    return Run(
        folder=folder,
        finished=False,
        command=_command(path, config),
        strategy=_name(path, names, "strategy"),
        space=_name(path, names, "space"),
        dataset=_dataset(path, names),
        estimator=_name(path, names, "estimator"),
        evaluation=_name(path, names, "evaluation"),
        seed=seed if type(seed) is int else None,
        architecture=architecture if isinstance(architecture, str) else None,
        config=config,
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
