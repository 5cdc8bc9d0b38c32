"""A small table of a user's, and a program that stands in for its runs."""

from __future__ import annotations

import sys
from pathlib import Path

#: `fake=` says what `fake_child.py` does with a run.
TABLE = """\
# nas-table mine
title: Mine
paper: Someone, 2020
columns:
  error: {title: test error, unit: "%", from: evaluate.test_error}
  params: {title: params, unit: M, from: evaluate.params}
  cost: {title: search cost, unit: GPU days, from: search.wall_seconds}
scales:
  smoke:
    seeds: 2
    search: [fake=search]
    evaluate: [fake=evaluate]
    published: {seeds: 1, evaluate: [evaluation.epochs=0]}
  small: {seeds: 3, evaluate: []}
  full: {seeds: 1}
rows:
  cited:
    label: someone else
    reported: {error: "2.50", params: 3.3 (u), cost: 2000 (u)}
  found:
    label: ours
    reported: {error: 2.76 ± 0.09}
    search: [strategy=darts]
    small: {search: [strategy=random], seeds: 1}
    full: {search: [+experiment=darts/cifar10_first_order], evaluate: [evaluation=cifar10]}
  published:
    label: their cell
    reported: {error: 2.76 ± 0.09}
    evaluate: [architecture=darts_v2]
    full: null
"""

FAKE_CHILD = [sys.executable, str(Path(__file__).with_name("fake_child.py"))]


def write_table(folder: Path, text: str = TABLE, name: str = "mine") -> Path:
    """A `--config-dir` that holds one table."""
    (folder / "table").mkdir(parents=True, exist_ok=True)
    (folder / "table" / f"{name}.yaml").write_text(text)
    return folder
