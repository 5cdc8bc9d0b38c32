"""What can be measured at the end of an epoch beyond what every search reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nas_cli.errors import require
from nas_cli.networks.choices import Nodes
from nas_cli.strategies.gradient.mixing import Progress
from nas_cli.strategies.gradient.relaxation import Relaxation


class Diagnostic(ABC):
    """Looks at a search at the end of some epochs, and changes nothing.

    Args:
        every: at the end of each so many epochs from the first, and of the last.
    """

    def __init__(self, every: int = 1) -> None:
        require(every >= 1, f"every must be at least 1, not {every}")
        self.every = every

    def due(self, progress: Progress) -> bool:
        """Whether this is an epoch to look at."""
        return progress.epoch % self.every == 0 or progress.epoch + 1 == progress.epochs

    @abstractmethod
    def measure(self, relaxation: Relaxation, cells: Mapping[str, Nodes]) -> dict[str, Any]:
        """Metrics by name. `cells` are those that would be derived now. Draws come from torch's current generator."""


class DerivedAccuracy(Diagnostic):
    """The derived cells judged with the supernet's weights: edges that are kept weigh 1, all others 0.

    Normalisation is measured anew on training batches. Reported as ``derived_…`` beside the supernet's own ``valid_…``;
    the difference of the accuracies is the discretisation gap.
    """

    def measure(self, relaxation: Relaxation, cells: Mapping[str, Nodes]) -> dict[str, Any]:
        return relaxation.shared.validate(relaxation.discrete_weights(cells), recalibrate=True).metrics("derived")


class Credit(Diagnostic):
    """R_ij = <∂L/∂x_j, Õ_ij(x_i)> of each edge on one batch: by how much the loss would change with the edge's weight.

    Reported as ``credit_<type of cell>``, summed over the cells of a type, one value for each edge.
    Reference: Xie, Zheng, Liu, Lin, SNAS, ICLR 2019, arXiv:1812.09926, sec. 2.3.
    """

    def measure(self, relaxation: Relaxation, cells: Mapping[str, Nodes]) -> dict[str, Any]:
        shared = relaxation.shared
        weights = {kind: rows.detach().requires_grad_() for kind, rows in relaxation.weights().items()}
        shared.network.train()
        buffers = {name: buffer.clone() for name, buffer in shared.network.named_buffers()}
        own = dict(shared.network.named_parameters())
        loss = shared.loss(shared.probe_batch(), weights, {**own, **buffers})
        slopes = torch.autograd.grad(loss, list(weights.values()), allow_unused=True, materialize_grads=True)
        return {
            f"credit_{kind}": self._of_edges((rows * slope).detach()[..., relaxation.mixing.scaling]).tolist()
            for (kind, rows), slope in zip(weights.items(), slopes, strict=True)
        }

    def _of_edges(self, parts: Tensor) -> Tensor:
        """(edges, columns), or of each cell (cells, edges, columns), summed to (edges,)."""
        return parts.sum(dim=-1) if parts.dim() == 2 else parts.sum(dim=(0, -1))
