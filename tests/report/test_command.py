"""`nas-report` from end to end."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nas-report: nowhere: no such folder"),
        (["empty"], "nas-report: empty: holds no run"),
        (["damaged"], "nas-report: damaged/result.json: cannot be read as JSON"),
        (["outputs", "--csv", "missing/out.csv"], "nas-report: --csv missing/out.csv: cannot be written"),
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
