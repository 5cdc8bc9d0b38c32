"""Makes lines of `metrics.jsonl` for the tests of the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

OPERATIONS = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
EDGES = 5  # of a cell with two inputs and two nodes


def cell(skips: int) -> str:
    """A cell of two nodes with so many skip connections, at most four."""
    names = ["skip_connect"] * skips + ["sep_conv_3x3"] * (4 - skips)
    return f"{names[0]}:0 + {names[1]}:1 | {names[2]}:0 + {names[3]}:2 ; concat 2,3"


def architecture(normal: int = 0, reduce: int = 0) -> dict[str, Any]:
    return {"space": "darts", "decisions": [cell(normal), cell(reduce)]}


def line(epoch: int, skips: int = 0, **changes: Any) -> dict[str, Any]:
    """One epoch of a gradient search; each row of probabilities is 0.1, 0.2, 0.3, 0.4."""
    rows = [[0.1, 0.2, 0.3, 0.4]] * EDGES
    return {
        "epoch": epoch,
        "step": 10 * (epoch + 1),
        "learning_rate": 0.05,
        "weight_decay": 0.001,
        "train_accuracy": round(0.5 + epoch / 100, 4),
        "valid_accuracy": round(0.4 + epoch / 100, 4),
        "entropy_normal": 1.0,
        "entropy_reduce": 2.0,
        "skips_normal": skips,
        "skips_reduce": 0,
        "architecture": architecture(skips),
        "probabilities": {"normal": rows, "reduce": rows},
    } | changes


def first(skips: int = 0, operations: Iterable[str] = OPERATIONS, **changes: Any) -> dict[str, Any]:
    """The first line of a stage."""
    names = {kind: [list(operations)] * EDGES for kind in ("normal", "reduce")}
    return line(0, skips, epochs=50, operations=names) | changes


def search_of(skips: Iterable[int]) -> list[dict[str, Any]]:
    """A search whose epochs have so many skip connections in the normal cell."""
    return [first(count) if epoch == 0 else line(epoch, count) for epoch, count in enumerate(skips)]


def write_lines(folder: Path, lines: Iterable[Mapping[str, Any]], name: str = "metrics.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps(record) + "\n" for record in lines))
    return folder
