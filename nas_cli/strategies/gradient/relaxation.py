"""The relaxed problem: a supernet, and the architecture parameters that weigh its edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nas_cli.descent import check_finite
from nas_cli.estimators.shared_weights import EdgeWeights, SharedWeights
from nas_cli.networks.choices import CellChoices, Nodes
from nas_cli.strategies.gradient.mixing import Mixing, Progress
from nas_cli.strategies.gradient.optimizers import ArchitectureOptimizer
from nas_cli.strategies.gradient.regularisers import Regulariser


class Relaxation:
    """Weights and architecture parameters of one stage of a search, and how the parameters move.

    Args:
        shared: the supernet, begun.
        mixing: from parameters to edge weights.
        choices: what the supernet leaves open.
        regularisers: penalties and noise.
        optimizer: of the parameters.
        gradient_clip: bound of the norm of the parameters' gradient, or None.

    Draws the initial parameters from torch's current generator.
    """

    def __init__(
        self,
        shared: SharedWeights,
        mixing: Mixing,
        choices: CellChoices,
        regularisers: Sequence[Regulariser],
        optimizer: ArchitectureOptimizer,
        gradient_clip: float | None,
    ) -> None:
        device = shared.hardware.device
        self.shared = shared
        self.mixing = mixing
        self.choices = choices
        self.regularisers = regularisers
        self.parameters = {name: value.to(device).requires_grad_() for name, value in mixing.initial(choices).items()}
        self.fixed = {name: value.to(device) for name, value in mixing.fixed(choices).items()}
        self.optimizer = optimizer(self.parameters.values())
        self.gradient_clip = gradient_clip

    @property
    def values(self) -> dict[str, Tensor]:
        """Parameters, and what stands fixed beside them."""
        return {**self.parameters, **self.fixed}

    def set_progress(self, progress: Progress) -> None:
        """Tell all parts the epoch."""
        self.mixing.set_progress(progress)
        for regulariser in self.regularisers:
            regulariser.set_progress(self.shared.network, progress)

    def weights(self) -> dict[str, Tensor]:
        """Edge weights for a training step."""
        return self.mixing.weights(self.values)

    def discrete_weights(self, cells: Mapping[str, Nodes]) -> dict[str, Tensor]:
        """Edge weights that make the supernet compute these cells."""
        found = self.mixing.discrete_weights(self.choices, cells)
        return {kind: rows.to(self.shared.hardware.device) for kind, rows in found.items()}

    def penalty(self, weights: EdgeWeights) -> Tensor | None:
        """The sum of the regularisers' penalties, if any has one. Raises `DivergedError` where it is not finite."""
        found = [regulariser.penalty(self, weights) for regulariser in self.regularisers]
        given = [value for value in found if value is not None]
        if not given:
            return None
        total = torch.stack(given).sum()
        check_finite(total, "the penalty of the architecture")
        return total

    def gradient(self, weights: EdgeWeights, slopes: Mapping[str, Tensor]) -> list[Tensor]:
        """The gradient in the parameters, of the loss and of the penalties.

        Args:
            weights: made by `weights`.
            slopes: the gradient of the loss in them.
        """
        outputs, seeds = list(weights.values()), [slopes[kind] for kind in weights]
        penalty = self.penalty(weights)
        if penalty is not None:
            outputs, seeds = [*outputs, penalty], [*seeds, torch.ones_like(penalty)]
        parameters = list(self.parameters.values())
        return list(torch.autograd.grad(outputs, parameters, seeds, allow_unused=True, materialize_grads=True))

    def move(self, gradient: Sequence[Tensor] | None = None) -> None:
        """Step the parameters along a gradient, or along the one that stands in them."""
        if gradient is not None:
            for parameter, slope in zip(self.parameters.values(), gradient, strict=True):
                parameter.grad = slope
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.parameters.values(), self.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def probabilities(self) -> dict[str, Tensor]:
        """How likely each operation is, for each type of cell (edges, operations)."""
        return {kind: rows.detach() for kind, rows in self.mixing.probabilities(self.values).items()}

    def strengths(self) -> dict[str, Tensor]:
        """What cells are derived from, for each type of cell (edges, operations)."""
        return self.mixing.strengths(self.values)

    def state_dict(self) -> dict[str, Any]:
        """Supernet, parameters and both optimisers."""
        return {
            "shared": self.shared.state_dict(),
            "values": {name: value.detach() for name, value in self.values.items()},
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.shared.load_state_dict(state["shared"])
        with torch.no_grad():
            for name, value in self.values.items():
                value.copy_(state["values"][name])
        self.optimizer.load_state_dict(state["optimizer"])
