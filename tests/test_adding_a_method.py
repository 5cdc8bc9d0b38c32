"""The worked example of docs/adding_a_method.md, taken from the page and run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support import command, outcome

from nas_cli.config import choices

PAGE = (Path(__file__).parents[1] / "docs" / "adding_a_method.md").read_text()
SMALL = ("strategy.epochs=1", "strategy.warm_up=0", "space.channels=8", "space.cells=3", "estimator.batch_size=350")


def written(folder: Path) -> None:
    """The files of the page: each follows a line that names it."""
    for name, text in re.findall(r"`mine/([\w/.]+)`:\n\n```\w+\n(.*?)```", PAGE, flags=re.DOTALL):
        file = folder / "mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def commands() -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines]


def test_the_page_holds_a_module_and_one_yaml(tmp_path: Path) -> None:
    written(tmp_path)
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["mine/gumbel_top_k.py", "mine/strategy/mixing/gumbel_top_k.yaml"]
    assert len(commands()) == 3


# The first and the last compose what other tests compose as well.
@pytest.mark.parametrize(
    "number", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow)]
)
def test_its_commands_run(number: int, tmp_path: Path) -> None:
    written(tmp_path)
    run = command(*commands()[number], *SMALL, "hydra.run.dir=run", cwd=tmp_path)
    _, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert 0 <= outcome(tmp_path / "run")["result"]["best"]["score"] <= 1


@pytest.mark.parametrize(
    ("part", "group"),
    [(part, f"strategy/{part}") for part in re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)],
)
def test_the_table_of_parts_is_whole(part: str, group: str) -> None:
    (row,) = re.findall(rf"^\| `{part}` \|.*\| (.*) \|$", PAGE, flags=re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", row)) == choices()[group]
