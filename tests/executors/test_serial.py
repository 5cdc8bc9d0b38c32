"""Running measurements in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.executors.serial import Serial


class Doubler(Estimator):
    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        (value,) = architecture.decisions
        if value == 13:
            raise ValueError("unlucky")
        if value == 14:
            raise InputError("no data")
        if value == 15:
            raise KeyboardInterrupt
        return Measurement(2.0 * float(value), {"budget": budget or 0.0})


def submit(executor: Serial, *values: int) -> None:
    for index, value in enumerate(values):
        executor.submit(index, Architecture("x", (value,)), float(index))


def test_getting_ready_is_the_estimator_s() -> None:
    class Unfit(Doubler):
        def prepare(self) -> None:
            raise InputError("no data")

    executor = Serial()
    executor.start(Unfit())
    with pytest.raises(InputError, match="no data"):
        executor.prepare()


def test_measurements_come_back_in_order_with_their_index_and_budget() -> None:
    executor = Serial()
    executor.start(Doubler())
    submit(executor, 3, 5)
    assert [executor.wait(), executor.wait()] == [
        (0, Measurement(6.0, {"budget": 0.0})),
        (1, Measurement(10.0, {"budget": 1.0})),
    ]
    assert executor.workers == 1


def test_an_exception_is_handed_back_and_the_next_one_runs() -> None:
    executor = Serial()
    executor.start(Doubler())
    submit(executor, 13, 14, 1)
    index, error = executor.wait()
    assert index == 0
    assert isinstance(error, ValueError)
    assert isinstance(executor.wait()[1], InputError)
    assert executor.wait() == (2, Measurement(2.0, {"budget": 2.0}))


def test_an_interrupt_is_no_failure_of_the_candidate() -> None:
    executor = Serial()
    executor.start(Doubler())
    submit(executor, 15)
    with pytest.raises(KeyboardInterrupt):
        executor.wait()


def test_wait_needs_a_start() -> None:
    executor = Serial()
    submit(executor, 1)
    with pytest.raises(RuntimeError, match="start"):
        executor.wait()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["+experiment=nas_rl/ptb"], "dataset ptb: missing data/ptb/ptb.train.txt"),
        (
            ["strategy=random", "space=fractalnet", "space.widths=[8,16,32,64]"],
            "images of 8x8 cannot be halved 4 times",
        ),
    ],
)
def test_what_no_candidate_can_be_judged_by_is_told_before_the_run_begins(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert run("nas-run", *words, "hydra.run.dir=out") == 2
    assert f"nas-run: {told}" in capsys.readouterr().err
    assert not (tmp_path / "out/config.yaml").exists()
