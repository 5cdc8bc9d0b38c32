"""Scores looked up in a tabular benchmark instead of trained."""

from __future__ import annotations

from typing import Literal

from nas_cli import tabular
from nas_cli.architecture import Architecture
from nas_cli.data.base import Dataset
from nas_cli.errors import CombinationError, nearest, require
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.spaces.base import Space
from nas_cli.spaces.nasbench201 import NasBench201


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
        if dataset.name not in tabular.NASBENCH201_DATA:
            raise CombinationError(
                f"dataset={dataset.name} with estimator=table: space {space.name} was trained on "
                f"{', '.join(tabular.NASBENCH201_DATA)}"
            )
        self.space = space
        self.column = tabular.NASBENCH201_DATA[dataset.name]
        self.epochs = epochs
        self.latency = latency
        if latency is not None:
            devices = self._devices
            hint = f"{nearest(latency, devices)}; there are {', '.join(devices)}"
            require(latency in devices, f"latency={latency}: no such device in the table{hint}")

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        row = tabular.nasbench201_rows()[tuple(map(str, self.space.encode(architecture)))]
        table = tabular.load(tabular.NASBENCH201)
        scores = table if self.epochs == 200 else tabular.load(tabular.NASBENCH201_SHORT)
        metrics = {
            "valid_accuracy": float(scores[f"{self.column}_valid"][row]) / 100,
            "test_accuracy": float(scores[f"{self.column}_test"][row]) / 100,
            "params": int(table["params"][row]),
            "macs": int(table["macs"][row]),
        }
        if self.latency is not None:
            latencies = tabular.load(tabular.NASBENCH201_LATENCY)["latency_ms"]
            metrics["latency_ms"] = float(latencies[self._devices.index(self.latency)][row])
        seconds = float(table[f"{self.column}_train_seconds"][row]) * self.epochs / 200
        return Measurement(metrics["valid_accuracy"], metrics, seconds)

    @property
    def _devices(self) -> list[str]:
        return [str(device) for device in tabular.load(tabular.NASBENCH201_LATENCY)["devices"]]
