"""Partial channels: a mixed edge computes on some of the channels, and the others pass unchanged.

Reference: Xu et al., PC-DARTS, ICLR 2020, arXiv:1907.05737, sec. 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.errors import require
from nas_cli.networks.mixed import FanOut, MakeOperation
from nas_cli.networks.operations import search_operation


class PartialFanOut(nn.Module):
    """The edges that leave one node, mixed on one channel in `share`.

    Args:
        operations: candidates of each edge.
        channels: in and out; the mixed ones, channels / share, must be an even whole number, because a factorized
            reduction halves them.
        stride: of every operation here; with 2 the channels that pass are max-pooled.
        make: makes an operation as this supernet has it.
        share: K of the paper.
        selection: ``first``: the first channels are mixed and then shuffled among the others (released code);
            ``random``: a fresh draw of channels in every training pass, each staying in its place (the paper's text).
    Shape:
        x: (batch, channels, height, width); weights: (edges, operations + 1), the last the edge's own
        returns: for each edge (batch, channels, height / stride, width / stride)
    """

    def __init__(
        self,
        operations: Sequence[Sequence[str]],
        channels: int,
        stride: int,
        make: MakeOperation = search_operation,
        share: int = 4,
        selection: Literal["first", "random"] = "first",
    ) -> None:
        super().__init__()
        mixed = channels // share
        require(
            mixed > 0 and channels % (2 * share) == 0,
            f"share={share}: must leave an even whole number of channels, which {channels} / {share} is not",
        )
        self.mixed = FanOut(operations, mixed, stride, make)
        self._share, self._stride, self._random = share, stride, selection == "random"

    def forward(self, x: Tensor, weights: Tensor) -> list[Tensor]:
        channels = x.shape[1]
        count = channels // self._share
        order = None
        if self._random and self.training:
            order = torch.randperm(channels, device=x.device)
            x = x.index_select(1, order)
        chosen, others = (part.contiguous(memory_format=torch.channels_last) for part in (x[:, :count], x[:, count:]))
        if self._stride == 2:  # with a share of 1 there are none to pool
            others = F.max_pool2d(others, 2, 2) if others.shape[1] else others[:, :, ::2, ::2]
        edges = weights[:, -1:]
        parts = self.mixed(chosen, weights[:, :-1] * edges)
        whole = [torch.cat([part, edge * others], dim=1) for part, edge in zip(parts, edges.unbind(), strict=True)]
        if not self._random:
            return [shuffle(output, self._share) for output in whole]
        return whole if order is None else [output.index_select(1, order.argsort()) for output in whole]


def shuffle(x: Tensor, groups: int) -> Tensor:
    """The channel shuffle of K groups: output channel c is input (c mod K) · (C / K) + ⌊c / K⌋.

    Shape:
        x and the return: (batch, C, height, width)
    """
    batch, channels, height, width = x.shape
    last = x.permute(0, 2, 3, 1).reshape(batch, height, width, groups, channels // groups)  # keeps channels_last
    return last.transpose(-1, -2).reshape(batch, height, width, channels).permute(0, 3, 1, 2)
