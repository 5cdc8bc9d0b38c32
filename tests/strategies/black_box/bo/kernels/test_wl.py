"""Weisfeiler-Lehman kernels: the sheet's numbers on three cells, and what holds for all cells."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, InputError
from nas_cli.spaces.functions import Branin
from nas_cli.spaces.graphs import LabelledGraph
from nas_cli.spaces.nasbench201 import OPERATIONS, NasBench201
from nas_cli.strategies.black_box.bo.kernels.base import Covariance
from nas_cli.strategies.black_box.bo.kernels.wl import WL, Subtrees, has_graph

SPACE = NasBench201("nasbench201")
CONV = "nor_conv_3x3"
C3 = SPACE.decode([CONV] * 6)
RES = SPACE.from_string(f"|{CONV}~0|+|none~0|{CONV}~1|+|skip_connect~0|none~1|skip_connect~2|")
MIX = SPACE.from_string(f"|{CONV}~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|none~1|{CONV}~2|")
# Level: <phi, phi'> of (C3, C3), (RES, RES), (MIX, MIX), (C3, RES), (C3, MIX), (RES, MIX); normalised, the last three.
PRODUCTS = {
    0: ((38, 6, 8, 14, 14, 6), (0.927172649946, 0.802955068547, 0.866025403784)),
    1: ((54, 10, 14, 20, 18, 8), (0.860662965824, 0.654653670708, 0.676123403783)),
    2: ((70, 14, 20, 26, 22, 10), (0.830539534500, 0.587974732207, 0.597614304667)),
    3: ((86, 18, 26, 32, 26, 12), (0.813325708441, 0.549841414769, 0.554700196225)),
}
ASSIGNMENTS = {0: (4, 0.707106781187), 1: (7, 0.618718433538), 2: (10, 0.589255650989), 3: (13, 0.574524259714)}


def gram(covariance: Covariance, architectures: list[Architecture], level: int) -> Tensor:
    """The matrix of a kernel at amplitude and length scale 1."""
    kernel = covariance.build(1, level)
    for parameter in kernel.parameters():
        torch.nn.init.zeros_(parameter)
    rows = covariance.inputs.rows(architectures)
    return torch.as_tensor(kernel.forward(rows, rows).detach())[0]


def draws(count: int) -> list[Architecture]:
    generator = np.random.default_rng(0)
    return [SPACE.sample(generator) for _ in range(count)]


@pytest.mark.parametrize("level", PRODUCTS)
def test_products_of_the_sheet(level: int) -> None:
    table = WL().table(SPACE)
    rows = table.rows([C3, RES, MIX])
    found = table.pairs(rows, rows, level).products
    whole, normalised = PRODUCTS[level]
    assert [*found.diagonal().tolist(), found[0, 1], found[0, 2], found[1, 2]] == list(whole)
    covariance = WL(levels=[level]).on(SPACE)
    matrix = gram(covariance, [C3, RES, MIX], level)
    assert matrix.diagonal().tolist() == [1, 1, 1]
    assert [matrix[0, 1].item(), matrix[0, 2].item(), matrix[1, 2].item()] == pytest.approx(normalised, abs=1e-12)


@pytest.mark.parametrize("level", ASSIGNMENTS)
def test_optimal_assignments_of_the_sheet(level: int) -> None:
    kernel = WL(optimal_assignment=True)
    table = kernel.table(SPACE)
    rows = table.rows([C3, RES])
    found = table.pairs(rows, rows, level).products
    shared, normalised = ASSIGNMENTS[level]
    assert found[0, 1] == shared
    assert found[0, 0] == 8 * (level + 1)  # nodes times levels
    assert gram(kernel.on(SPACE), [C3, RES], level)[0, 1].item() == pytest.approx(normalised, abs=1e-12)


def test_exponential_is_of_the_normalised_kernel() -> None:
    kernel = WL(levels=[2], exponential=True).on(SPACE)
    found = gram(kernel, [C3, MIX], 2)
    assert found[0, 1].item() == pytest.approx(math.exp(PRODUCTS[2][1][1] - 1), abs=1e-12)


def test_distinct_subtrees_of_the_full_cell() -> None:
    levels = Subtrees(3).levels(SPACE.labelled_graph(C3))
    assert [len(level) for level in levels] == [3, 5, 5, 5]


def test_classes_of_the_whole_space() -> None:
    """341 cells have no way from input to output; the others fall into 5256 classes at depth 3."""
    subtrees = Subtrees(3)
    graphs = [SPACE.labelled_graph(SPACE.decode(values)) for values in itertools.product(OPERATIONS, repeat=6)]
    connected = [graph for graph in graphs if len(graph.labels) > 1]
    assert len(graphs) - len(connected) == 341
    assert len({frozenset(subtrees.levels(graph)[3].items()) for graph in set(connected)}) == 5256


@pytest.mark.parametrize("exponential", [False, True])
@pytest.mark.parametrize("optimal_assignment", [False, True])
def test_matrices_are_positive_semi_definite(optimal_assignment: bool, exponential: bool) -> None:
    covariance = WL(optimal_assignment, exponential=exponential).on(SPACE)
    for level in covariance.levels:
        assert torch.linalg.eigvalsh(gram(covariance, draws(60), level)).min() > -1e-10


def test_numbering_of_nodes_does_not_matter() -> None:
    subtrees = Subtrees(3)
    graph = LabelledGraph(("input", "a", "b", "output"), ((0, 1), (0, 2), (1, 3), (2, 3)))
    turned = LabelledGraph(("input", "b", "a", "output"), ((0, 1), (0, 2), (1, 3), (2, 3)))
    assert subtrees.levels(graph) == subtrees.levels(turned)
    other = LabelledGraph(("input", "a", "b", "output"), ((0, 1), (0, 2), (1, 2), (2, 3)))
    assert subtrees.levels(graph) != subtrees.levels(other)


def test_isomorphic_cells_are_one_row() -> None:
    first = SPACE.decode([CONV, "nor_conv_1x1", "none", "none", "avg_pool_3x3", "avg_pool_3x3"])
    second = SPACE.decode(["nor_conv_1x1", CONV, "none", "none", "avg_pool_3x3", "avg_pool_3x3"])
    rows = WL().on(SPACE).inputs.rows([first, second, C3])
    assert rows[0] == rows[1] != rows[2]


def test_order_of_first_sight_does_not_matter() -> None:
    some = draws(30)
    one, other = WL().on(SPACE), WL().on(SPACE)
    other.inputs.rows(some[::-1])
    assert torch.equal(gram(one, some, 3), gram(other, some, 3))


def test_new_architectures_are_taken_in_later() -> None:
    covariance = WL().on(SPACE)
    before = gram(covariance, draws(5), 2)
    assert torch.equal(gram(covariance, draws(12), 2)[:5, :5], before)


def test_shapes_and_diagonal() -> None:
    covariance = WL(exponential=True).on(SPACE)
    rows = covariance.inputs.rows(draws(6))
    kernel = covariance.build(3, 1)
    assert kernel.forward(rows[None], rows[None, :4]).shape == (3, 6, 4)
    assert kernel.forward(rows[None], rows[None], diag=True).shape == (3, 6)
    members = rows.expand(3, 6, 1)
    torch.testing.assert_close(kernel.forward(members, members[:, :4]), kernel.forward(rows[None], rows[None, :4]))


def test_cells_of_an_unconnected_kind_are_compared_too() -> None:
    cut = SPACE.decode(["none"] * 6)
    assert torch.isfinite(gram(WL().on(SPACE), [cut, C3], 3)).all()


def test_refusals() -> None:
    branin = Branin("branin")
    assert has_graph(SPACE)
    assert not has_graph(branin)
    for kernel, name in (
        (WL(), "wl"),
        (WL(optimal_assignment=True), "wl_oa"),
        (WL(optimal_assignment=True, exponential=True), "wl_oa_exponential"),
    ):
        with pytest.raises(CombinationError, match=f"kernel={name} with space=branin"):
            kernel.on(branin)
    for levels in ([], [-1], [1, 1]):
        with pytest.raises(InputError, match="levels="):
            WL(levels=levels)
