"""What all tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nas_cli import app


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Calls a command in this process, in an empty folder; returns its exit code."""
    monkeypatch.chdir(tmp_path)

    def call(command: str, *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", [command, *arguments])
        try:
            {"nas-run": app.run, "nas-evaluate": app.evaluate}[command]()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return call
