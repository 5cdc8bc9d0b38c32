"""Costs of operations (stochastic sheet, section 1.2.4 and its numbers in 1.7)."""

from __future__ import annotations

import pytest

from nas_cli.errors import CombinationError
from nas_cli.networks.resources import resources


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sep_conv_3x3", (800, 819_200, 131_872)),
        ("sep_conv_5x5", (1312, 1_343_488, 132_384)),
        ("dil_conv_3x3", (400, 409_600, 65_936)),
        ("dil_conv_5x5", (656, 671_744, 66_192)),
        ("max_pool_3x3", (0, 147_456, 32_768)),
        ("avg_pool_3x3", (0, 147_456, 32_768)),
        ("skip_connect", (0, 0, 32_768)),
        ("none", (0, 0, 0)),
    ],
)
def test_stride_1(name: str, expected: tuple[int, int, int]) -> None:
    assert resources(name, 16, 32 * 32, 1) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sep_conv_3x3", (800, 800 * 256, 45_856)),
        ("dil_conv_5x5", (656, 656 * 256, 29_328)),
        ("avg_pool_3x3", (0, 36_864, 20_480)),
        ("skip_connect", (256, 65_536, 37_120)),
    ],
)
def test_stride_2(name: str, expected: tuple[int, int, int]) -> None:
    assert resources(name, 16, 16 * 16, 2) == expected


def test_nas_bench_201() -> None:
    assert [resources(f"nor_conv_{k}x{k}", 8, 64, 1).params for k in (1, 3)] == [64, 576]


def test_an_operation_of_unknown_cost_is_refused() -> None:
    with pytest.raises(CombinationError, match=r"operation mine\.Op: its costs are not known"):
        resources("mine.Op", 8, 64, 1)
