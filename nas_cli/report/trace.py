"""What a run wrote while it went on: its epochs, its updates and its trials. Of a torn file it is what is whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

METRICS, TRIALS = "metrics.jsonl", "trials.jsonl"
#: What is in a line about an update of a controller, and in no other.
UPDATE = "update"
LARGEST = 1e100


@dataclass(frozen=True)
class Epoch:
    """One line of `metrics.jsonl` that is no update of a controller.

    Args:
        x: how many epochs had ended with it, over all stages.
        stage: from 0.
        index: of the epoch in its stage, from 0.
        line: what was measured.
    """

    x: int
    stage: int
    index: int
    line: Mapping[str, Any]

    def number(self, name: str) -> float | None:
        """A measured value; None where there is none, or no finite one."""
        return number(self.line.get(name))


@dataclass(frozen=True)
class Rewind:
    """A search that went back: from after `start` epochs to after `end`, with this weight decay from there on."""

    start: int
    end: int
    weight_decay: float | None


@dataclass(frozen=True)
class Trace:
    """How a run went.

    Args:
        epochs: those that led to the result, in order.
        left: pieces that the search left again by going back (RobustDARTS).
        rewinds: where it did.
        planned: how many epochs there would be at most, over the stages that were begun.
        trials: lines of `trials.jsonl` by their index.
        damaged: how many lines could not be read.
        updates: lines of `metrics.jsonl` about updates of a controller, in order.
    """

    epochs: tuple[Epoch, ...] = ()
    left: tuple[tuple[Epoch, ...], ...] = ()
    rewinds: tuple[Rewind, ...] = ()
    planned: int | None = None
    trials: tuple[Mapping[str, Any], ...] = ()
    damaged: int = 0
    updates: tuple[Mapping[str, Any], ...] = ()

    @cached_property
    def names(self) -> list[str]:
        """All that was measured, in order."""
        return list(dict.fromkeys(name for epoch in self.epochs for name in epoch.line))

    @property
    def stages(self) -> int:
        return 1 + max((epoch.stage for epoch in self.epochs), default=0)

    @cached_property
    def stage_ends(self) -> list[int]:
        """How many epochs had ended with each stage, over all stages."""
        return [epochs[-1].x for stage in range(self.stages) if (epochs := self.stage(stage))]

    @property
    def is_gradient_search(self) -> bool:
        """Whether its epochs have cells: those of a training have none."""
        return any("architecture" in epoch.line for epoch in self.epochs)

    def stage(self, stage: int) -> list[Epoch]:
        """The epochs of one stage."""
        return [epoch for epoch in self.epochs if epoch.stage == stage]

    def series(self, name: str) -> list[tuple[float, float]]:
        """(x, value) of the epochs that have one."""
        return values(self.epochs, name)

    def kinds(self, prefix: str) -> list[str]:
        """Types of cells for which there is a value named ``prefix_<kind>``, e.g. ``normal`` and ``reduce``."""
        return [name.removeprefix(f"{prefix}_") for name in self.names if name.startswith(f"{prefix}_")]


def read_trace(folder: Path) -> Trace:
    """The trace of a run folder; empty where the run has written nothing yet."""
    lines, damaged = _read(folder / METRICS)
    trials, more = _read(folder / TRIALS)
    trials.sort(key=lambda trial: number(trial.get("index")) or 0)
    return trace_of(lines, trials, damaged + more)


def trace_of(lines: Iterable[Mapping[str, Any]], trials: Iterable[Mapping[str, Any]] = (), damaged: int = 0) -> Trace:
    """The trace that lines of `metrics.jsonl` and `trials.jsonl` tell."""
    kept: list[Epoch] = []
    left: list[tuple[Epoch, ...]] = []
    rewinds: list[Rewind] = []
    planned: dict[int, int] = {}
    named, stage, offset = 0, 0, 0  # stages are numbered as they come, whatever a line calls them
    updates = []
    for line in lines:
        if UPDATE in line:
            updates.append(line)
            continue
        name, index = _whole(line.get("stage"), named), _whole(line.get("epoch"), -1)
        if name != named:
            named, stage, offset = name, stage + bool(kept), kept[-1].x if kept else 0
        if index < 0:  # a line that does not say its epoch follows the one before
            index = kept[-1].index + 1 if kept and kept[-1].stage == stage else 0
        again = [epoch for epoch in kept if epoch.stage == stage and epoch.index >= index]
        if again:
            del kept[-len(again) :]
            left.append(tuple(again))
            rewinds.append(Rewind(again[-1].x, offset + index, number(line.get("weight_decay"))))
        kept.append(Epoch(offset + index + 1, stage, index, line))
        if epochs := _whole(line.get("epochs"), 0):
            planned[stage] = epochs
    most = sum(planned.values()) if planned else None
    return Trace(tuple(kept), tuple(left), tuple(rewinds), most, tuple(trials), damaged, tuple(updates))


def values(epochs: Sequence[Epoch], name: str) -> list[tuple[float, float]]:
    """(x, value) of the epochs that have one."""
    return [(epoch.x, value) for epoch in epochs if (value := epoch.number(name)) is not None]


def number(value: Any) -> float | None:
    """A number with which one can reckon; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN is not below either; a whole number of a thousand digits is valid JSON.
    return float(value) if abs(value) < LARGEST else None


def _whole(value: Any, otherwise: int) -> int:
    found = number(value)
    return otherwise if found is None or not 0 <= found < 1e9 else int(found)


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The whole JSON objects of a file, and how many lines are none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError:
        return [], 1
    found, damaged = [], 0
    for line in content.splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            found.append(record)
        else:
            damaged += 1
    return found, damaged
