"""One run from its configuration to its result: builds the parts, runs the search, writes the run folder."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_cli import journal, published, run_config
from nas_cli.architecture import Architecture
from nas_cli.build import build, check
from nas_cli.config import TOP_LEVEL
from nas_cli.data.base import Dataset
from nas_cli.data.none import NoData
from nas_cli.data.text import TextDataset
from nas_cli.errors import CombinationError, InputError, Interrupted, nearest, require
from nas_cli.estimators.base import Estimator
from nas_cli.estimators.shared_weights import SharedWeights
from nas_cli.evaluation import Evaluation
from nas_cli.executors.base import Executor
from nas_cli.hardware import Hardware
from nas_cli.journal import RunFolder
from nas_cli.progress import ProgressBar, logging_to
from nas_cli.recipe import EvaluationRecipe
from nas_cli.report.drawing import draw_cells
from nas_cli.report.page import write_run_page
from nas_cli.report.ranking import candidates
from nas_cli.report.summary import summary
from nas_cli.runner import Search
from nas_cli.runner import run as run_search
from nas_cli.spaces.base import NetworkSpace, Space
from nas_cli.spaces.language import LanguageSpace
from nas_cli.spaces.named import decided
from nas_cli.strategies.black_box.base import Strategy
from nas_cli.strategies.black_box.search import BlackBoxSearch

log = logging.getLogger(__name__)

#: What each part of a configuration must be; nothing else is ever constructed from it.
ROLES: Mapping[str, Any] = {
    "hardware": Hardware,
    "space": Space,
    "dataset": Dataset | TextDataset | NoData,
    "evaluation": EvaluationRecipe,
    "executor": Executor,
    "estimator": Estimator | SharedWeights,
    "strategy": Strategy | Search,  # one that trains what it judges is a search already
}

#: The command that makes, and resumes, each kind of run.
COMMANDS = {"search": "nas-run", "evaluate": "nas-evaluate"}


@dataclass(frozen=True)
class Result:
    """What a finished run gives back.

    Args:
        folder: the run folder.
        architecture: the best one.
        score: what was maximised.
        metrics: fractions and counts of the best architecture.
        data: all of `result.json`.
    """

    folder: Path
    architecture: Architecture
    score: float
    metrics: Mapping[str, float]
    data: Mapping[str, Any]


def start(
    config: Mapping[str, Any], folder: Path, command: str, config_dir: Path | None = None, chatty: bool = True
) -> Result:
    """Begin a run in a fresh folder.

    Args:
        config: composed and resolved.
        folder: where it goes; must not hold a run yet.
        command: ``search`` or ``evaluate``.
        config_dir: where a user's own groups came from; their classes are imported from there too.
        chatty: whether to show progress and print a summary.

    Raises `InputError` for a bad configuration, `Interrupted` after a signal.
    """
    path = Path(os.path.relpath(folder))
    config = {"command": command, **config, "config_dir": None if config_dir is None else str(config_dir)}
    _import_from(config_dir)
    parts = _Parts(config)
    run_folder = RunFolder(path)
    try:
        require(
            not (path / "config.yaml").exists(),
            f"{path}: already holds a run; choose another folder, or go on with {COMMANDS[command]} resume={path}",
        )
        # Only what can begin is a run: missing data leaves a folder that the corrected command can use.
        parts.begin()
        run_config.write(path, config)
        return _run(parts, run_folder, chatty)
    finally:
        run_folder.release()


def resume(folder: Path, command: str, chatty: bool = True) -> Result:
    """Go on exactly where a run stopped, with its own configuration.

    Raises `InputError` where the folder is no run of this command, or is in use.
    """
    config = run_config.read(folder)
    made_by = COMMANDS.get(config.get("command", ""), "another program")
    require(made_by == COMMANDS[command], f"{folder}: was made by {made_by}; resume it with {made_by} resume={folder}")
    _import_from(config["config_dir"] and Path(config["config_dir"]))
    parts = _Parts(config)
    run_folder = RunFolder(folder)
    try:
        if (folder / "result.json").exists():
            result = read_result(folder)
            if chatty:
                print(f"{folder}: had already finished")
            return result
        parts.begin()
        return _run(parts, run_folder, chatty)
    finally:
        run_folder.release()


def read_result(folder: Path) -> Result:
    """The result of a finished run; nothing in the folder is executed. Raises `InputError` where there is none."""
    data = journal.read_json(folder / "result.json")
    try:
        best = data["best"]
        return Result(folder, Architecture.from_json(best["architecture"]), best["score"], best["metrics"], data)
    except (KeyError, TypeError):
        raise InputError(f"{folder / 'result.json'}: not the result of a run") from None


def _run(parts: _Parts, folder: RunFolder, chatty: bool) -> Result:
    command = COMMANDS[parts.config["command"]]
    try:
        return _run_to_the_end(parts, folder, chatty)
    except (Interrupted, KeyboardInterrupt) as stop:
        reason = str(stop) or "interrupted"
        raise Interrupted(f"{reason}; go on with: {command} resume={folder.path}") from None
    finally:
        parts.search.close()


def _run_to_the_end(parts: _Parts, folder: RunFolder, chatty: bool) -> Result:
    config, search = parts.config, parts.search
    with logging_to(folder.path, chatty):
        log.info("%s in %s", parts.label, folder.path)
        seconds = run_search(search, folder, ProgressBar(parts.label, chatty), config["checkpoint_seconds"])
        best = search.best()
        data: dict[str, Any] = {
            "schema": 1,
            "command": config["command"],
            **{part: config["names"].get(part) for part in ("strategy", "space", "dataset", "estimator", "evaluation")},
            "seed": config["seed"],
            "score": search.score_name,
            "best": {
                "architecture": best.architecture.to_json(),
                "score": best.score,
                "metrics": dict(best.metrics),
            },
            "evaluations": search.evaluations,
            "wall_seconds": round(seconds, 3),
            "peak_memory_bytes": parts.hardware.peak_memory(),
            "device": parts.hardware.description,
            "versions": journal.versions(),
            "git": _git_commit(),
        }
        data = journal.finite(data)
        if graphs := parts.space.pictures(best.architecture):
            svg = draw_cells(graphs, caption=f"{parts.label}, seed {config['seed']}")
            journal.write_atomically(folder.path / "architecture.svg", svg.encode())
        journal.write_json(folder.path / "architecture.json", best.architecture.to_json())
        journal.write_json(folder.path / "result.json", data)  # last: it says that the run has finished
        result = read_result(folder.path)
        _draw_page(folder.path)
        log.info("finished: %s %s", search.score_name, best.score)
    if chatty:
        again = f"nas-evaluate run={folder.path}" if config["command"] == "search" and parts.makes_networks else None
        print(summary(data, parts.space.describe(best.architecture), folder.path, again))
    return result


def _draw_page(folder: Path) -> None:
    """Write `report.html`. The run has its result: whatever goes wrong here is told and no more."""
    try:
        write_run_page(folder)
    except Exception as error:
        log.warning("report.html was not drawn (%s: %s)", type(error).__name__, " ".join(str(error).split()))


class _Parts:
    """The parts of a run, built in the order in which they need each other; no data is read here."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        # The estimator that a space chooses is null in an evaluation.
        unknown = [key for key, part in config.items() if key not in TOP_LEVEL[config["command"]] and part is not None]
        if unknown:
            known = TOP_LEVEL[config["command"]]
            raise InputError("; ".join(f"{key}: no such key{nearest(key, known)}" for key in unknown))
        self.config = config
        self.names = config["names"]
        first = "strategy" if self._searches else "evaluation"
        self.label = "-".join(self.names[part] for part in (first, "space", "dataset"))
        seed = config["seed"]
        require(isinstance(seed, int) and seed >= 0, f"seed={seed}: must be a whole number of at least 0")
        seconds = config["checkpoint_seconds"]
        require(
            isinstance(seconds, int | float) and seconds >= 0,
            f"checkpoint_seconds={seconds}: must be a number of at least 0",
        )
        self._refuse_faults()
        self.hardware = build(config["hardware"], "hardware", Hardware)
        self.space = build(config["space"], "space", Space, name=self.names["space"])
        self.dataset: Any = build(config["dataset"], "dataset", ROLES["dataset"], name=self.names["dataset"])
        self.given = {"space": self.space, "dataset": self.dataset, "hardware": self.hardware, "seed": seed}
        self.search = self._search()

    def begin(self) -> None:
        """Set the device up and let the search read its data."""
        self.hardware.prepare()
        self.search.prepare()

    @property
    def makes_networks(self) -> bool:
        """Whether what is found can be trained."""
        return isinstance(self.space, NetworkSpace | LanguageSpace)

    @property
    def _searches(self) -> bool:
        return bool(self.config["command"] == "search")

    def _refuse_faults(self) -> None:
        """Hold every part against its signature at once, so that all faults are told together."""
        given = dict.fromkeys(("name", "space", "dataset", "hardware", "seed", "estimator"))
        parts = ["hardware", "space", "dataset", "evaluation"]
        if self._searches:
            parts += ["executor", "estimator", "strategy"]
        faults = [fault for part in parts for fault in check(self.config.get(part), part, ROLES[part], given)]
        if faults:
            raise InputError("; ".join(faults))

    def _search(self) -> Search:
        """The search that the configuration composes."""
        config = self.config
        if not self._searches:
            architecture = find_architecture(config)
            if given := config.get("decisions"):  # runs of earlier versions have none
                architecture = decided(self.space, architecture, given)
            recipe = build(config["evaluation"], "evaluation", ROLES["evaluation"])
            return Evaluation(recipe, architecture, **self.given)
        estimator: Any = build(config["estimator"], "estimator", ROLES["estimator"], **self.given)
        strategy: Any = build(config["strategy"], "strategy", ROLES["strategy"], estimator=estimator, **self.given)
        if isinstance(strategy, Search):
            return strategy
        names = self.names
        if not isinstance(estimator, Estimator):
            raise CombinationError(
                f"estimator={names['estimator']}: judges no single architectures, which strategy {names['strategy']} "
                "needs (train, table and function do)"
            )
        return BlackBoxSearch(strategy, estimator, build(config["executor"], "executor", Executor))


def find_architecture(config: Mapping[str, Any]) -> Architecture:
    """What an evaluation is about: a run's best or another of its candidates, a published name, or a file."""
    rank = config.get("rank")  # runs of earlier versions have none
    if config["run"] is not None and rank is not None:
        return candidates(Path(config["run"]), [rank])[0]
    require(rank is None, f"rank={rank}: is of a run's candidates; it goes with run=RUN_DIR")
    if config["run"] is not None:
        return published.find(Path(config["run"]) / "architecture.json")
    require(config["architecture"] is not None, "name what to evaluate: run=RUN_DIR or architecture=NAME_OR_FILE")
    if isinstance(config["architecture"], Mapping):  # given as an object, in Python use
        return Architecture.from_json(config["architecture"])
    return published.find(config["architecture"])


def _import_from(config_dir: Path | None) -> None:
    """Let `_target_` find a user's classes beside the YAML that names them, or in the current folder."""
    for folder in filter(None, (Path.cwd(), config_dir)):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def _git_commit() -> str | None:
    """The commit of the current folder's repository, marked where files differ from it."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
