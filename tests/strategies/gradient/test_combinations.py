"""Methods that no paper combined, by override, end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nas_cli
from nas_cli.errors import CombinationError

TINY = {"estimator.batch_size": 512, "space.nodes": 2, "space.cells": 3, "space.channels": 8, "strategy.warm_up": 0}


def lines_of(strategy: str, folder: Path, **options: Any) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl` of a small search; a key's dots are written ``__``, its slashes ``_of_``."""
    keys = {key.replace("__", ".").replace("_of_", "/"): value for key, value in options.items()}
    nas_cli.search(strategy, options={**TINY, **keys}, folder=folder)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_partial_channels_with_the_skip_stop_and_a_mac_penalty(tmp_path: Path) -> None:
    """The first epoch with a skip is the last, and the penalty is in the architecture's gradient."""
    options: dict[str, Any] = {
        "strategy_of_stopping": "skip_connects",
        "strategy__stopping__limit": 1,
        "strategy__stopping__first_epoch": 0,
        "strategy_of_regularisers": ["resource"],
        "strategy__regularisers__resource__counted": ["macs"],
        "strategy__epochs": 2,
    }
    light = lines_of("pc_darts", tmp_path / "light", **options, strategy__regularisers__resource__eta=0)
    heavy = lines_of("pc_darts", tmp_path / "heavy", **options, strategy__regularisers__resource__eta=100)
    assert light[0]["probabilities"] != heavy[0]["probabilities"]
    for lines in (light, heavy):
        stopped = [line["epoch"] for line in lines if line["skips_normal"] >= 1]
        assert not stopped or stopped[0] == lines[-1]["epoch"]


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("gdas", {"strategy_of_derivation": "skip_limit", "strategy_of_regularisers": ["drop_path"]}),
        ("snas", {"strategy_of_stopping": "skip_connects", "strategy_of_diagnostics": ["derived", "credit"]}),
        ("pdarts", {"strategy_of_mixing": "partial_channels", "strategy__stages__cells": [3, 3, 3]}),
        ("darts_plus", {"strategy_of_architecture_gradient": "second_order", "space__shared_cells": False}),
    ],
)
def test_parts_of_different_papers_work_together(strategy: str, options: dict[str, Any], tmp_path: Path) -> None:
    lines = lines_of(strategy, tmp_path / "run", strategy__epochs=1, **options)
    assert all("architecture" in line and line["valid_loss"] > 0 for line in lines)
    assert (tmp_path / "run/result.json").exists()


def test_what_has_no_meaning_is_refused(tmp_path: Path) -> None:
    reasons = {"pc_darts": "strategy/mixing", "bayesnas": "images", "pdarts": "skip_dropout", "snas": "resource"}
    for strategy, reason in reasons.items():
        with pytest.raises(CombinationError, match=reason):
            nas_cli.search(strategy, space="darts_recurrent", folder=tmp_path / strategy)
