"""The short form of `scripts/kill_and_resume.py`: kill -9, resume, the same result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "kill_and_resume.py"


@pytest.mark.parametrize(
    ("run", "kills"), [pytest.param("darts", 2, marks=pytest.mark.slow), pytest.param("random", 1)]
)
def test_a_killed_run_ends_like_the_undisturbed_one(run: str, kills: int) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--only", run, "--kills", str(kills), "--seed", "1"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("killed at ") == done.stdout.count("equal") == kills, done.stdout
