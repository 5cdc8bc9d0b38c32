"""A user's own space, strategy and estimator: one small class each outside the project, named by `_target_`."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from support import command, outcome

CLASSES = '''
import time

from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical
from nas_cli.strategies.black_box.base import Candidate, Strategy


class Bits(Space):
    def __init__(self, name, length=8):
        super().__init__(name)
        self.length = length

    @property
    def decisions(self):
        return tuple(Categorical(f"bit_{i}", (0, 1)) for i in range(self.length))


class HillClimb(Strategy):
    """Flips one bit of the best so far, each in turn."""

    def __init__(self, space, evaluations: int | None = 40):
        super().__init__(evaluations)
        self.space, self.asked, self.best, self.score = space, 0, [0] * len(space.decisions), float("-inf")

    def ask(self, count, pending):
        if pending:
            return []
        values = list(self.best)
        values[self.asked % len(values)] ^= 1
        self.asked += 1
        return [Candidate(self.space.decode(values))]

    def tell(self, trial):
        if trial.score is not None and trial.score > self.score:
            self.best, self.score = list(trial.architecture.decisions), trial.score

    def state_dict(self):
        return {"asked": self.asked, "best": self.best, "score": self.score}

    def load_state_dict(self, state):
        self.asked, self.best, self.score = state["asked"], state["best"], state["score"]


class CountOnes(Estimator):
    score_name = "ones"

    def __init__(self, pause: float = 0.0):
        self.pause = pause

    def measure(self, architecture, budget=None):
        time.sleep(self.pause)
        return Measurement(float(sum(architecture.decisions)))
'''

FILES = {
    "space/bits.yaml": "_target_: my_nas.Bits\nlength: 12\n",
    "strategy/climb.yaml": (
        "# @package _global_\ndefaults:\n  - _self_\n  - override /space: bits\n  - override /estimator: ones\n"
        "strategy:\n  _target_: my_nas.HillClimb\n  evaluations: 40\n"
    ),
    "estimator/ones.yaml": "_target_: my_nas.CountOnes\npause: 0.0\n",
}


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A folder of a user's own YAML and classes."""
    folder = tmp_path / "mine"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "my_nas.py").write_text(CLASSES)
    return folder


def test_they_run_and_resume(user: Path, tmp_path: Path) -> None:
    mine = ["--config-dir", str(user), "strategy=climb"]
    whole = command(*mine, "hydra.run.dir=whole", cwd=tmp_path)
    assert whole.wait(60) == 0, whole.communicate()
    expected = outcome(tmp_path / "whole")
    assert expected["result"]["best"]["score"] == 12
    assert expected["result"]["score"] == "ones"

    cut = command(*mine, "hydra.run.dir=cut", "estimator.pause=0.1", cwd=tmp_path)
    while not (tmp_path / "cut" / "trials.jsonl").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    cut.send_signal(signal.SIGINT)
    _, err = cut.communicate(timeout=60)
    assert cut.returncode == 130, err
    assert err.splitlines()[-1] == ("nas-run: interrupted by SIGINT, state saved; go on with: nas-run resume=cut")
    done = len((tmp_path / "cut" / "trials.jsonl").read_text().splitlines())
    assert 0 < done < 40
    # The run folder says where the classes are; nothing need be given again.
    resumed = command("resume=cut", cwd=tmp_path)
    assert resumed.wait(60) == 0, resumed.communicate()
    assert outcome(tmp_path / "cut") == expected
    trials = [json.loads(line) for line in (tmp_path / "cut" / "trials.jsonl").read_text().splitlines()]
    assert [trial["index"] for trial in trials] == list(range(40))


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("strategy/climb.yaml", "{}evaluation: 4\n", "strategy.evaluation: no such option of HillClimb"),
        ("estimator/ones.yaml", "_target_: my_nas.CountOnes\npause: long\n", "estimator.pause=long: must be a number"),
        ("space/bits.yaml", "_target_: my_nas.Bit\n", "no such class in my_nas (did you mean Bits?)"),
        ("space/bits.yaml", "_target_: my_nass.Bits\n", "my_nass.Bits: cannot be imported"),
        ("space/bits.yaml", "_target_: os.system\n", "os.system is not a"),
        ("estimator/ones.yaml", "_target_: my_nas.Bits\n", "space, strategy"),
        ("space/bits.yaml", "_target_: [\n", "bits.yaml"),
    ],
)
def test_what_is_wrong_with_them_is_told_in_one_line(
    user: Path, tmp_path: Path, file: str, text: str, told: str
) -> None:
    if text.startswith("{}"):
        text = (user / file).read_text() + "  " + text[2:]
    (user / file).write_text(text)
    refused = command("--config-dir", str(user), "strategy=climb", cwd=tmp_path)
    _, err = refused.communicate(timeout=60)
    assert refused.returncode == 2, err
    assert len(err.splitlines()) == 1, err
    if file != "estimator/ones.yaml" or "Bits" not in text:
        assert told in err
