"""Ranks of the distinct candidates of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_folders import write_run

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.report.ranking import candidates, ranked
from nas_cli.report.top import top_so_far


def trials(*scored: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"architecture": {"space": "s", "decisions": [name]}, "score": score} for name, score in scored]


#: The best of each: a 0.7, c 0.7 but later, d 0.4, b 0.3; e was never judged.
TRIALS = trials(
    ("c", 0.1), ("b", 0.3), ("a", 0.5), ("a", 0.7), ("e", None), ("c", 0.7), ("d", 0.4), ("a", 0.7), ("b", 0.1)
)


def write_trials(folder: Path, lines: list[dict[str, Any]], torn: str = "") -> Path:
    write_run(folder)
    (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + torn)
    return folder


def test_one_that_was_judged_again_has_one_rank_by_its_best_score() -> None:
    assert [json.loads(rise.name)["decisions"] for rise in ranked(TRIALS)] == [["a"], ["c"], ["d"], ["b"]]


def test_the_best_of_the_ranking_are_those_of_the_curves() -> None:
    scores = [0.7, 0.7, 0.4, 0.3]
    for count in range(1, 5):
        assert top_so_far(TRIALS, count)[-1][1] == pytest.approx(sum(scores[:count]) / count)
    assert top_so_far(TRIALS, 5) == []


def test_candidates_by_their_ranks(tmp_path: Path) -> None:
    folder = write_trials(tmp_path / "run", TRIALS, torn='{"architecture": {"sp')
    assert candidates(folder, [4, 1]) == [Architecture("s", ("b",)), Architecture("s", ("a",))]


@pytest.mark.parametrize(
    ("rank", "told"),
    [
        (5, "rank=5: run {} has 4 distinct candidates"),
        (0, "rank=0: must be a whole number of at least 1"),
        (True, "rank=True: must be a whole number of at least 1"),
        (1.0, "rank=1.0: must be a whole number of at least 1"),
        ("best", "rank=best: must be a whole number of at least 1"),
    ],
)
def test_other_ranks_are_refused(tmp_path: Path, rank: Any, told: str) -> None:
    folder = write_trials(tmp_path / "run", TRIALS)
    with pytest.raises(InputError) as refused:
        candidates(folder, [1, rank])
    assert str(refused.value) == told.format(folder)


def test_runs_without_ranks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without: judged no candidates that could have ranks"):
        candidates(write_run(tmp_path / "without"), [1])
    with pytest.raises(InputError, match="failed: judged no candidates"):
        candidates(write_trials(tmp_path / "failed", trials(("a", None))), [1])
    unfinished = write_trials(tmp_path / "unfinished", TRIALS)
    (unfinished / "result.json").unlink()
    with pytest.raises(InputError, match="unfinished: not finished"):
        candidates(unfinished, [1])
    with pytest.raises(InputError, match=r"trials\.jsonl: not an architecture"):
        candidates(write_trials(tmp_path / "damaged", [{"architecture": 3, "score": 1.0}]), [1])
