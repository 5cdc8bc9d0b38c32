"""The search network for recurrent cells: every node sees all earlier ones through all activations.

Reference: Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019, arXiv:1806.09055, sec. 2.2, 3.2
and app. A.1.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.errors import CombinationError
from nas_cli.networks.choices import NONE, Choices
from nas_cli.networks.recurrent import Dropouts, LanguageModel, Prediction, activation, masked, uniform

#: The one type of cell.
RECURRENT = "recurrent"


class MixedNodes(nn.Module):
    """All nodes with all edges: s_i = BN(Σ_j Σ_f p_jf [s_j + σ(c) ∘ (f(h) - s_j)]), [c, h] = (s_j ∘ m) W_i.

    A node has one matrix for all its predecessors, and one normalisation without weights serves all nodes and steps,
    s_0 included. ``none`` contributes nothing, not even s_j. The output is the mean of all nodes.

    Args:
        choices: edges and their candidate activations; source 0 is s_0.
        size: H, of every state.
        batch_statistics: normalise by the batch also in evaluation; no running statistics are kept, since those of one
            module for all nodes and steps fit none of them.
    Shape:
        start: (batch, size); mask: (batch, size), or None; shares: what `shares` made of (edges, operations)
        returns: (batch, size)
    """

    def __init__(self, choices: Choices, size: int, batch_statistics: bool) -> None:
        super().__init__()
        self.rows = [choices.rows_into(target) for target in choices.targets]
        self.sources = [[choices.edges[row][0] for row in rows] for rows in self.rows]
        names = list(dict.fromkeys(name for row in choices.operations for name in row if name != NONE))
        self.activations = [activation(name) for name in names]
        self.matrices = nn.ParameterList(uniform(size, 2 * size) for _ in self.rows)
        self.norm = nn.BatchNorm1d(size, affine=False, track_running_stats=not batch_statistics)
        # Of each edge the column of each activation; the one after the last holds zeros, for what an edge lacks.
        width = choices.shape[1]
        columns = [[row.index(name) if name in row else width for name in names] for row in choices.operations]
        self.register_buffer("_columns", torch.tensor(columns, dtype=torch.int64), persistent=False)
        self._columns: Tensor

    def shares(self, weights: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For each node the shares of the activations and their sums, (activations, sources, 1, 1) and (sources, 1, 1).

        The same at every step of a window, so they are made once for it.
        """
        found = F.pad(weights, (0, 1)).gather(1, self._columns).t()[..., None, None]
        return [(found[:, rows], found[:, rows].sum(dim=0)) for rows in self.rows]

    def forward(self, start: Tensor, mask: Tensor | None, shares: list[tuple[Tensor, Tensor]]) -> Tensor:
        states = [self.norm(start)]
        for sources, matrix, (own, total) in zip(self.sources, self.matrices, shares, strict=True):
            before = torch.stack([states[source] for source in sources])
            gate, value = (masked(before, mask) @ matrix).chunk(2, dim=-1)
            # Σ_f p_f [s + σ(c) ∘ (f(h) - s)] with everything that does not depend on f taken out of the sum.
            mixed = (own * torch.stack([apply(value) for apply in self.activations])).sum(dim=0)
            states.append(self.norm(torch.lerp(total * before, mixed, gate.sigmoid()).sum(dim=0)))
        return torch.stack(states[1:]).mean(dim=0)


class RecurrentSupernet(nn.Module):
    """A language model whose cell is mixed.

    Args:
        choices: of the ``recurrent`` cell.
        words: size of the vocabulary.
        size: of embedding and hidden state. Paper: 300.
        dropouts: while training.
        batch_statistics: as of `MixedNodes`.
    Shape:
        tokens: (steps, batch) int64; hidden: (batch, size), None for zeros; weights: {"recurrent": (edges, operations)}
    """

    def __init__(
        self, choices: Mapping[str, Choices], words: int, size: int, dropouts: Dropouts, batch_statistics: bool
    ) -> None:
        super().__init__()
        self.shape = choices[RECURRENT].shape
        self.model = LanguageModel(MixedNodes(choices[RECURRENT], size, batch_statistics), words, size, dropouts)

    def forward(self, tokens: Tensor, hidden: Tensor | None, weights: Mapping[str, Tensor]) -> Prediction:
        rows = weights[RECURRENT]
        if rows.shape != self.shape:
            raise CombinationError(
                f"a recurrent cell mixes {self.shape[1]} operations on {self.shape[0]} edges, and this mixing gives "
                f"weights of shape {tuple(rows.shape)}; take strategy/mixing=softmax"
            )
        shares = cast(MixedNodes, self.model.layer.nodes).shares(rows)
        prediction: Prediction = self.model(tokens, hidden, shares)
        return prediction
