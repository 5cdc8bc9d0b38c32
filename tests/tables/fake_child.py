"""Stands in for `nas_cli.tables.child`: writes run folders at once, or fails, or waits, as the overrides say."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "report")]

from run_folders import write_run  # noqa: E402  (found by the line above)


def stop(number: int, frame: object) -> None:
    print("saved; go on with: nas-run resume=…", flush=True)
    sys.exit(130)


for program, *arguments in json.loads(sys.argv[2]):
    print(f"{program} {' '.join(arguments)}", flush=True)
    (place,) = (word.partition("=")[2] for word in arguments if word.startswith(("hydra.run.dir=", "resume=")))
    folder = Path(place)
    folder.mkdir(parents=True, exist_ok=True)
    if "fake=fail" in arguments:
        print(f"{program}: strategy.epoch: no such key", flush=True)
        sys.exit(2)
    if "fake=die" in arguments:
        signal.raise_signal(signal.SIGKILL)
    if "fake=wait" in arguments:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a run that a shell began in the background, before its steps
        signal.signal(signal.SIGTERM, stop)
        (folder / "config.yaml").write_text("seed: 0\nnames: {}\n")
        (folder / "waiting").touch()
        time.sleep(60)
    seed = int(folder.parent.name)
    metrics = {"search": {"valid_accuracy": 0.9}, "evaluate": {"test_error": 0.02 + seed / 100, "params": 3_300_000}}
    evaluates = program == "nas-evaluate"
    write_run(
        folder,
        metrics["evaluate" if evaluates else "search"],
        command="evaluate" if evaluates else "search",
        strategy=None if evaluates else "darts",
        seed=seed,
        dataset="digits",
        device="cpu, 1 thread, fp32",
        wall_seconds=30.0 + seed,
    )
