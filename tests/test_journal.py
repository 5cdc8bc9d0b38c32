"""The run folder: what a kill, a torn line, a damaged or a hostile file do to it."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_cli import journal
from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.journal import JsonLines, RunFolder, Trial, load_checkpoint, read_json, write_atomically, write_json

ARCHITECTURE = Architecture("darts", ("a ; concat 2", 3, 0.5))
TRIAL = Trial(
    index=7,
    architecture=ARCHITECTURE,
    score=0.75,
    metrics={"params": 12.0},
    cost_seconds=2.5,
    budget=3.0,
    started=1.0,
    finished=2.0,
)

plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
records = st.dictionaries(st.text(max_size=5), plain | st.text(max_size=8) | st.lists(plain, max_size=3), max_size=3)


@given(st.lists(records, min_size=2, max_size=5), records, st.data())
@settings(max_examples=60, deadline=None)
def test_a_journal_cut_at_any_byte_keeps_every_whole_line(
    written: list[dict[str, Any]], later: dict[str, Any], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = JsonLines(Path(folder) / "trials.jsonl")
        ends = [0]
        for record in written:
            lines.append(record, sync=False)
            ends.append(lines.path.stat().st_size)
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(lines.path, cut)
        whole = written[: sum(end <= cut for end in ends) - 1]
        assert lines.read() == whole  # also before the repair a torn line does not count
        lines.repair()
        lines.append(later, sync=False)
        assert lines.read() == [*whole, later]
        assert lines.size() == lines.path.stat().st_size


def test_every_single_cut_of_one_journal(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "trials.jsonl")
    for index in range(3):
        lines.append({"index": index, "name": "zürich"})
    content = lines.path.read_bytes()
    for cut in range(len(content) + 1):
        lines.path.write_bytes(content[:cut])
        lines.repair()
        lines.append({"index": 9})
        whole = content[:cut].count(b"\n")
        assert [record["index"] for record in lines.read()] == [*range(whole), 9]


def test_a_missing_journal_is_an_empty_one(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "trials.jsonl")
    lines.repair()
    lines.cut(0)
    assert lines.read() == []
    assert lines.size() == 0


@pytest.mark.parametrize("damage", [b"{]", b"[1]", b"\xff\xfe", b"", b"3"])
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, damage: bytes) -> None:
    lines = JsonLines(tmp_path / "trials.jsonl")
    lines.path.write_bytes(b'{"a": 1}\n' + damage + b'\n{"a": 3}\n')
    with pytest.raises(InputError, match=r"trials\.jsonl, line 2: ") as caught:
        lines.read()
    assert "\n" not in str(caught.value)


def test_cut_forgets_what_came_later(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "metrics.jsonl")
    lines.append({"epoch": 0})
    size = lines.size()
    lines.append({"epoch": 1})
    lines.cut(size)
    assert lines.read() == [{"epoch": 0}]
    lines.cut(size + 100)
    assert lines.read() == [{"epoch": 0}]


def test_keep_forgets_all_but_the_first_lines(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "trials.jsonl")
    for index in range(4):
        lines.append({"index": index})
    for count in (4, 3, 1, 0):
        lines.keep(count)
        assert [record["index"] for record in lines.read()] == list(range(count))


def test_nan_and_infinity_become_null(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "metrics.jsonl")
    lines.append({"a": math.nan, "b": [math.inf, 1.0, (-math.inf, 2)], "c": {"d": math.nan}})
    assert "NaN" not in lines.path.read_text()
    assert lines.read() == [{"a": None, "b": [None, 1.0, [None, 2]], "c": {"d": None}}]
    write_json(tmp_path / "x.json", {"a": math.inf})
    assert read_json(tmp_path / "x.json") == {"a": None}


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_write_atomically_leaves_the_old_or_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "result.json"
    write_atomically(path, b"old" * 1000)

    def fail(*_: Any) -> None:
        raise OSError("the machine stops here")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="stops here"):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old" * 1000
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_the_content_is_on_the_disk_before_the_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (order.append("fsync"), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    write_atomically(tmp_path / "x", b"content")
    assert order == ["fsync", "replace", "fsync"]


def test_read_json_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json: no such file"):
        read_json(tmp_path / "gone.json")
    (tmp_path / "bad.json").write_text('{"a": ')
    with pytest.raises(InputError, match=r"bad\.json: cannot be read"):
        read_json(tmp_path / "bad.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path)  # a folder


def test_a_trial_survives_json() -> None:
    failed = Trial(index=0, architecture=ARCHITECTURE, score=None, status="failed", error="ValueError: no")
    for trial in (TRIAL, failed):
        assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial
    with pytest.raises(InputError, match="not a trial"):
        Trial.from_json({**TRIAL.to_json(), "surprise": 1})
    with pytest.raises(InputError, match="not an architecture"):
        Trial.from_json({**TRIAL.to_json(), "architecture": "darts"})


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.load_checkpoint() is None
    folder.save_checkpoint({"w": torch.arange(3.0), "n": [1, None, "x"], "d": {"m": 0.1}})
    state = folder.load_checkpoint()
    assert state is not None
    assert torch.equal(state.pop("w"), torch.arange(3.0))
    assert state == {"n": [1, None, "x"], "d": {"m": 0.1}}
    folder.release()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99, 0.999])
def test_a_truncated_checkpoint_is_refused_in_one_line(tmp_path: Path, share: float) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"w": torch.arange(300.0)}, path)
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(InputError, match=r"checkpoint\.pt: truncated or damaged") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"hello", b"\n" * 10, b"\x80\x02.", b"PK\x03\x04" + bytes(100), bytes(64)])
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"checkpoint\.pt: "):
        load_checkpoint(path)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="not a checkpoint of nas-run"):
        load_checkpoint(path)


class Hostile:
    """What an attacker's pickle would do: run a command when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.marker}'",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("form", ["zip", "old zip-less", "bare pickle"])
def test_a_hostile_checkpoint_is_refused_and_never_executed(tmp_path: Path, form: str) -> None:
    path, marker = tmp_path / "checkpoint.pt", tmp_path / "marker"
    state = {"search": Hostile(marker), "evaluations": 0}
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(InputError, match=r"checkpoint\.pt: "):
        load_checkpoint(path)
    assert not marker.exists()
    # The bait does work where a reader is careless; otherwise this test would show nothing.
    pickle.loads(pickle.dumps(Hostile(marker)))
    assert marker.exists()


def test_a_second_holder_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(InputError, match="another process is working on this run"):
        RunFolder(tmp_path / "run")
    code = (
        "import sys, pathlib\n"
        "from nas_cli.errors import InputError\n"
        "from nas_cli.journal import RunFolder\n"
        "try:\n    RunFolder(pathlib.Path(sys.argv[1]))\n"
        "except InputError as error:\n    print('refused:', error)\n"
        "else:\n    print('taken')\n"
    )

    def other() -> str:
        command = [sys.executable, "-c", code, str(tmp_path / "run")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    answer = other()
    assert answer.startswith("refused: ")
    assert answer.count("\n") == 1
    folder.release()
    assert other() == "taken\n"
    RunFolder(tmp_path / "run").release()


def test_trials_are_read_in_the_order_in_which_they_finished(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for index in (1, 0, 2):
        folder.trials.append(Trial(index=index, architecture=ARCHITECTURE, score=0.1).to_json())
    assert [trial.index for trial in folder.read_trials()] == [1, 0, 2]
    folder.release()


def test_a_journalled_trial_has_the_keys_of_the_contract() -> None:
    assert list(TRIAL.to_json()) == (
        [
            "index",
            "architecture",
            "score",
            "metrics",
            "cost_seconds",
            "budget",
            "status",
            "error",
            "started",
            "finished",
        ]
    )


def test_versions_leave_out_what_is_not_installed() -> None:
    found = journal.versions(("torch", "no-such-package-at-all"))
    assert torch.__version__.startswith(found["torch"])
    assert set(found) == {"python", "torch"}


def test_a_checkpoint_is_whole_or_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    folder.save_checkpoint({"n": 1})

    def fail(state: Any, file: io.BytesIO) -> None:
        file.write(b"half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fail)
        with pytest.raises(KeyboardInterrupt):
            folder.save_checkpoint({"n": 2})
    assert folder.load_checkpoint() == {"n": 1}
    folder.release()
