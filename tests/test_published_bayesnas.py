"""BayesNAS' released cells: variable in-degree, several operations on an edge (systems sheet, section 2.6)."""

from __future__ import annotations

from collections import Counter

import pytest

from nas_cli import published
from nas_cli.cost import count
from nas_cli.networks.cell_network import CellNetwork
from nas_cli.networks.genotype import Genotype

# parameters; multiply-adds in millions, 20 cells of C = 36 on CIFAR-10
SHEET = {
    "bayesnas_005": (2_389_654, 382.5),
    "bayesnas_007": (3_074_806, 481.4),
    "bayesnas_01": (2_453_158, 389.2),
}


@pytest.mark.parametrize("name", SHEET)
def test_counts_are_those_of_the_sheet(name: str) -> None:
    genotype = Genotype.from_architecture(published.load(name))
    found = count(lambda: CellNetwork(genotype, (3, 32, 32), 10, 36, 20, auxiliary=False), (3, 32, 32))
    assert (found.params, round(found.macs / 1e6, 1)) == SHEET[name]


@pytest.mark.parametrize("name", SHEET)
def test_reported_results(name: str) -> None:
    reported = published.record(name)["reported"]
    expected = {"bayesnas_005": (2.81, 3.4), "bayesnas_007": (2.90, 3.10), "bayesnas_01": (3.02, 2.59)}[name]
    assert (reported["error_percent"], reported["params_millions"]) == expected


def test_one_cell_against_the_sheet() -> None:
    """λ = .01, normal: n0 = a:sep5, b:(sep5+max+avg+skip); n1 = a:(max+skip); n2 = a:skip, b:max; n3 = n0:avg."""
    cell = Genotype.from_architecture(published.load("bayesnas_01")).normal
    before, previous, first = 0, 1, 2
    assert [Counter(node) for node in cell.nodes] == [
        Counter(
            [
                ("sep_conv_5x5", previous),
                ("sep_conv_5x5", before),
                ("max_pool_3x3", before),
                ("avg_pool_3x3", before),
                ("skip_connect", before),
            ]
        ),
        Counter([("max_pool_3x3", previous), ("skip_connect", previous)]),
        Counter([("skip_connect", previous), ("max_pool_3x3", before)]),
        Counter([("avg_pool_3x3", first)]),
    ]
    assert cell.concat == (2, 3, 4, 5)
