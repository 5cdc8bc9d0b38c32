"""Workers on a local Ray cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mortal import Mortal

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.estimators.base import Measurement
from nas_cli.executors.ray import Ray


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        InputError, match=r"executor=ray: Ray is not installed; it comes with pip install 'nas-run\[ray\]'"
    ):
        Ray()


@pytest.mark.slow
def test_a_local_cluster_measures_and_outlives_a_killed_actor(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    executor = Ray(workers=2)
    executor.start(Mortal(tmp_path, fatal=2.0, deaths=1))
    try:
        for index, value in enumerate((1, 2, 3, 13)):
            executor.submit(index, Architecture("x", (value,)), None)
        found = dict(executor.wait() for _ in range(4))
    finally:
        executor.close()
    assert {index: outcome.score for index, outcome in found.items() if isinstance(outcome, Measurement)} == {
        0: 2.0,
        1: 4.0,
        2: 6.0,
    }
    assert isinstance(found[3], ValueError)
    assert len(list(tmp_path.glob("died-*"))) == 1


@pytest.mark.slow
def test_a_machine_that_belongs_to_no_cluster_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=r"executor.address=auto: no Ray cluster there"):
        Ray(address="auto").start(Mortal(tmp_path))
