"""Partial channels (systems sheet, section 3)."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nas_cli.errors import InputError
from nas_cli.networks.choices import Choices, all_pairs
from nas_cli.networks.mixed import FanOut, MakeOperation
from nas_cli.networks.partial import PartialFanOut, shuffle
from nas_cli.networks.supernet import FanOutFactory, Supernet
from nas_cli.seeding import seeded
from nas_cli.spaces.darts import DartsSpace

DARTS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


def image(channels: int, side: int = 8) -> Tensor:
    return torch.randn(3, channels, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def made(channels: int, stride: int = 1, rows: Any = None, **options: Any) -> PartialFanOut:
    with seeded(0):
        return PartialFanOut(rows or [DARTS] * 2, channels, stride, **options).double()


def random_weights(columns: int = len(DARTS), edges: int = 2) -> Tensor:
    """Of the operations and, last, of the edge."""
    return torch.rand(edges, columns + 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize(
    ("channels", "order"),
    [(8, [0, 2, 4, 6, 1, 3, 5, 7]), (16, [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15])],
)
def test_the_shuffle_of_four_groups(channels: int, order: list[int]) -> None:
    x = torch.arange(float(channels))[None, :, None, None].expand(2, channels, 3, 5)
    found = shuffle(x, 4)
    assert found.shape == (2, channels, 3, 5)
    assert found[0, :, 0, 0].tolist() == order
    assert torch.equal(found, x[:, order])


@pytest.mark.parametrize("stride", [1, 2])
def test_a_share_of_one_is_the_whole_edge_times_its_weight(stride: int) -> None:
    partial = made(4, stride, share=1)
    with seeded(0):
        whole = FanOut([DARTS] * 2, 4, stride).double()
    weights = random_weights()
    outputs = whole(image(4), weights[:, :-1])
    for found, wanted, edge in zip(partial(image(4), weights), outputs, weights[:, -1], strict=True):
        torch.testing.assert_close(found, edge * wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2])
def test_first_channels_are_mixed_and_the_others_pass(stride: int) -> None:
    partial = made(16, stride)
    weights, x = random_weights(), image(16)
    with seeded(0):
        operations = FanOut([DARTS] * 2, 4, stride).double()
    mixed = operations(x[:, :4], weights[:, :-1])
    others = x[:, 4:] if stride == 1 else F.max_pool2d(x[:, 4:], 2)
    for found, part, edge in zip(partial(x, weights), mixed, weights[:, -1], strict=True):
        assert found.shape == (3, 16, 8 // stride, 8 // stride)
        wanted = edge * torch.cat([part, others], dim=1)
        order = [c % 4 * 4 + c // 4 for c in range(16)]
        torch.testing.assert_close(found, wanted[:, order], rtol=0, atol=1e-12)


def test_gradients_reach_operations_edges_and_input() -> None:
    partial, x, weights = made(16), image(16).requires_grad_(), random_weights().requires_grad_()
    torch.stack([output.square().sum() for output in partial(x, weights)]).sum().backward()
    for leaf in (x, weights):
        assert leaf.grad is not None
    assert weights.grad is not None
    assert weights.grad[:, 1:].ne(0).all()  # column 0 is `none`


class TestRandomSelection:
    """One operation that doubles, so that it is seen which channels went through it."""

    ROWS = (("tests_double",),)

    def doubling(self, stride: int = 1) -> PartialFanOut:
        def double(name: str, channels: int, stride: int) -> torch.nn.Module:
            class Double(torch.nn.Module):
                def forward(self, x: Tensor) -> Tensor:
                    return 2 * x[:, :, ::stride, ::stride]

            return Double()

        make: MakeOperation = double
        return PartialFanOut(self.ROWS, 16, stride, make, share=4, selection="random")

    def test_each_pass_draws_and_channels_stay_in_their_places(self) -> None:
        partial, x = self.doubling(), torch.arange(1.0, 17)[None, :, None, None].expand(2, 16, 4, 4)
        chosen = set()
        with seeded(0):
            for _ in range(20):
                (output,) = partial(x, torch.ones(1, 2))
                ratio = (output / x)[0, :, 0, 0]
                assert torch.equal(output, x * ratio[:, None, None])
                assert sorted(ratio.tolist()) == [1.0] * 12 + [2.0] * 4
                chosen.add(tuple(ratio.eq(2).nonzero().flatten().tolist()))
        assert len(chosen) > 15

    def test_evaluation_takes_the_first_and_draws_nothing(self) -> None:
        partial, x = self.doubling().eval(), torch.arange(1.0, 17)[None, :, None, None].expand(2, 16, 4, 4)
        with seeded(0):
            before = torch.get_rng_state()
            (output,) = partial(x, torch.ones(1, 2))
            assert torch.equal(torch.get_rng_state(), before)
        assert (output / x)[0, :, 0, 0].tolist() == [2.0] * 4 + [1.0] * 12

    def test_stride_two(self) -> None:
        with seeded(0):
            (output,) = self.doubling(2)(image(16), torch.ones(1, 2, dtype=torch.float64))
        pooled, thinned = F.max_pool2d(image(16), 2), 2 * image(16)[:, :, ::2, ::2]
        doubled = [bool(torch.equal(output[:, c], thinned[:, c])) for c in range(16)]
        passed = [bool(torch.equal(output[:, c], pooled[:, c])) for c in range(16)]
        assert sum(doubled) == 4
        assert sum(passed) == 12


@pytest.mark.parametrize(("channels", "share"), [(4, 4), (12, 4), (2, 2), (6, 4), (2, 4)])
def test_widths_that_leave_no_even_number_are_refused(channels: int, share: int) -> None:
    with pytest.raises(InputError, match=f"^share={share}: must leave an even whole number of channels, which"):
        made(channels, share=share)


@pytest.mark.parametrize(("share", "count"), [(4, 299_578), (2, 671_482), (1, 1_930_618)])
def test_published_parameter_counts(share: int, count: int) -> None:
    edges = all_pairs(2, 4)
    choices = dict.fromkeys(("normal", "reduce"), Choices(edges, (DARTS,) * 14))

    def fan_out(operations: Any, channels: int, stride: int, make: MakeOperation) -> PartialFanOut:
        return PartialFanOut(operations, channels, stride, make, share)

    with torch.device("meta"):
        network = Supernet(choices, (3, 32, 32), 10, 16, 8, fan_out)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def saved_bytes(fan_out: FanOutFactory, columns: int) -> int:
    """What a training step on a supernet of the paper's width keeps for its backward pass, parameters left out."""
    space = DartsSpace("darts", DARTS, channels=16, cells=3)
    network = space.supernet((3, 16, 16), 10, fan_out)
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    weights = {kind: torch.full((14, columns), 1 / 8, requires_grad=True) for kind in space.choices}
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = network(images.contiguous(memory_format=torch.channels_last), weights).sum()
    assert loss.requires_grad  # what was kept is alive until here, so that no address is used twice
    return sum(kept.values())


def test_a_quarter_of_the_channels_needs_less_than_half_of_the_memory() -> None:
    whole = saved_bytes(FanOut, 8)
    assert saved_bytes(partial(PartialFanOut, share=4), 9) <= 0.45 * whole
    assert saved_bytes(partial(PartialFanOut, share=1), 9) > 0.9 * whole  # it is the channels that matter
