"""Architectures that papers published, as data: one JSON record each in ``architectures/``, loaded by name."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError, nearest
from nas_cli.journal import read_json

_SUFFIX = ".json"


def names() -> list[str]:
    """The names of all records, sorted."""
    return sorted(entry.name.removesuffix(_SUFFIX) for entry in _folder().iterdir() if entry.name.endswith(_SUFFIX))


def record(name: str) -> dict[str, Any]:
    """All that is recorded of a name: architecture, paper, source, reported results (errors in percent), counts.

    Raises:
        InputError: for an unknown name, with the nearest known one.
    """
    known = names()
    if name not in known:
        raise InputError(f"no published architecture {name!r}{nearest(name, known)}; known: {', '.join(known)}")
    data: dict[str, Any] = json.loads((_folder() / f"{name}{_SUFFIX}").read_text(encoding="utf-8"))
    return data


def load(name: str) -> Architecture:
    """The architecture of a name. Raises `InputError` as `record` does."""
    return Architecture.from_json(record(name))


def _folder() -> Traversable:
    return files("nas_cli") / "architectures"


def find(source: str | Path) -> Architecture:
    """A published architecture by its name, or one from a file `architecture.json` (or the run folder that holds it).

    Raises `InputError` for an unknown name or a damaged file; nothing in a file is executed.
    """
    if isinstance(source, str) and source in names():
        return load(source)
    path = Path(source)
    if path.is_dir():
        path = path / "architecture.json"
    if isinstance(source, str) and not path.exists() and path.suffix != ".json":
        return load(source)  # raises, with the nearest name
    return Architecture.from_json(read_json(path))
