"""Edges that run one operation, or few: what has no weight is not computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from nas_cli.networks.choices import NONE
from nas_cli.networks.mixed import MakeOperation
from nas_cli.networks.operations import search_operation


class SparseFanOut(nn.Module):
    """The edges that leave one node; each runs only the operations whose weight is not 0.

    The others get no gradient at all, so that no weight decay moves them either.

    Args:
        operations: candidates of each edge.
        channels: in and out.
        stride: of every operation here.
        make: makes an operation as this supernet has it.
    Shape:
        x: (batch, channels, height, width); weights: (edges, operations)
        returns: for each edge (batch, channels, height / stride, width / stride)
    """

    def __init__(
        self,
        operations: Sequence[Sequence[str]],
        channels: int,
        stride: int,
        make: MakeOperation = search_operation,
    ) -> None:
        super().__init__()
        self._stride = stride
        self._computed = [[name != NONE for name in row] for row in operations]
        self.edges = nn.ModuleList(nn.ModuleList(make(name, channels, stride) for name in row) for row in operations)

    def forward(self, x: Tensor, weights: Tensor) -> list[Tensor]:
        values = weights.tolist()  # one look at the device for all edges
        outputs = []
        for edge, row in enumerate(values):
            operations = cast(nn.ModuleList, self.edges[edge])
            terms = [
                weights[edge, column] * operations[column](x)
                for column, value in enumerate(row)
                if value != 0 and self._computed[edge][column]
            ]
            # Without a term, zeros that stay tied to the input and to the weights.
            outputs.append(torch.stack(terms).sum(0) if len(terms) > 1 else terms[0] if terms else self._zero(x))
        return outputs

    def _zero(self, x: Tensor) -> Tensor:
        return x[:, :, :: self._stride, :: self._stride] * 0
