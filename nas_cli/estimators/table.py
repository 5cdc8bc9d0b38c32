"""Scores looked up in a tabular benchmark instead of trained."""

from __future__ import annotations

from functools import cached_property
from importlib import resources
from typing import Any, Literal

import numpy as np

from nas_cli.architecture import Architecture
from nas_cli.data.base import Dataset
from nas_cli.errors import CombinationError, nearest, require
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.spaces.base import Space
from nas_cli.spaces.nasbench201 import NasBench201

#: Columns of the tables by the name of the data set.
_COLUMNS = {"cifar10": "c10", "cifar100": "c100", "imagenet16": "in16"}


class Table(Estimator):
    """NAS-Bench-201: every cell of the space was trained once and for all; this reads what came out.

    The score is the validation accuracy; the test accuracy of the same cell is among the metrics and must not be
    selected by. The cost is the recorded training time, in simulated seconds.

    Args:
        epochs: the schedule of the recorded trainings: 200 (mean of two or three runs) or 12 (its own full schedule).
        latency: a device whose measured latency is reported as well, in milliseconds.

    Raises `InputError` for a space or a data set that no table is about.

    Reference: Dong & Yang, NAS-Bench-201, ICLR 2020, arXiv:2001.00326; provenance in ``tables/README.md``.
    """

    score_name = "valid_accuracy"

    def __init__(
        self, space: Space, dataset: Dataset, epochs: Literal[200, 12] = 200, latency: str | None = None
    ) -> None:
        if not isinstance(space, NasBench201):
            raise CombinationError(
                f"space={space.name} with estimator=table: no table is about it, only about nasbench201; "
                "take another estimator"
            )
        if dataset.name not in _COLUMNS:
            raise CombinationError(
                f"dataset={dataset.name} with estimator=table: space {space.name} was trained on {', '.join(_COLUMNS)}"
            )
        self.space = space
        self.column = _COLUMNS[dataset.name]
        self.epochs = epochs
        self.latency = latency
        if latency is not None:
            devices = [str(device) for device in _load("nas_bench_201_latency")["devices"]]
            hint = f"{nearest(latency, devices)}; there are {', '.join(devices)}"
            require(latency in devices, f"latency={latency}: no such device in the table{hint}")

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        row = self._rows[self.space.encode(architecture)]
        scores = self._scores
        table = self._table
        metrics = {
            "valid_accuracy": float(scores[f"{self.column}_valid"][row]) / 100,
            "test_accuracy": float(scores[f"{self.column}_test"][row]) / 100,
            "params": int(table["params"][row]),
            "macs": int(table["macs"][row]),
        }
        if self._latencies is not None:
            metrics["latency_ms"] = float(self._latencies[row])
        seconds = float(table[f"{self.column}_train_seconds"][row]) * self.epochs / 200
        return Measurement(metrics["valid_accuracy"], metrics, seconds)

    @cached_property
    def _table(self) -> dict[str, Any]:
        return _load("nas_bench_201")

    @cached_property
    def _scores(self) -> dict[str, Any]:
        return self._table if self.epochs == 200 else _load("nas_bench_201_epoch12")

    @cached_property
    def _latencies(self) -> Any:
        if self.latency is None:
            return None
        table = _load("nas_bench_201_latency")
        return table["latency_ms"][list(table["devices"]).index(self.latency)]

    @cached_property
    def _rows(self) -> dict[tuple[Any, ...], int]:
        """Row numbers by operation names: the table's order is the benchmark's own shuffled one."""
        names = [str(name) for name in self._table["op_names"]]
        return {tuple(names[code] for code in codes): row for row, codes in enumerate(self._table["ops"].tolist())}


def _load(name: str) -> dict[str, Any]:
    with resources.files("nas_cli.estimators").joinpath("tables", f"{name}.npz").open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        return {key: archive[key] for key in archive.files}
