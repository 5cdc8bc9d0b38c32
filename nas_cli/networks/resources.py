"""What an operation of a supernet costs: parameters, multiply-adds, memory accesses.

Reference: Xie, Zheng, Liu, Lin, SNAS, ICLR 2019, arXiv:1812.09926, sec. 2.4; the counts are those of its released code,
which leaves normalisation out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from nas_cli.errors import CombinationError

_KERNEL = re.compile(r"(sep_conv|dil_conv|nor_conv)_(\d)x\2")


class Resources(NamedTuple):
    """Costs of one operation for one image."""

    params: float
    macs: float
    memory: float


@dataclass(frozen=True)
class Site:
    """One cell of a supernet, as far as its cost depends on it.

    Args:
        kind: type of the cell.
        channels: of every node.
        pixels: of every node: height times width.
        strides: of each edge.
    """

    kind: str
    channels: int
    pixels: int
    strides: tuple[int, ...]


def resources(name: str, channels: int, pixels: int, stride: int) -> Resources:
    """The costs of an operation.

    Args:
        channels: in and out.
        pixels: height times width of the output.
        stride: 1 or 2; with 2 the input has four times the pixels.
    Raises `CombinationError` for an operation whose costs are not known.
    """
    plane = channels * pixels
    if name == "none":
        return Resources(0, 0, 0)
    if name == "skip_connect":
        if stride == 1:
            return Resources(0, 0, 2 * plane)
        return Resources(channels**2, channels**2 * pixels, 9 * plane + channels**2)
    if name in ("max_pool_3x3", "avg_pool_3x3"):
        return Resources(0, 9 * plane, (2 if stride == 1 else 5) * plane)
    if name == "noise":
        return Resources(0, 0, plane)
    match = _KERNEL.fullmatch(name)
    if not match:
        raise CombinationError(f"operation {name}: its costs are not known, which a resource penalty needs")
    kind, kernel = match[1], int(match[2])
    times = 2 if kind == "sep_conv" else 1
    params = channels**2 * kernel**2 if kind == "nor_conv" else times * (channels * kernel**2 + channels**2)
    # Every convolution reads its input and writes its output; a separable layer is two of them. The first reads four
    # times as much at stride 2.
    planes = (2 if kind == "nor_conv" else 4 * times) + (3 if stride == 2 else 0)
    return Resources(params, params * pixels, planes * plane + params)
