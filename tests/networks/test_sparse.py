"""Edges that compute only what has a weight, against edges that compute all (systems sheet, section 7)."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor, nn

from nas_cli.networks.mixed import FanOut
from nas_cli.networks.operations import search_operation
from nas_cli.networks.side_by_side import can_merge
from nas_cli.networks.sparse import SparseFanOut
from nas_cli.seeding import seeded

NAMES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
EDGES, CHANNELS = 3, 4


class Counted(nn.Module):
    """An operation that counts its calls."""

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        self.operation = operation
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        found: Tensor = self.operation(x)
        return found


def counted(name: str, channels: int, stride: int) -> nn.Module:
    return Counted(search_operation(name, channels, stride))


def calls(made: SparseFanOut) -> list[list[int]]:
    return [[cast(Counted, operation).calls for operation in cast(nn.ModuleList, edge)] for edge in made.edges]


def image(side: int = 8) -> Tensor:
    return torch.randn(3, CHANNELS, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def twins(stride: int) -> tuple[SparseFanOut, FanOut]:
    """Both kinds with the same weights."""
    rows = [NAMES] * EDGES
    with seeded(0):
        sparse = SparseFanOut(rows, CHANNELS, stride).double()
        whole = FanOut(rows, CHANNELS, stride).double()
    merged = [name for name in NAMES if can_merge(name, stride)]
    with torch.no_grad():
        for edge in range(EDGES):
            operations = cast(nn.ModuleList, sparse.edges[edge])
            for name, together in zip(merged, whole.merged, strict=True):
                own = operations[NAMES.index(name)].parameters()
                for mine, other in zip(own, together.parameters(), strict=True):
                    mine.copy_(other.chunk(EDGES)[edge])
        for edge, other_operation in enumerate(whole.others):  # a skip of stride 2
            own = cast(nn.ModuleList, sparse.edges[edge])[NAMES.index("skip_connect")].parameters()
            for mine, other in zip(own, other_operation.parameters(), strict=True):
                mine.copy_(other)
    return sparse, whole


@pytest.mark.parametrize("stride", [1, 2])
def test_with_dense_weights_it_is_the_whole_edge(stride: int) -> None:
    sparse, whole = twins(stride)
    x = image().requires_grad_()
    weights = torch.rand(EDGES, len(NAMES), dtype=torch.float64, requires_grad=True)
    found, wanted = sparse(x, weights), whole(x, weights)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    slopes = [torch.randn_like(value) for value in found]
    torch.testing.assert_close(
        torch.autograd.grad(found, (x, weights), slopes),
        torch.autograd.grad(wanted, (x, weights), slopes),
        rtol=0,
        atol=1e-10,
    )


def test_one_hot_weights_run_one_operation_and_the_others_get_no_gradient() -> None:
    with seeded(0):
        made = SparseFanOut([NAMES] * EDGES, CHANNELS, 1, counted)
    weights = torch.zeros(EDGES, len(NAMES))
    weights[0, 3] = weights[1, 4] = weights[2, 2] = 1
    weights.requires_grad_()
    outputs = made(image().float(), weights)
    assert calls(made) == [[0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 1, 0, 0]]
    torch.stack([output.square().sum() for output in outputs]).sum().backward()
    for edge, chosen in enumerate((3, 4, 2)):
        for column, operation in enumerate(cast(nn.ModuleList, made.edges[edge])):
            slopes = [parameter.grad for parameter in operation.parameters()]
            assert all((slope is not None) == (column == chosen) for slope in slopes)
    assert weights.grad is not None
    assert weights.grad.ne(0).tolist() == [[column == chosen for column in range(5)] for chosen in (3, 4, 2)]


def test_weight_decay_does_not_reach_what_was_not_run() -> None:
    with seeded(0):
        made = SparseFanOut([("sep_conv_3x3", "dil_conv_5x5")], CHANNELS, 1)
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1, weight_decay=0.5)
    before = [parameter.detach().clone() for parameter in made.parameters()]
    (output,) = made(image().float(), torch.tensor([[1.0, 0.0]]))
    output.sum().backward()
    optimizer.step()
    moved = [not torch.equal(old, new) for old, new in zip(before, made.parameters(), strict=True)]
    run, idle = (len(list(operation.parameters())) for operation in cast(nn.ModuleList, made.edges[0]))
    assert moved == [True] * run + [False] * idle


@pytest.mark.parametrize("stride", [1, 2])
def test_none_and_an_edge_of_no_weight_give_zeros_of_the_right_shape(stride: int) -> None:
    with seeded(0):
        made = SparseFanOut([NAMES] * 2, CHANNELS, stride, counted)
    weights = torch.zeros(2, len(NAMES))
    weights[0, 0] = 1
    x = image().float().requires_grad_()
    for output in made(x, weights):
        assert output.shape == (3, CHANNELS, 8 // stride, 8 // stride)
        assert not output.any()
        assert output.requires_grad
    assert calls(made) == [[0] * 5] * 2


def test_batches_without_an_operation_do_not_move_its_statistics() -> None:
    with seeded(0):
        made = SparseFanOut([("max_pool_3x3", "avg_pool_3x3")], CHANNELS, 1)
    made(image().float(), torch.tensor([[0.0, 1.0]]))
    tracked = [m.num_batches_tracked for m in made.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [int(count) for count in tracked if count is not None] == [0, 1]
