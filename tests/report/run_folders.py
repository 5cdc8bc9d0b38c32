"""Writes run folders for the tests of the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DECISIONS = ["none", "skip_connect", "none", "nor_conv_3x3", "none", "nor_conv_1x1"]


def write_run(folder: Path, metrics: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A finished search; `changes` replace keys of its result."""
    metrics = {"valid_accuracy": 0.9, "test_accuracy": 0.93} if metrics is None else metrics
    result: dict[str, Any] = {
        "schema": 1,
        "command": "search",
        "strategy": "random",
        "space": "nasbench201",
        "dataset": "cifar10",
        "estimator": "table",
        "seed": 0,
        "score": "valid_accuracy",
        "best": {
            "architecture": {"space": "nasbench201", "decisions": DECISIONS},
            "score": metrics.get("valid_accuracy"),
            "metrics": metrics,
        },
        "evaluations": 1000,
        "wall_seconds": 1.5,
        "device": "cpu",
        "versions": {},
        "git": None,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("seed: 0\n")
    (folder / "result.json").write_text(json.dumps(result | changes))
    return folder


def write_unfinished(folder: Path, seed: int = 9, strategy: str = "random", more: str = "") -> Path:
    """A search that has no result yet."""
    folder.mkdir(parents=True, exist_ok=True)
    names = f"strategy: {strategy}, space: nasbench201, dataset: cifar10, estimator: table"
    (folder / "config.yaml").write_text(f"seed: {seed}\nnames: {{{names}}}\n{more}")
    return folder
