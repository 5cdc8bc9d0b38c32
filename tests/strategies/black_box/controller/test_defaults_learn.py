"""What a name alone does: the rewards of the last update are above those of the first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def rewards(folder: Path) -> list[float]:
    """The mean reward of the batch before each update."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["reward"] for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "updates"), [("reinforce", 100), ("ppo", 50)])
def test_among_cells_that_are_looked_up(run: Callable[..., int], tmp_path: Path, strategy: str, updates: int) -> None:
    assert run("nas-run", f"strategy={strategy}", "hydra.run.dir=out") == 0
    found = rewards(tmp_path / "out")
    assert len(found) == updates
    assert found[-1] > found[0]
    assert sum(found[-5:]) > sum(found[:5]) + 5 * 0.02  # of the accuracy; two seeds of each gained 0.03 to 0.08


@pytest.mark.slow
def test_among_language_models_that_are_trained(run: Callable[..., int], tmp_path: Path) -> None:
    """Trees of two leaves on the words of pydoc, 40 of them, a reward of a tenth being that of frequencies alone."""
    assert run("nas-run", "strategy=reinforce", "space=recurrent_tree", "hydra.run.dir=out") == 0
    found = rewards(tmp_path / "out")
    assert len(found) == 8
    assert found[-1] > found[0]  # the first seed's went from 0.08 to over 0.2
