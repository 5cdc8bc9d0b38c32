"""What computes one operation on several edges at once; that it is the same function is in test_mixed.py."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nas_cli.networks.side_by_side import SideBySide, can_merge, grids, normalise, per_channel
from nas_cli.seeding import seeded


@pytest.mark.parametrize(
    ("name", "stride", "merges"),
    [
        ("sep_conv_3x3", 1, True),
        ("dil_conv_5x5", 2, True),
        ("skip_connect", 1, False),
        ("skip_connect", 2, False),  # a factorized reduction has two branches
        ("max_pool_3x3", 1, False),
        ("none", 1, False),
        ("my_module.MyOperation", 1, False),
    ],
)
def test_what_can_be_merged(name: str, stride: int, merges: bool) -> None:
    assert can_merge(name, stride) == merges


def test_asking_draws_nothing() -> None:
    can_merge.cache_clear()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    can_merge("sep_conv_5x5", 1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("side", [1, 4, 7])
def test_a_dilated_convolution_is_a_plain_one_on_grids(side: int) -> None:
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kernel = torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dilated = F.conv2d(x, kernel, padding=2, dilation=2, groups=3)
    parts = F.conv2d(grids(x, 1), kernel, padding=1, groups=3)
    assert parts.shape == (8, 3, (side + 1) // 2, (side + 1) // 2)
    for row in range(2):
        for column in range(2):
            part = parts[4 * 0 + 2 * (2 * row + column) :][:2]
            wanted = dilated[:, :, row::2, column::2]
            torch.testing.assert_close(part[:, :, : wanted.shape[2], : wanted.shape[3]], wanted, rtol=0, atol=1e-12)
    torch.testing.assert_close(grids(x, 2), x[:, :, ::2, ::2])


@pytest.mark.parametrize("name", ["sep_conv_3x3", "dil_conv_3x3"])
def test_one_call_or_one_for_each_edge(name: str) -> None:
    edges, channels = 3, 4
    with seeded(0):
        operation = SideBySide(name, edges, channels, 1).double()
    x = torch.randn(2, channels, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64).relu()
    read = grids(x, 1) if operation.dilated else x
    weights = torch.tensor([0.2, 0.0, 0.7], dtype=torch.float64)
    together = operation(torch.cat([read] * edges, dim=1), weights, edges, x.shape[2:])
    apart = operation(read, weights, 1, x.shape[2:])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-12)
    assert [output.shape for output in apart] == [(2, channels, 8, 8)] * edges
    assert not apart[1].any()


def test_a_weight_as_the_scale_of_a_normalisation() -> None:
    norm = torch.nn.BatchNorm2d(6, affine=False).double()
    y = torch.randn(4, 6, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.tensor([0.5, -2.0], dtype=torch.float64, requires_grad=True)
    scale = per_channel(weights, 3)
    assert scale.tolist() == [0.5] * 3 + [-2.0] * 3
    found = normalise(norm, y, scale)
    wanted = weights.repeat_interleave(3)[:, None, None] * F.batch_norm(y, None, None, training=True)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    slope = torch.randn_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, weights, slope), torch.autograd.grad(wanted, weights, slope), rtol=0, atol=1e-10
    )
    part = normalise(norm, y[:, 3:], None, slice(3, 6))
    torch.testing.assert_close(part, F.batch_norm(y[:, 3:], None, None, training=True), rtol=0, atol=1e-12)
