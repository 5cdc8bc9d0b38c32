"""`nas-report` from end to end."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lines import search_of, write_lines
from run_folders import write_run, write_unfinished

import nas_cli
from nas_cli.report.command import main


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.chdir(tmp_path)
    for seed, accuracy in enumerate((0.90, 0.92, 0.97)):
        metrics = {"valid_accuracy": accuracy, "test_accuracy": accuracy - 0.01}
        write_run(tmp_path / "multirun" / "2026-01-02_03-04-05" / str(seed), metrics, seed=seed)
    write_unfinished(tmp_path / "multirun" / "2026-01-02_03-04-05" / "3")
    write_run(tmp_path / "outputs" / "bo-nasbench201-cifar10" / "2026-01-02_03-04-05", strategy="bo")
    return tmp_path


def test_seeds_are_averaged(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["multirun"])
    out, err = capsys.readouterr()
    assert err == ""
    # sqrt(0.0013) = 0.03606
    assert re.search(r"random .* 3 +1 +93\.00 ± 3\.61 +92\.00 ± 3\.61", out)


def test_each(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["multirun", "--each"])
    out = capsys.readouterr().out
    for accuracy in ("90.00", "92.00", "97.00", "unfinished"):
        assert accuracy in out
    assert "±" not in out


def test_csv(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["multirun", "outputs", "--csv", "out.csv"])
    with (sweep / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["strategy"], row["runs"], row["unfinished"]) for row in rows] == [
        ("random", "3", "1"),
        ("bo", "1", "0"),
    ]
    assert float(rows[0]["score_mean"]) == pytest.approx(0.93)


def test_the_examples_of_the_help_run(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    examples = re.findall(r"^  nas-report (.*?)  ", capsys.readouterr().out, flags=re.MULTILINE)
    assert len(examples) == 3
    for example in examples:
        main(example.split())
        assert "nasbench201" in capsys.readouterr().out
    assert (sweep / "results.csv").exists()


def test_the_page_stands_in_the_folder_that_was_named_or_above_all(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["multirun"])
    assert capsys.readouterr().out.endswith("\npage: multirun/report.html\n")
    assert "4 runs: random" in (sweep / "multirun" / "report.html").read_text()
    main(["outputs", "multirun"])
    assert capsys.readouterr().out.endswith("\npage: report.html\n")
    assert "5 runs: bo, random" in (sweep / "report.html").read_text()
    main(["multirun/2026-01-02_03-04-05/0", "--html", "one.html"])
    assert capsys.readouterr().out.endswith("\npage: one.html\n")
    assert "random on space nasbench201" in (sweep / "one.html").read_text()


def test_results_that_may_only_be_read_are_shown_all_the_same(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sweep / "multirun" / "report.html.tmp").mkdir()  # stands where the page would be written first
    main(["multirun"])
    out, err = capsys.readouterr()
    assert "93.00 ± 3.61" in out
    assert "no page: multirun/report.html: cannot be written" in out
    assert err == ""


def test_what_darts_plus_would_have_chosen_is_one_line_a_run(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, skips in enumerate(([0, 1, 1, 2, 3], [0, 1, 1])):
        folder = write_run(sweep / "gradient" / str(seed), strategy="darts", seed=seed)
        write_lines(folder, search_of(skips))
    main(["gradient", "outputs"])
    out = capsys.readouterr().out
    assert "what DARTS+ (end at 2 skips in a normal cell, from epoch 3 on) would have chosen\n" in out
    assert (
        "\n  darts seed 0: epoch 4 of 5 (2 skips, valid accuracy 43.00 %); "
        "the run chose epoch 5 (3 skips, valid accuracy 44.00 %)\n"
        "  darts seed 1: no early end in 3 epochs; the run chose epoch 3 (1 skip, valid accuracy 42.00 %)\n"
    ) in out
    assert "bo seed" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nas-report: nowhere: no such folder"),
        (["empty"], "nas-report: empty: holds no run"),
        (["damaged"], "nas-report: damaged/result.json: cannot be read as JSON"),
        (["outputs", "--csv", "missing/out.csv"], "nas-report: --csv missing/out.csv: cannot be written"),
        (["outputs", "--html", "missing/out.html"], "nas-report: --html missing/out.html: cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    sweep: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (sweep / "empty").mkdir()
    (sweep / "damaged").mkdir()
    (sweep / "damaged" / "result.json").write_text("{")
    with pytest.raises(SystemExit) as left:
        main(arguments)
    out, err = capsys.readouterr()
    assert left.value.code == 2
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert out == ""


@pytest.mark.parametrize("arguments", [[], ["outputs", "--nope"], ["outputs", "--csv"], ["outputs", "--eac"]])
def test_bad_usage_is_exit_code_2(sweep: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2


def test_torch_is_not_imported(sweep: Path) -> None:
    code = "import sys; from nas_cli.report.command import main; main(['multirun']); print('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(nas_cli.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
