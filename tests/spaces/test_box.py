"""Decisions from YAML, and the page that tells how to search over an objective of one's own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas_cli.build import build
from nas_cli.errors import InputError
from nas_cli.spaces.base import Space
from nas_cli.spaces.box import Box
from nas_cli.spaces.decisions import Categorical, Integer, Real

PAGE = Path(__file__).parents[2] / "docs" / "own_objective.md"
REAL = {"_target_": "nas_cli.spaces.decisions.Real", "name": "x", "low": 0, "high": 2}


def made(**decisions: dict[str, Any]) -> Space:
    return build({"_target_": "nas_cli.spaces.box.Box", "decisions": decisions}, "space", Space, name="box")


def test_decisions_stand_in_yaml() -> None:
    kind = {"_target_": "nas_cli.spaces.decisions.Categorical", "name": "kind", "choices": ["a", "b"]}
    space = made(x=REAL, kind=kind)
    assert [decision.name for decision in space.decisions] == ["x", "kind"]
    assert space.encode(space.decode((0.5, "b"))) == (0.5, "b")


def test_what_is_wrong_with_them_is_told() -> None:
    with pytest.raises(InputError, match=r"space: decisions\.y\.name=x: must be y"):
        made(y=REAL)
    with pytest.raises(InputError, match="there must be at least one"):
        Box("box", {})
    with pytest.raises(InputError, match=r"space\.decisions\.x\.hihg: no such option of Real"):
        made(x={**REAL, "hihg": 3})


def test_the_page_runs(run: Callable[..., int], tmp_path: Path) -> None:
    """The files that the page shows, and the commands that it gives."""
    text = PAGE.read_text()
    names = re.findall(r"`mine/(\S+\.(?:yaml|py))`", text)
    blocks = re.findall(r"```(?:yaml|python)\n(.*?)```", text, re.DOTALL)
    assert len(names) == len(blocks) == 3
    for name, block in zip(names, blocks, strict=True):
        file = tmp_path / "mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block)
    commands = re.search(r"```bash\n(.*?)```", text, re.DOTALL)[1].splitlines()  # type: ignore[index]
    shortcut = re.search(r"`(estimator=function .*)`", text)[1]  # type: ignore[index]
    commands.append(commands[0].replace("estimator=cake", shortcut.replace("'", "")))
    longest = []
    for number, command in enumerate(commands):
        program, *arguments = command.split()
        assert run(program, *arguments, "strategy.evaluations=12", f"hydra.run.dir=run_{number}") == 0
        trials = [json.loads(line) for line in Path(f"run_{number}", "trials.jsonl").read_text().splitlines()]
        values = [trial["architecture"]["decisions"] for trial in trials]
        assert len(values) == 12
        assert {(heat == "fan") == (speed is not None) for _, _, heat, speed in values} == {True}
        longest.append(max(minutes for _, minutes, _, _ in values))
    assert longest[0] == longest[2] > 60 >= longest[1]


def test_decisions_may_be_of_any_kind() -> None:
    decisions = {"a": Real("a", 0, 1), "b": Integer("b", 1, 3), "c": Categorical("c", ("x",))}
    assert Box("box", decisions).decisions == tuple(decisions.values())
