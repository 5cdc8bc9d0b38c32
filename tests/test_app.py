"""The commands as a person meets them: what they refuse, in one line and with which exit code, and what they leave."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import TINY_DARTS, outcome

Run = Callable[..., int]


def refused(run: Run, capsys: pytest.CaptureFixture[str], command: str, *arguments: str) -> str:
    """The one line that a refused command prints; it must leave with 2."""
    capsys.readouterr()
    code = run(command, *arguments)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(command)]
    assert code == 2, lines
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["stratgy=darts"], "stratgy: no such key (did you mean strategy?)"),
        (["strategy=drats"], "strategy=drats: no such strategy (did you mean darts?); there are bayesnas, bo, darts"),
        (["strategy=darts", "strategy.epochs=ten"], "strategy.epochs=ten: must be a whole number"),
        (["strategy=darts", "space=branin"], "a space with a supernet, e.g. space=darts with estimator=shared_weights"),
        (
            ["+strategy.learnin_rate=1"],
            "strategy.learnin_rate: no such key (did you mean strategy.optimizer.learning_rate?)",
        ),
        (["strategy.epochs=0"], "strategy: epochs must be at least 1, not 0"),
        (["strategy.optimizer.betas=[0.5]"], "strategy.optimizer.betas=[0.5]: must be a list of 2 values"),
        (["estimator.split=1.5"], "estimator: split must be between 0 and 1, not 1.5"),
        (["strategy=random", "space=darts"], "space=darts with estimator=table"),
        (["strategy=random", "dataset=svhn"], "dataset=svhn with estimator=table"),
        (["strategy=darts", "estimator=train"], "estimator Train has none"),
        (["strategy=random", "space=darts", "estimator=shared_weights"], "judges no single architectures"),
        (["space.operations=[none,sep_conv_3x4]"], "did you mean sep_conv_3x3?"),
        (["dataset=cifar10"], "missing data/cifar-10-batches-py/data_batch_1; put it there"),
        (["hardware.device=gpu"], "device=gpu: must be one of auto, cpu, cuda"),
        (["seed=-1"], "seed=-1: must be a whole number of at least 0"),
        (["strategy.epochs=1", "strategy.epoch=1", "stratgy=x"], "stratgy: no such key"),
        (["resume=nowhere"], "nowhere: not a run folder"),
        (["resume=nowhere", "seed=1"], "nothing else can be given beside it"),
        (["--config-dir", "nowhere"], "no such folder"),
        (["darts"], "not of the form key=value"),
        (["strategy=bo", "strategy/incumbent=best"], "no such group (did you mean strategy.incumbent?)"),
        (["strategy=bo", "strategy/kernal=wl"], "no such group (did you mean strategy/kernel?)"),
        (["strategy=darts", "dataset=none"], "dataset=none: estimator (SharedImageWeights) takes Dataset, not NoData"),
        (["names.space=foo"], "names.space: follows from what is chosen"),
        (["hydra.run.dir=/dev/null/x"], "/dev/null"),
        (["strategy=random", "strategy.evaluations=null"], "strategy.evaluations=None: must be a whole number"),
    ],
)
def test_refuses_in_one_line(run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    assert told in refused(run, capsys, "nas-run", *arguments)


def test_tells_all_faults_at_once(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(run, capsys, "nas-run", "strategy.epoch=1", "space.channel=2", "seed=x")
    assert all(key in line for key in ("strategy.epochs?", "space.channels?", "seed=x: must be a whole number"))


def test_refusing_imports_no_torch() -> None:
    for arguments in (["stratgy=darts"], ["strategy=drats"], ["strategy.epochs=ten"], ["--help"], ["--cfg", "job"]):
        code = (
            "import sys; from nas_cli import app; sys.argv = ['nas-run', *sys.argv[1:]]\n"
            "try: app.run()\nexcept SystemExit: pass\n"
            "print([name for name in ('torch', 'sklearn', 'botorch', 'numpy') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert done.stdout.endswith("[]\n"), done


def test_help_shows_commands_that_run(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nas-run", "--help") == 0
    text = capsys.readouterr().out
    assert re.search(r"^  strategy +bayesnas, bo, darts, ", text, re.MULTILINE)
    shown = [line.split("   ")[0].split() for line in text.splitlines() if line.startswith("  nas-run strategy=random")]
    assert shown
    for words in shown:
        assert run(*words) == 0
    assert run("nas-evaluate", "--help") == 0
    assert "architecture=darts_v2" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["--info"], ["--hydra-help"], ["--info", "defaults"]])
def test_hydra_flags_work(run: Run, capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    assert run("nas-run", *flags) == 0
    assert capsys.readouterr().out


def test_shell_completion_offers_the_choices(tmp_path: Path) -> None:
    # What the shell does: it asks the command with the words typed so far in its environment.
    code = "import sys; from nas_cli.app import run; sys.argv = ['nas-run', *sys.argv[1:]]; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, "-sc", "query=bash"],
        env={"COMP_LINE": "nas-run strategy=", "COMP_POINT": "17", "PATH": "/usr/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "strategy=darts" in done.stdout
    assert "strategy=random" in done.stdout


def test_a_search_leaves_the_whole_run_folder(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nas-run", *TINY_DARTS) == 0
    (folder,) = tmp_path.glob("outputs/darts-darts-digits/*")
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        ".hydra",
        "config.yaml",
        "run.log",
        "trials.jsonl",
        "metrics.jsonl",
        "result.json",
        "architecture.json",
        "checkpoint.pt",
        "architecture.svg",
        "report.html",
    }
    result = json.loads((folder / "result.json").read_text())
    assert set(result) >= {
        "schema", "strategy", "space", "dataset", "estimator", "seed", "best", "evaluations", "wall_seconds", "device",
        "versions", "git",
    }  # fmt: skip
    assert set(result["best"]) == {"architecture", "score", "metrics"}
    (trial,) = (json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines())
    assert set(trial) == {
        "index", "architecture", "score", "metrics", "cost_seconds", "budget", "status", "error", "started", "finished",
    }  # fmt: skip
    assert (
        trial["architecture"]
        == result["best"]["architecture"]
        == json.loads((folder / "architecture.json").read_text())
    )
    out = capsys.readouterr().out
    assert "normal: " in out
    assert f"Next: nas-evaluate run={folder.relative_to(tmp_path)}" in out

    assert run("nas-evaluate", f"run={folder}", "evaluation.epochs=1") == 0
    (evaluated,) = tmp_path.glob("outputs/evaluate-small-digits/*")
    best = json.loads((evaluated / "result.json").read_text())["best"]
    assert best["architecture"] == result["best"]["architecture"]
    assert set(best["metrics"]) >= {"test_accuracy", "params", "macs"}
    assert "the same test accuracy" in (evaluated / "run.log").read_text()


def test_an_evaluation_takes_over_the_sizes_of_its_run(run: Run, tmp_path: Path) -> None:
    assert run("nas-run", *TINY_DARTS, "hydra.run.dir=found") == 0
    assert run("nas-evaluate", "run=found", "evaluation.epochs=0", "hydra.run.dir=a") == 0
    assert run("nas-evaluate", "run=found", "evaluation.epochs=0", "space.channels=4", "hydra.run.dir=b") == 0
    assert run("nas-evaluate", "run=found", "evaluation=cifar10", "evaluation.epochs=0", "hydra.run.dir=c") == 0
    params = [json.loads(Path(name, "result.json").read_text())["best"]["metrics"]["params"] for name in "abc"]
    assert params[0] < params[1] < params[2]
    assert json.loads(Path("c/result.json").read_text())["dataset"] == "cifar10"


def test_the_best_few_candidates_of_a_run_are_evaluated_one_by_one(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("nas-run", "strategy=random", "strategy.evaluations=3", "hydra.run.dir=found") == 0
    trials = [json.loads(line) for line in Path("found/trials.jsonl").read_text().splitlines()]
    trials.sort(key=lambda trial: -trial["score"])
    counted = ("run=found", "evaluation.epochs=0")
    assert run("nas-evaluate", "-m", *counted, "rank=range(1,4)", "hydra.sweep.dir=all") == 0
    for place, trial in enumerate(trials):
        assert json.loads(Path(f"all/{place}/architecture.json").read_text()) == trial["architecture"]
    # Of a sweep all ranks are looked at first.
    told = "rank=4: run found has 3 distinct candidates"
    assert told in refused(run, capsys, "nas-evaluate", "-m", *counted, "rank=range(1,5)", "hydra.sweep.dir=more")
    assert told in refused(run, capsys, "nas-evaluate", *counted, "rank=4", "hydra.run.dir=more")
    assert not Path("more").exists()
    assert "it goes with run=RUN_DIR" in refused(run, capsys, "nas-evaluate", "architecture=darts_v2", "rank=1")


def test_a_published_name_is_counted_without_data(run: Run) -> None:
    assert (
        run("nas-evaluate", "architecture=darts_v2", "evaluation=cifar10", "evaluation.epochs=0", "hydra.run.dir=x")
        == 0
    )
    result = json.loads(Path("x/result.json").read_text())
    assert result["best"]["score"] is None
    assert result["best"]["metrics"] == {
        "params": 3349342,
        "params_with_auxiliary": 3825768,
        "macs": 528359040,
        "classes": 10,
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "run=RUN_DIR or architecture=NAME_OR_FILE"),
        (["architecture=darts_v3"], "darts_v3"),
        (["architecture=nowhere.json"], "nowhere.json: no such file"),
        (["run=nowhere"], "nowhere: not a run folder"),
        (["architecture=darts_v2", "space=nasbench201"], "of space darts, not of nasbench201"),
        (["run=a,b"], "runs cannot be swept"),
        (["architecture=darts_v2", "evaluation.epochs=-1"], "evaluation: epochs must be at least 0"),
        (["architecture=darts_v2", "evaluation=cifar10"], "missing data/cifar-10-batches-py/data_batch_1"),
    ],
)
def test_evaluate_refuses_in_one_line(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert told in refused(run, capsys, "nas-evaluate", *arguments)


def test_a_folder_holds_one_run(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    random = ["strategy=random", "strategy.evaluations=3", "hydra.run.dir=x"]
    assert run("nas-run", *random) == 0
    before = outcome(Path("x"))
    assert "already holds a run" in refused(run, capsys, "nas-run", *random)
    assert run("nas-run", "resume=x") == 0  # finished: nothing to do
    assert outcome(Path("x")) == before
    assert "was made by nas-run" in refused(run, capsys, "nas-evaluate", "resume=x")


def test_two_processes_cannot_work_on_one_run(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    from nas_cli.journal import RunFolder

    assert run("nas-run", "strategy=random", "strategy.evaluations=3", "hydra.run.dir=x") == 0
    held = RunFolder(Path("x"))
    try:
        assert "another process is working on this run" in refused(run, capsys, "nas-run", "resume=x")
    finally:
        held.release()


def test_a_truncated_checkpoint_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nas-run", *TINY_DARTS, "hydra.run.dir=x") == 0
    Path("x/result.json").unlink()
    checkpoint = Path("x/checkpoint.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
    assert "checkpoint.pt: truncated or damaged" in refused(run, capsys, "nas-run", "resume=x")


def test_a_corrupt_cifar_batch_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("data/cifar-10-batches-py")
    folder.mkdir(parents=True)
    for number in range(1, 6):
        (folder / f"data_batch_{number}").write_bytes(
            pickle.dumps({b"data": np.zeros((4, 3072), np.uint8), b"labels": [0, 1, 2, 3]})
        )
    (folder / "data_batch_3").write_bytes(b"not a pickle")
    assert "data_batch_3" in refused(run, capsys, "nas-run", "dataset=cifar10")


def pictures(root: Path, sizes: tuple[int, ...] = (20, 24, 32)) -> None:
    """Three classes of pictures of unequal size and mode."""
    generator = np.random.default_rng(0)
    for part, each in (("train", 12), ("test", 4)):
        for number, (name, mode) in enumerate({"ants": "L", "bees": "RGBA", "cats": "RGB"}.items()):
            (root / part / name).mkdir(parents=True)
            for index in range(each):
                side = sizes[(number + index) % len(sizes)]
                channels = {"L": 1, "RGBA": 4, "RGB": 3}[mode]
                pixels = generator.integers(0, 80, (side, side + 4, channels)) + 80 * number
                Image.fromarray(pixels.astype(np.uint8).squeeze(), mode).save(root / part / name / f"{index}.png")


def test_a_persons_own_pictures(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path / "mine")
    own = ["dataset=image_folder", "dataset.root=mine", "estimator.batch_size=8"]
    assert run("nas-run", *TINY_DARTS[:-1], *own, "hydra.run.dir=x") == 0
    assert run("nas-evaluate", "run=x", "evaluation.epochs=1", "evaluation.batch_size=8", "hydra.run.dir=y") == 0
    result = json.loads(Path("y/result.json").read_text())
    assert result["dataset"] == "image_folder"
    assert result["best"]["metrics"]["classes"] == 3

    unreadable = tmp_path / "mine" / "train" / "bees" / "3.png"
    unreadable.write_bytes(unreadable.read_bytes()[:60])
    assert "bees/3.png" in refused(run, capsys, "nas-run", *TINY_DARTS, *own)


@pytest.mark.filterwarnings("ignore")
def test_a_diverged_loss_stops_with_1_and_keeps_the_last_good_state(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = ["estimator.learning_rate=1e30", "estimator.gradient_clip=1e30", "strategy.epochs=3"]
    assert run("nas-run", *TINY_DARTS, *wild, "hydra.run.dir=x", "checkpoint_seconds=0") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("nas-run")]
    assert "diverged" in line
    state = torch.load("x/checkpoint.pt", weights_only=True)["search"]
    reached = state["reached"]["relaxation"]
    for kept in (reached["values"], reached["shared"]["network"]):
        assert all(torch.isfinite(value).all() for value in kept.values())


def test_even_the_first_epoch_leaves_a_good_state(run: Run) -> None:
    wild = ["estimator.learning_rate=1e30", "estimator.gradient_clip=1e30"]
    assert run("nas-run", *TINY_DARTS, *wild, "hydra.run.dir=x") == 1
    assert torch.load("x/checkpoint.pt", weights_only=True)["search"]["steps"] == 0


def test_a_refused_run_leaves_its_folder_free(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert "missing data" in refused(run, capsys, "nas-run", "dataset=cifar10", "hydra.run.dir=x")
    assert run("nas-run", "strategy=random", "strategy.evaluations=3", "hydra.run.dir=x") == 0


@pytest.mark.parametrize(
    "arguments", [["strategy=bo", "estimator=train", "dataset=none"], ["dataset=cifar10"]], ids=["combination", "data"]
)
def test_a_refused_run_leaves_no_folder(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    refused(run, capsys, "nas-run", *arguments)
    refused(run, capsys, "nas-run", *arguments, "hydra.run.dir=x/y")
    assert list(tmp_path.iterdir()) == []
    Path("x").mkdir()
    Path("x/mine").write_text("kept")
    refused(run, capsys, "nas-run", *arguments, "hydra.run.dir=x")
    refused(run, capsys, "nas-run", *arguments, "hydra.run.dir=x/y")
    assert Path("x/mine").read_text() == "kept"
    assert not Path("x/y").exists()


def test_an_evaluation_knows_the_options_of_its_run(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nas-run", "strategy=random", "strategy.evaluations=3", "hydra.run.dir=x") == 0
    small = ["evaluation.epochs=0", "space.cells=3"]
    assert run("nas-evaluate", "run=x", "dataset.root=elsewhere", *small, "hydra.run.dir=y") == 0
    # A file of a cell says itself of which space it is.
    assert run("nas-evaluate", "architecture=x/architecture.json", *small, "hydra.run.dir=z") == 0
    assert "dataset.rot: no such key (did you mean dataset.root?)" in refused(
        run, capsys, "nas-evaluate", "run=x", "dataset.rot=1"
    )


def test_a_damaged_config_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad").mkdir()
    Path("bad/config.yaml").write_text("command: search\nnames: {strategy: grid}\n")
    assert "not the configuration of a run, or only a part of it" in refused(run, capsys, "nas-run", "resume=bad")


def test_a_users_experiment_brings_no_unknown_keys(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/typo.yaml").write_text("# @package _global_\nsed: 5\nstratgy: {epochs: 3}\n")
    line = refused(run, capsys, "nas-run", "--config-dir", "mine", "+experiment=typo", "strategy=grid")
    assert "sed: no such key (did you mean seed?)" in line
    assert "stratgy: no such key (did you mean strategy?)" in line


def test_a_sweep_and_its_table(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    from nas_cli.report.command import main

    sweep = ["--multirun", "strategy=random", "strategy.evaluations=20", "dataset=cifar10,cifar100", "seed=range(3)"]
    assert run("nas-run", *sweep, "hydra.sweep.dir=sweep") == 0
    capsys.readouterr()
    main(["sweep", "--csv", "table.csv"])
    out = capsys.readouterr().out
    assert out.count(" ± ") >= 4
    assert len(Path("table.csv").read_text().splitlines()) == 3


def test_a_sweep_is_checked_before_its_first_job(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(run, capsys, "nas-run", "--multirun", "strategy=random,rndom", "hydra.sweep.dir=sweep")
    assert "did you mean random?" in line
    assert "must be a whole number" in refused(
        run, capsys, "nas-run", "--multirun", "strategy.epochs=1,ten", "hydra.sweep.dir=sweep"
    )
    assert not Path("sweep").exists()
