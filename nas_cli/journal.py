"""The run folder: trials, metrics, checkpoint and result, written so that a kill loses nothing that was measured."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError


@dataclass(frozen=True)
class Trial:
    """One judged candidate: a line of `trials.jsonl`.

    Args:
        index: how many candidates were asked for before it.
        score: what is maximised, or None where the measurement failed.
        metrics: everything else that was measured; accuracies and errors are fractions.
        cost_seconds: what the measurement cost (simulated seconds where a table answers).
        budget: what it was allowed to cost, in the estimator's unit (epochs); None: the estimator's own.
        status: ``ok`` or ``failed``; `error` then says why.
        started, finished: seconds since 1970.
    """

    index: int
    architecture: Architecture
    score: float | None
    metrics: dict[str, float] = field(default_factory=dict)
    cost_seconds: float = 0.0
    budget: float | None = None
    status: str = "ok"
    error: str | None = None
    started: float = 0.0
    finished: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self) | {"architecture": self.architecture.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Trial:
        """From plain JSON data. Raises `InputError` for anything that is not a trial."""
        try:
            trial = cls(**data)
        except TypeError as error:
            raise InputError(f"not a trial: {error}") from None
        return replace(trial, architecture=Architecture.from_json(data["architecture"]))


class JsonLines:
    """An append-only file of one JSON object a line; only whole lines count.

    A process that is killed while it writes leaves a torn last line. It is cut off before anything is appended, so
    that the next record does not fuse with the stump.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def repair(self) -> None:
        """Cut a torn last line off."""
        if not self.path.exists():
            return
        whole = self.path.read_bytes().rfind(b"\n") + 1
        if whole != self.path.stat().st_size:
            os.truncate(self.path, whole)

    def read(self) -> list[dict[str, Any]]:
        """All whole lines. Raises `InputError` where one is not a JSON object."""
        if not self.path.exists():
            return []
        text = self.path.read_bytes()
        records = []
        for number, line in enumerate(text[: text.rfind(b"\n") + 1].splitlines(), start=1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise InputError(f"{self.path}, line {number}: not a JSON object; the journal is damaged")
            records.append(record)
        return records

    def append(self, record: dict[str, Any], sync: bool = True) -> None:
        """Write one line; with `sync` it is on the disk when this returns."""
        line = json.dumps(finite(record), allow_nan=False) + "\n"
        with self.path.open("ab") as file:
            file.write(line.encode())
            if sync:
                file.flush()
                os.fsync(file.fileno())

    def size(self) -> int:
        """Bytes written so far, made durable."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        return self.path.stat().st_size

    def keep(self, count: int) -> None:
        """Forget all but the first `count` whole lines."""
        lines = self.path.read_bytes().split(b"\n")[:count]
        self.cut(sum(len(line) + 1 for line in lines))

    def cut(self, size: int) -> None:
        """Forget what was written after the first `size` bytes."""
        if self.path.exists() and self.path.stat().st_size > size:
            os.truncate(self.path, size)


def finite(value: Any) -> Any:
    """The same data with NaN and infinite numbers as None, which is all that JSON has for them."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is either the old or the new one, whole, whenever the machine stops."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the rename itself has to be durable too
    finally:
        os.close(directory)


def write_json(path: Path, data: Any) -> None:
    """Write JSON for people and programs, atomically."""
    write_atomically(path, (json.dumps(finite(data), indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises `InputError` naming the file where it is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from None


class RunFolder:
    """The folder of one run, held by one process at a time.

    Args:
        path: the folder; made if it is missing.

    Raises `InputError` where another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.trials = JsonLines(path / "trials.jsonl")
        self.metrics = JsonLines(path / "metrics.jsonl")
        self._lock = self._acquire()

    def _acquire(self) -> Any:
        import filelock  # an advisory lock that the system drops with the process, also at kill -9

        lock = filelock.FileLock(self.path / ".lock", timeout=0)
        try:
            return lock.acquire()
        except filelock.Timeout:
            raise InputError(f"{self.path}: another process is working on this run") from None

    def release(self) -> None:
        """Let another process have the folder, with no trace of this one where no run began."""
        if not (self.path / "config.yaml").exists():
            (self.path / ".lock").unlink(missing_ok=True)
        self._lock.lock.release()

    def has_checkpoint(self) -> bool:
        """Whether a state was saved here."""
        return (self.path / "checkpoint.pt").exists()

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Replace `checkpoint.pt` by `state` (tensors and plain data), atomically."""
        import io

        import torch

        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.path / "checkpoint.pt", buffer.getvalue())

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last saved state, or None where there is none yet; never executes code from the file."""
        return load_checkpoint(self.path / "checkpoint.pt")

    def read_trials(self) -> list[Trial]:
        """The trials on disk, in the order in which they finished."""
        return [Trial.from_json(record) for record in self.trials.read()]


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """A checkpoint's content, or None where there is no file. Raises `InputError` where it is damaged."""
    import torch

    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # what a damaged file makes torch's reader raise has no end: IndexError, AttributeError, …
        raise InputError(f"{path}: truncated or damaged, cannot resume from it") from None
    if not isinstance(state, dict):
        raise InputError(f"{path}: not a checkpoint of nas-run")
    return state


def versions(packages: Iterable[str] = ("nas-run", "torch", "torchvision", "numpy", "hydra-core")) -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    import platform
    from importlib import metadata

    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
