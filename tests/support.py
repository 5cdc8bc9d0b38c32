"""What tests of whole commands share."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

#: A darts search that ends in a few seconds.
TINY_DARTS = ["strategy=darts", "strategy.epochs=1", "space.channels=2", "space.cells=3", "estimator.batch_size=128"]
#: Results of equal runs differ in these alone.
TIMINGS = ("wall_seconds", "peak_memory_bytes", "git")


def command(*arguments: str, cwd: Path, module: str = "nas_cli") -> subprocess.Popen[str]:
    """`nas-run` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(folder: Path) -> dict[str, Any]:
    """All that a finished run says, less the timings."""
    result = json.loads((folder / "result.json").read_text())
    for key in TIMINGS:
        del result[key]
    metrics = folder / "metrics.jsonl"
    return {"result": result, "metrics": metrics.read_text() if metrics.exists() else ""}
