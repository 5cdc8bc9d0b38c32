"""`make table-NAME` is `nas-table NAME` with what a person gave."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], ""),
        (["SCALE=full"], " scale=full"),
        (["JOBS=2"], " jobs=2"),
        (["JOBS=2", "SCALE=small"], " scale=small jobs=2"),
    ],
)
def test_what_is_given_is_told(given: list[str], told: str) -> None:
    environment = {"PATH": os.environ["PATH"]}
    command = ["make", "--dry-run", "table-collapse", *given]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == f".venv/bin/nas-table collapse{told}"
