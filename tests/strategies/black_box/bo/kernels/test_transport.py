"""OTMANN's distance: the sheet's chains, the paper's costs, and a kernel that stays a kernel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from nas_cli.errors import CombinationError, InputError
from nas_cli.spaces.functions import Branin
from nas_cli.spaces.graphs import LabelledGraph
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.strategies.black_box.bo.kernels.layers import Layer, LayerGraph, mismatch
from nas_cli.strategies.black_box.bo.kernels.transport import (
    STRUCTURE_COSTS,
    OtmannTransport,
    clipped_away,
    transport,
)

SPACE = NasBench201("nasbench201")


def chain(*labels: str, extra: tuple[tuple[int, int], ...] = ()) -> LayerGraph:
    """Layers in a row, the first convolution 3 -> 16, later ones 16 -> 16."""
    edges = tuple(sorted([*itertools.pairwise(range(len(labels))), *extra]))
    channels = [(3 if place == 1 else 16, 16) for place in range(len(labels))]
    return LayerGraph.of(LabelledGraph(labels, edges), channels)


A = chain("input", "conv_3x3", "softmax", "output")
B = chain("input", "conv_5x5", "softmax", "output")
C = chain("input", "conv_3x3", "conv_3x3", "softmax", "output")
D = chain("input", "conv_3x3", "conv_3x3", "softmax", "output", extra=((1, 3),))


def test_masses_of_the_sheet() -> None:
    assert A.masses == (100, 48, 100, 100)
    assert C.masses == (100, 48, 256, 100, 100)


def test_masses_of_other_layers() -> None:
    labels = ("input", "max_pool_3x3", "relu", "softmax", "softmax", "conv_3x3", "output")
    graph = LabelledGraph(labels, tuple(itertools.pairwise(range(len(labels)))))
    masses = LayerGraph.of(graph, [(50, 50)] * len(labels)).masses
    end = (50 + 0.1 * 2500 + 2500) / 10
    assert masses == (end, 50, 250, end / 2, end / 2, 2500, end)


def test_distances_of_the_sheet() -> None:
    assert transport(A, A) == pytest.approx(0, abs=1e-9)
    assert transport(A, B) == pytest.approx([9.6] * 4, abs=1e-9)
    assert transport(A, B)[0] / (A.mass + B.mass) == pytest.approx(0.013793103448, abs=1e-12)
    assert transport(A, C)[[0, 3]] == pytest.approx([264.7, 386.5], abs=1e-9)
    assert transport(C, D)[[0, 3]] == pytest.approx([4.35, 65.25], abs=1e-9)


def balanced(one: LayerGraph, other: LayerGraph, structure_cost: float) -> float:
    """The paper's balanced form: a dummy node on each side takes what is not moved."""
    count, others = len(one.layers), len(other.layers)
    cost = np.ones((count + 1, others + 1))
    cost[-1, -1] = 0
    for (i, a), (j, b) in itertools.product(enumerate(one.layers), enumerate(other.layers)):
        structure = np.abs(one.path_lengths[i] - other.path_lengths[j]).mean()
        cost[i, j] = min(mismatch(a, b), 1e6) + structure_cost * structure
    masses = np.array([*one.masses, other.mass]), np.array([*other.masses, one.mass])
    rows = np.kron(np.eye(count + 1), np.ones(others + 1))
    columns = np.kron(np.ones(count + 1), np.eye(others + 1))
    found = linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate(masses), method="highs")
    return float(found.fun)


def networks(count: int) -> list[LayerGraph]:
    generator = np.random.default_rng(0)
    graphs = [SPACE.labelled_graph(SPACE.sample(generator)) for _ in range(count)]
    return [LayerGraph.of(graph, [(16, 16)] * len(graph.labels)) for graph in graphs]


def test_distance_is_that_of_the_balanced_problem() -> None:
    for one, other in itertools.combinations([*networks(3), A, C, D], 2):
        found = transport(one, other)
        assert found == pytest.approx([balanced(one, other, cost) for cost in STRUCTURE_COSTS], rel=1e-9)
        assert (transport(other, one) == found).all()


@pytest.mark.parametrize(
    ("one", "other", "cost"),
    [
        ("conv_3x3", "conv_7x7", 2**0.5 / 5),
        ("conv_3x3", "res_3", 0.1),
        ("conv_3x3", "res_5", 0.9 * 0.2 + 0.1),
        ("max_pool_3x3", "avg_pool_3x3", 0.5),
        ("relu", "softplus", 0.1),
        ("tanh", "logistic", 0.1),
        ("relu", "tanh", 0.25),
        ("conv_3x3", "max_pool_3x3", np.inf),
        ("input", "output", np.inf),
        ("normal cell: conv_3x3", "reduction cell: conv_3x3", np.inf),
    ],
)
def test_costs_of_the_paper(one: str, other: str, cost: float) -> None:
    assert mismatch(Layer.of(one), Layer.of(other)) == pytest.approx(cost)
    assert mismatch(Layer.of(other), Layer.of(one)) == pytest.approx(cost)
    assert mismatch(Layer.of(one), Layer.of(one)) == 0


def test_path_lengths_of_a_branching_chain() -> None:
    # From the input: 3 edges through one convolution's shortcut, 4 in full; a walker takes either at the branch.
    to_output = D.path_lengths[0].reshape(2, 4, 3)[0]
    assert to_output[0].tolist() == [3, 4, 3.5]
    assert to_output[1].tolist() == [1, 2, 1.5]
    assert not to_output[2:].any()


def test_matrix_is_positive_semi_definite_and_symmetric() -> None:
    generator = np.random.default_rng(0)
    covariance = OtmannTransport().on(SPACE)
    rows = covariance.inputs.rows([SPACE.sample(generator) for _ in range(8)])
    kernel = covariance.build(2)
    with torch.no_grad():
        kernel.get_parameter(covariance.scales.name).fill_(2.0)
    found = kernel.forward(rows, rows)
    assert torch.linalg.eigvalsh(found).min() > -1e-9
    torch.testing.assert_close(found, found.mT)
    assert kernel.forward(rows, rows, diag=True).tolist() == [[2.0] * 8] * 2
    torch.autograd.grad(found.sum(), kernel.get_parameter(covariance.scales.name))


def test_clipping_removes_negative_eigenvalues_only() -> None:
    matrix = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)  # eigenvalues 3 and -1
    torch.testing.assert_close(matrix + clipped_away(matrix), torch.full((2, 2), 1.5, dtype=torch.float64))


def test_refusals() -> None:
    with pytest.raises(CombinationError, match="kernel=otmann_transport with space=branin"):
        OtmannTransport().on(Branin("branin"))
    with pytest.raises(InputError, match="channels"):
        OtmannTransport(channels=0)
