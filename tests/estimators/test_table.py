"""The table against the benchmark's published figures, looked up by cell and not by row."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from nas_cli.architecture import Architecture
from nas_cli.cost import count
from nas_cli.data.digits import Digits
from nas_cli.data.pickled import Cifar10, Cifar100, ImageNet16
from nas_cli.errors import CombinationError, InputError
from nas_cli.estimators.base import Measurement
from nas_cli.estimators.table import Table
from nas_cli.spaces.functions import Branin
from nas_cli.spaces.nasbench201 import OPERATIONS, NasBench201

SPACE = NasBench201("nasbench201")
DATASETS = {"cifar10": Cifar10("cifar10"), "cifar100": Cifar100("cifar100"), "imagenet16": ImageNet16("imagenet16")}
# Row 6111 of the official order: the best validation accuracy on CIFAR-10.
ROW_6111 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
ALL_SKIP = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"


def measure(cell: str, dataset: str = "cifar10", epochs: int = 200, latency: str | None = None) -> Measurement:
    return Table(SPACE, DATASETS[dataset], epochs, latency).measure(SPACE.from_string(cell))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def everything() -> dict[tuple[str, int], list[Measurement]]:
    """All cells on all data sets with both schedules, in lexicographic order."""
    found = {}
    numbers = np.array(np.unravel_index(np.arange(5**6), (5,) * 6)).T.tolist()
    cells = [Architecture("nasbench201", tuple(OPERATIONS[k] for k in row)) for row in numbers]
    for name, dataset in DATASETS.items():
        for epochs in (200, 12):
            table = Table(SPACE, dataset, epochs)  # type: ignore[arg-type]
            found[name, epochs] = [table.measure(cell) for cell in cells]
    return found


def percent(fraction: float) -> float:
    return 100 * fraction


def test_the_best_cell_of_cifar10() -> None:
    best = measure(ROW_6111)
    assert percent(best.score) == pytest.approx(91.607, abs=1e-3)
    assert best.score == best.metrics["valid_accuracy"]
    assert percent(best.metrics["test_accuracy"]) == pytest.approx(94.373, abs=1e-3)


@pytest.mark.parametrize(
    ("dataset", "valid", "test"), [("cifar10", 39.77, 54.30), ("cifar100", 15.03, 15.61), ("imagenet16", 16.43, 16.32)]
)
def test_the_cell_of_skips_that_darts_collapses_to(dataset: str, valid: float, test: float) -> None:
    found = measure(ALL_SKIP, dataset)
    assert percent(found.score) == pytest.approx(valid, abs=0.005)
    assert percent(found.metrics["test_accuracy"]) == pytest.approx(test, abs=0.005)
    assert found.metrics["params"] == 73_306
    assert found.metrics["macs"] == 7_783_040


@pytest.mark.parametrize(
    ("dataset", "epochs", "valid", "test"),
    [
        ("cifar10", 200, 91.607, 94.373),
        ("cifar100", 200, 73.493, 73.513),
        ("imagenet16", 200, 46.733, 47.311),
        ("cifar10", 12, 84.892, 89.160),
        ("cifar100", 12, 61.32, 61.18),
        ("imagenet16", 12, 38.667, 38.267),
    ],
)
def test_the_maxima_of_the_space(
    everything: dict[tuple[str, int], list[Measurement]], dataset: str, epochs: int, valid: float, test: float
) -> None:
    found = everything[dataset, epochs]
    assert len(found) == 15_625
    assert percent(max(m.score for m in found)) == pytest.approx(valid, abs=1e-3)
    assert percent(max(m.metrics["test_accuracy"] for m in found)) == pytest.approx(test, abs=1e-3)
    assert all(0 < m.score < 1 and 0 < m.metrics["test_accuracy"] < 1 for m in found)


@pytest.mark.parametrize(
    ("dataset", "valid", "test"), [("cifar10", 83.69, 87.06), ("cifar100", 61.30, 61.41), ("imagenet16", 33.81, 33.59)]
)
def test_the_expectation_of_one_random_draw(
    everything: dict[tuple[str, int], list[Measurement]], dataset: str, valid: float, test: float
) -> None:
    found = everything[dataset, 200]
    assert percent(float(np.mean([m.score for m in found]))) == pytest.approx(valid, abs=0.005)
    assert percent(float(np.mean([m.metrics["test_accuracy"] for m in found]))) == pytest.approx(test, abs=0.005)


def test_costs_are_the_recorded_seconds(everything: dict[tuple[str, int], list[Measurement]]) -> None:
    seconds = np.array([m.cost_seconds for m in everything["cifar10", 200]])
    assert seconds.sum() / 86_400 == pytest.approx(330.6, abs=0.05)  # GPU days of the whole space
    assert (seconds.min(), seconds.max()) == (pytest.approx(542, abs=0.5), pytest.approx(3461, abs=0.5))
    assert seconds.mean() == pytest.approx(1828, abs=0.5)
    short = np.array([m.cost_seconds for m in everything["cifar10", 12]])
    assert short == pytest.approx(seconds * 12 / 200)
    # The source normalises the times of the other two data sets to fixed multiples.
    for name, factor in (("cifar100", 2.0), ("imagenet16", 6.068)):
        other = np.array([m.cost_seconds for m in everything[name, 200]])
        assert other == pytest.approx(factor * seconds, rel=1e-3)


@pytest.mark.parametrize("cell", [ROW_6111, ALL_SKIP, ALL_SKIP.replace("skip_connect~2", "nor_conv_3x3~2")])
def test_params_and_macs_are_those_of_the_network(cell: str) -> None:
    found = measure(cell).metrics
    architecture = SPACE.from_string(cell)
    cost = count(lambda: SPACE.build(architecture, (3, 32, 32), 10, channels=16, cells=15), (3, 32, 32))
    assert (found["params"], found["macs"]) == (cost.params, cost.macs)


def test_the_order_of_the_tables_is_not_the_order_of_the_space() -> None:
    """A row that was computed instead of looked up would give another cell's score."""
    folder = resources.files("nas_cli.estimators") / "tables"
    with (folder / "nas_bench_201.npz").open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        names, operations, valid = archive["op_names"], archive["ops"], archive["c10_valid"]
    for row in (0, 1, 6111, 15_624):
        cell = Architecture("nasbench201", tuple(str(names[code]) for code in operations[row]))
        assert Table(SPACE, DATASETS["cifar10"]).measure(cell).score == pytest.approx(float(valid[row]) / 100)
    assert (
        SPACE.to_string(Architecture("nasbench201", tuple(str(names[code]) for code in operations[6111]))) == ROW_6111
    )


def test_latency_is_reported_on_a_device_of_the_table() -> None:
    found = measure(ROW_6111, latency="pixel2").metrics
    assert found["latency_ms"] == int(found["latency_ms"]) > 0  # phones are measured in whole milliseconds
    assert "latency_ms" not in measure(ROW_6111).metrics


def test_an_unknown_latency_device_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"latency=pixel4: no such device in the table \(did you mean pixel") as caught:
        Table(SPACE, DATASETS["cifar10"], latency="pixel4")
    assert "\n" not in str(caught.value)
    assert "raspi4" in str(caught.value)


def test_a_space_or_data_set_without_a_table_is_refused() -> None:
    with pytest.raises(CombinationError, match="space=branin with estimator=table: no table is about it"):
        Table(Branin("branin"), DATASETS["cifar10"])
    with pytest.raises(
        CombinationError, match=r"dataset=digits with estimator=table: .* cifar10, cifar100, imagenet16"
    ):
        Table(SPACE, Digits("digits"))


def test_a_cell_from_elsewhere_is_refused() -> None:
    with pytest.raises(InputError, match="is not in space nasbench201"):
        Table(SPACE, DATASETS["cifar10"]).measure(Architecture("nasbench201", ("sep_conv_3x3",) * 6))


def test_measuring_reads_no_images() -> None:
    """The data folder does not exist here, and nobody asks for it."""
    assert Table(SPACE, Cifar10("cifar10", root="/no/such/folder")).measure(SPACE.from_string(ALL_SKIP)).score > 0
