"""Edges whose operations are switched: sums without a softmax, and a switch on every edge.

Reference: Zhou, Yang, Wang, Pan, BayesNAS, ICML 2019, arXiv:1905.04919, sec. 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from nas_cli.networks.choices import NONE
from nas_cli.networks.mixed import MakeOperation
from nas_cli.networks.operations import search_operation

EdgeSwitch = Literal["input", "output"]


class Switch(nn.Module):
    """A tensor times its switch.

    Shape:
        x and the return: (batch, channels, height, width)
        value: (), or (batch,) where every image has a switch of its own
    """

    def forward(self, x: Tensor, value: Tensor) -> Tensor:
        return value.to(x.dtype).reshape(-1, 1, 1, 1) * x


class SwitchedFanOut(nn.Module):
    """The edges that leave one node, each x ↦ Σ_k s_k O_k(s x), or s Σ_k s_k O_k(x).

    An operation whose switch is 0, or whose edge's is, is not computed: it gets no gradient at all, so that no weight
    decay moves it either. One module for each operation and no sharing, so that a pass over the modules sees all.

    Args:
        operations: candidates of each edge; `none` contributes nothing.
        channels: in and out.
        stride: of every operation here.
        make: makes an operation as this supernet has it.
        edge_switch: whether the edge's switch is on the ``input`` of its operations (paper) or on their ``output``:
            the same function but for the normalisation of what the switch has scaled.
    Shape:
        x: (batch, channels, height, width); weights: (edges, operations + 1), the last the edge's switch, or
            (edges, operations + 1, batch)
        returns: for each edge (batch, channels, height / stride, width / stride)
    """

    def __init__(
        self,
        operations: Sequence[Sequence[str]],
        channels: int,
        stride: int,
        make: MakeOperation = search_operation,
        edge_switch: EdgeSwitch = "input",
    ) -> None:
        super().__init__()
        self._stride, self._on_input = stride, edge_switch == "input"
        self._columns = [[column for column, name in enumerate(row) if name != NONE] for row in operations]
        self.switch = Switch()
        self.edges = nn.ModuleList(
            nn.ModuleList(make(name, channels, stride) for name in row if name != NONE) for row in operations
        )

    def forward(self, x: Tensor, weights: Tensor) -> list[Tensor]:
        on = weights.reshape(*weights.shape[:2], -1).ne(0).any(dim=-1).tolist()  # one look at the device for all edges
        return [self._edge(edge, x, weights[edge], row) for edge, row in enumerate(on)]

    def _edge(self, edge: int, x: Tensor, switches: Tensor, on: list[bool]) -> Tensor:
        operations = cast(nn.ModuleList, self.edges[edge])
        computed = [
            (operation, column)
            for operation, column in zip(operations, self._columns[edge], strict=True)
            if on[column] and on[-1]
        ]
        if not computed:  # zeros that stay tied to the input
            return x[:, :, :: self._stride, :: self._stride] * 0
        if self._on_input:
            x = self.switch(x, switches[-1])
        terms = [self.switch(operation(x), switches[column]) for operation, column in computed]
        total = torch.stack(terms).sum(dim=0) if len(terms) > 1 else terms[0]
        return total if self._on_input else cast(Tensor, self.switch(total, switches[-1]))
