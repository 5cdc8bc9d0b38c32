"""Tables of NAS benchmarks, as arrays; what they hold and where from stands in ``estimators/tables/README.md``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

#: NAS-Bench-201's trainings of 200 epochs (means over runs), its trainings of 12, and its latencies.
NASBENCH201, NASBENCH201_SHORT, NASBENCH201_LATENCY = (
    "nas_bench_201",
    "nas_bench_201_epoch12",
    "nas_bench_201_latency",
)
#: Prefixes of NAS-Bench-201's columns by the name of the data set.
NASBENCH201_DATA = {"cifar10": "c10", "cifar100": "c100", "imagenet16": "in16"}


@cache
def load(name: str) -> Mapping[str, Any]:
    """All arrays of a table, by name."""
    with (files("nas_cli") / "estimators" / "tables" / f"{name}.npz").open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        return {key: archive[key] for key in archive.files}


@cache
def nasbench201_rows() -> Mapping[tuple[str, ...], int]:
    """Row numbers by the six operations of a cell: the table's order is the benchmark's own shuffled one."""
    table = load(NASBENCH201)
    names = [str(name) for name in table["op_names"]]
    return {tuple(names[code] for code in codes): row for row, codes in enumerate(table["ops"].tolist())}
