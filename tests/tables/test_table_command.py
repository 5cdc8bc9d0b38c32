"""`nas-table` as a person meets it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_table import FAKE_CHILD, TABLE, write_table

from nas_cli.tables import command, execute

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command in an empty folder, with a user's table; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execute, "CHILD", FAKE_CHILD)
    monkeypatch.setenv("COLUMNS", "160")
    write_table(tmp_path / "mine")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            command.main([*arguments, "--config-dir", str(tmp_path / "mine")])
        said = capsys.readouterr()
        return int(str(stop.value.code)), said.out, said.err

    return run


def test_alone_it_lists_the_tables(call: Call) -> None:
    code, said, _ = call()
    assert code == 0
    names = [line.split()[0] for line in said.splitlines() if line]
    assert "mine" in names
    assert "darts-cifar10" in names


def test_a_table_is_run_shown_and_written(call: Call) -> None:
    code, said, progress = call("mine", "jobs=2")
    assert code == 0
    assert "[3/3]" in progress
    assert "2.50 ± 0.71" in said  # 2 and 3 percent
    assert "NOT the paper's" in said
    folder = Path("outputs/tables/mine/smoke")
    assert "2.50 ± 0.71" in (folder / "table.md").read_text()
    assert (folder / "table.csv").read_text().startswith("row,label,scale,")
    again, said_again, progress = call("mine")
    assert (again, said_again, progress) == (0, said, "3 of 3 had already finished\n")


def test_a_page_of_all_searches_is_written_beside_the_table(call: Call) -> None:
    page = Path("outputs/tables/mine/smoke/report.html")
    _, said, _ = call("mine", "rows=published")
    assert not page.exists()  # its row is an evaluation
    assert "page:" not in said
    _, said, _ = call("mine")
    assert said.splitlines()[-1] == f"page: {page}"
    html = page.read_text()
    assert "<title>Mine (scale smoke)</title>" in html
    assert "ours, seed 0" in html
    assert "ours, seed 1" in html
    assert 'href="./found/0/search/report.html"' not in html  # these runs drew none
    page.unlink()
    _, said, _ = call("mine", "show=results")  # of runs of earlier calls
    assert page.read_text() == html


def test_a_table_is_run_at_its_own_scale_or_at_the_one_asked_for(call: Call, tmp_path: Path) -> None:
    write_table(tmp_path / "mine", TABLE.replace("title: Mine", "title: Mine\nscale: small"))
    assert "hydra.run.dir=outputs/tables/mine/small/" in call("mine", "show=commands")[1]
    assert "hydra.run.dir=outputs/tables/mine/full/" in call("mine", "show=commands", "scale=full")[1]
    (listed,) = [line.split() for line in call()[1].splitlines() if line.startswith("mine ")]
    assert listed == ["mine", "small", "Mine"]


def test_a_scale_s_runs_are_its_own(call: Call) -> None:
    call("mine")
    _, said, _ = call("mine", "scale=small", "show=results")
    assert "not run" in said
    assert "2.50 ± 0.71" not in said


def test_showing_runs_nothing(call: Call) -> None:
    code, said, _ = call("mine", "show=results")
    assert (code, "not run" in said) == (0, True)
    code, said, _ = call("mine", "show=commands")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == ["nas-run", "nas-evaluate"] * 2 + ["nas-evaluate"]
    assert not Path("outputs").exists()


def test_chosen_rows_and_seeds(call: Call) -> None:
    _, said, _ = call("mine", "rows=published", "seeds=1", "show=commands")
    assert said.splitlines()[0].endswith("hydra.run.dir=outputs/tables/mine/smoke/published/0/evaluate")
    assert len(said.splitlines()) == 1


def test_a_failed_row_is_shown_and_ends_with_1(call: Call, tmp_path: Path) -> None:
    write_table(tmp_path / "mine", TABLE.replace("search: [strategy=darts]", "search: [fake=fail]"))
    code, said, _ = call("mine")
    assert code == 1
    assert "failed: found, seed 0: nas-run: strategy.epoch: no such key" in said
    assert "3.30" in said  # the row after it
    assert call("mine", "rows=published")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mime"], "mime: no such table (did you mean mine?)"),
        (["mine", "scale=ful"], "scale=ful: must be one of smoke, small, full (did you mean full?)"),
        (["mine", "show=x"], "show=x: must be one of run, results, commands"),
        (["mine", "jobs=0"], "jobs=0: must be a whole number of at least 1"),
        (["mine", "seeds=two"], "seeds=two: must be a whole number of at least 1"),
        (["mine", "rows=foun"], "rows=foun: no such row to run in mine (did you mean found?)"),
        (["mine", "scal=full"], "scal: no such key (did you mean scale?)"),
        (["mine", "other"], "mine other: one table at a time"),
        (["mine", "--dry-run"], "--dry-run: no such flag"),
    ],
)
def test_bad_input_is_one_line_and_2(call: Call, arguments: list[str], told: str) -> None:
    code, _, errors = call(*arguments)
    assert code == 2
    assert errors.startswith(f"nas-table: {told}")
    assert errors.count("\n") == 1


def test_help_tells_what_there_is(call: Call) -> None:
    code, said, _ = call("--help")
    assert code == 0
    assert all(f"{option}=" in said for option in ("scale", "show", "rows", "seeds", "jobs"))


def test_showing_imports_neither_torch_nor_hydra() -> None:
    code = (
        "import sys\n"
        "from nas_cli.tables.command import _main\n"
        "_main([]); _main(['darts-cifar10', 'show=commands']); _main(['darts-cifar10', 'show=results'])\n"
        "print({'torch', 'hydra', 'omegaconf', 'numpy'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.endswith("\nset()\n")


def test_plots_stand_on_a_page_of_their_own_or_above_the_searches(call: Call, tmp_path: Path) -> None:
    text = TABLE.replace("rows:", "plots:\n  - {x: params, y: error}\nrows:", 1)
    write_table(tmp_path / "mine", text)
    page = Path("outputs/tables/mine/smoke/report.html")
    code, said, _ = call("mine", "rows=published")
    assert code == 0
    assert f"page: {page}" in said
    alone = page.read_text()
    assert "Reported and counted" in alone
    assert "someone else</text>" in alone
    call("mine", "rows=found", "seeds=1")
    both = page.read_text()
    assert both.index("Reported and counted") < both.index("<h2>Results</h2>")
