"""The distinct candidates of a search, best first, told from its trials alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError, require
from nas_cli.journal import JsonLines
from nas_cli.report.trace import number


class Rise(NamedTuple):
    """A trial that judges a candidate for the first time, or better than before.

    Args:
        trials: how many there were until then, this one included.
        trial: itself.
        name: of the candidate: its architecture as text.
        score: of the trial.
        before: the candidate's best score until then, or None.
    """

    trials: int
    trial: Mapping[str, Any]
    name: str
    score: float
    before: float | None


def rises(trials: Iterable[Mapping[str, Any]]) -> Iterator[Rise]:
    """All that changes a ranking, in order: a candidate that is judged again counts once, with its best score."""
    best: dict[str, float] = {}
    for count, trial in enumerate(trials, start=1):
        score = number(trial.get("score"))
        name = json.dumps(trial.get("architecture"), sort_keys=True)
        before = best.get(name)
        if score is not None and (before is None or score > before):
            best[name] = score
            yield Rise(count, trial, name, score, before)


def ranked(trials: Iterable[Mapping[str, Any]]) -> list[Rise]:
    """The best trial of every candidate that was judged, best first; of equals the one that was so good first."""
    last = {rise.name: rise for rise in rises(trials)}
    return sorted(last.values(), key=lambda rise: (-rise.score, rise.trials))


def candidates(folder: Path, ranks: Sequence[Any]) -> list[Architecture]:
    """Those of the distinct candidates of a finished search that have these ranks; 1 is the best.

    Raises:
        InputError: a rank that is none or that no candidate has, a run that is not finished or has no trials, or a
            damaged journal.
    """
    for rank in ranks:
        require(type(rank) is int and rank >= 1, f"rank={rank}: must be a whole number of at least 1")
    require((folder / "result.json").exists(), f"run={folder}: not finished; only what a whole search found has ranks")
    path = folder / "trials.jsonl"
    found = ranked(JsonLines(path).read())
    require(bool(found), f"run={folder}: judged no candidates that could have ranks; leave rank out")
    last = max(ranks, default=1)
    require(last <= len(found), f"rank={last}: run {folder} has {len(found)} distinct candidates")
    try:
        return [Architecture.from_json(json.loads(found[rank - 1].name)) for rank in ranks]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
