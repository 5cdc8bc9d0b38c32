"""Kill runs with SIGKILL at random moments, resume each until it ends, and hold the result against an undisturbed run.

    python scripts/kill_and_resume.py [--kills 10] [--seed 0]

For a gradient search (darts) and a black-box one (random with training), each undisturbed once, then killed `--kills`
times. Every other kill hits the resumed run once more. Ends with 1 if any result differs, timings aside.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = {
    "darts": [
        "strategy=darts",
        "strategy.epochs=3",
        "estimator.batch_size=100",
        "space.channels=2",
        "space.cells=3",
        "space.nodes=2",
        "checkpoint_seconds=0.5",
    ],
    "random": [
        "strategy=random",
        "space=darts",
        "dataset=digits",
        "estimator=train",
        "estimator.recipe.epochs=1",
        "estimator.recipe.batch_size=100",
        "space.channels=2",
        "space.cells=3",
        "space.nodes=2",
        "strategy.evaluations=12",
        "checkpoint_seconds=0.5",
    ],
}
#: What differs between two equal runs: when it was and how long it took.
TIMINGS = ("wall_seconds", "peak_memory_bytes", "git")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="kills of each run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", choices=RUNS, help="only this run")
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        different = [
            name
            for name, overrides in RUNS.items()
            if arguments.only in (None, name) and not survives(name, overrides, Path(scratch), arguments.kills, moments)
        ]
    if different:
        sys.exit(f"differs after a kill: {', '.join(different)}")


def survives(name: str, overrides: list[str], scratch: Path, kills: int, moments: random.Random) -> bool:
    """Whether a run that is killed again and again ends as the undisturbed one does."""
    began = time.monotonic()
    reference = scratch / f"{name}-reference"
    command(*overrides, f"hydra.run.dir={reference}").wait()
    length = time.monotonic() - began
    expected = outcome(reference)
    print(
        f"{name}: undisturbed {length:.1f} s, {expected['result']['score']} {expected['result']['best']['score']:.4f}"
    )
    equal = True
    for kill in range(kills):
        folder = scratch / f"{name}-{kill}"
        hits: list[float] = []
        process = command(*overrides, f"hydra.run.dir={folder}")
        while len(hits) <= kill % 2:  # every other run is killed twice
            moment = moments.uniform(0, 0.9 * length)
            try:
                process.wait(timeout=moment)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                hits.append(moment)
            else:
                # It had ended before: begin anew, so that every kill hits.
                length = moment
                shutil.rmtree(folder)
            process = again(folder, overrides)
        process.wait()
        same = outcome(folder) == expected
        equal = equal and same
        at = ", then ".join(f"{hit:.2f} s" for hit in hits)
        print(f"{name}: killed at {at}: {'equal' if same else 'DIFFERS'}", flush=True)
        shutil.rmtree(folder)
    return equal


def again(folder: Path, overrides: list[str]) -> subprocess.Popen[bytes]:
    """Resume a run; one that was killed before it had written anything is begun anew."""
    if (folder / "config.yaml").exists():
        return command(f"resume={folder}")
    shutil.rmtree(folder, ignore_errors=True)
    return command(*overrides, f"hydra.run.dir={folder}")


def command(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "nas_cli", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def outcome(folder: Path) -> dict[str, object]:
    """All that a run has to say for itself, less the timings."""
    result = json.loads((folder / "result.json").read_text())
    for key in TIMINGS:
        result.pop(key)
    trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    for trial in trials:
        for key in ("started", "finished", "cost_seconds"):
            trial.pop(key)
    metrics = (folder / "metrics.jsonl").read_text() if (folder / "metrics.jsonl").exists() else ""
    return {"result": result, "trials": trials, "metrics": metrics}


if __name__ == "__main__":
    main()
