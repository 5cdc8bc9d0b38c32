"""Automatic relevance determination: a prior variance for every switch, learnt, and pruning by it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nas_cli.errors import CombinationError, require
from nas_cli.estimators.shared_images import SharedImageWeights
from nas_cli.estimators.shared_weights import EdgeWeights, SharedWeights
from nas_cli.strategies.gradient.curvature import Curvature, check_layers, fisher, recursive
from nas_cli.strategies.gradient.laplace import ZERO_ENTROPY, best_variance, chained, evidence_slope, under
from nas_cli.strategies.gradient.mixing import Mixing, Progress
from nas_cli.strategies.gradient.regularisers import Regulariser
from nas_cli.strategies.gradient.relaxation import Relaxation
from nas_cli.strategies.gradient.switches import ALIVE, OMEGA, VARIANCE, Switches

#: Added under the square root of a norm, so that it has a gradient at 0.
SMOOTHING = 1e-12
CURVATURES: dict[str, Curvature] = {"recursive": recursive, "fisher": fisher}


class Ard(Regulariser):
    """An iteratively re-weighted group penalty on the switches; those whose prior has no entropy are pruned.

    Raises the loss by λ Σ ω ‖s‖, the norm over all cells of a type. At the end of a round the variances γ and the
    weights ω are estimated anew: γ = ‖s‖ / ω of edges, then of operations, which inherit from their edge. What has
    entropy ½ ln(2πe γ) ≤ 0 is off from then on, and so is an operation without its edge, an edge without operations,
    and whatever has no effect on the loss, to which the formula would give an infinite variance.

    Args:
        lambda_edge: λ of the edges. Paper: 0.005, 0.007 or 0.01.
        lambda_op: λ of the operations; None: the same.
        hierarchy: what a variance inherits: ``edge_op``: operations from their edge (released code); ``chain``: edges
            also from those that enter their source (the rule of the paper's text).
        hessian: how the curvature is had: the diagonal ``recursive`` through the layers (paper), or ``fisher``, which
            keeps what the recursion leaves out. Both in evaluation mode.
        batches: of held-out images that it is measured on.
        epochs_per_round: a round ends after so many epochs, and with the search. Paper: 1, and one round.
        threshold: a variance up to this is pruned; 1 / (2πe) is an entropy of 0.
    Reference: Zhou, Yang, Wang, Pan, BayesNAS, ICML 2019, arXiv:1905.04919, sec. 3 and 4 and algorithm 1.
    """

    def __init__(
        self,
        lambda_edge: float = 0.05,
        lambda_op: float | None = None,
        hierarchy: Literal["edge_op", "chain"] = "edge_op",
        hessian: Literal["recursive", "fisher"] = "recursive",
        batches: int = 3,
        epochs_per_round: int = 3,
        threshold: float = ZERO_ENTROPY,
    ) -> None:
        require(lambda_edge > 0, f"lambda_edge must be above 0, not {lambda_edge}")
        require(lambda_op is None or lambda_op > 0, f"lambda_op must be above 0 or null, not {lambda_op}")
        require(batches >= 1, f"batches must be at least 1, not {batches}")
        require(epochs_per_round >= 1, f"epochs_per_round must be at least 1, not {epochs_per_round}")
        require(threshold > 0, f"threshold must be above 0, not {threshold}")
        self.lambda_edge = lambda_edge
        self.lambda_op = lambda_edge if lambda_op is None else lambda_op
        self.hierarchy = hierarchy
        self.hessian = hessian
        self.batches = batches
        self.epochs_per_round = epochs_per_round
        self.threshold = threshold
        self._checked: nn.Module | None = None

    def check(self, mixing: Mixing, shared: SharedWeights) -> None:
        if not isinstance(mixing, Switches):
            raise CombinationError(
                f"regulariser ard moves the variances of strategy/mixing=switches, which {type(mixing).__name__} lacks"
            )
        if not isinstance(shared, SharedImageWeights):
            raise CombinationError(
                f"regulariser ard measures curvature in a supernet for images, not in that of {type(shared).__name__}"
            )

    def set_progress(self, network: nn.Module, progress: Progress) -> None:
        if self.hessian == "recursive" and network is not self._checked:
            check_layers(network)
            self._checked = network

    def penalty(self, relaxation: Relaxation, weights: EdgeWeights) -> Tensor | None:
        terms = [
            (self._lambdas(rows) * relaxation.fixed[OMEGA + kind] * (rows.square().sum(dim=0) + SMOOTHING).sqrt()).sum()
            for kind, rows in weights.items()
        ]
        return torch.stack(terms).sum()

    def end_epoch(self, relaxation: Relaxation, progress: Progress) -> dict[str, float]:
        epoch = progress.epoch + 1
        ends = epoch % self.epochs_per_round == 0 or epoch == progress.epochs
        if ends and not progress.frozen:  # before a switch has moved there is nothing to estimate from
            for kind, rows in self._curvature(relaxation).items():
                self._estimate(relaxation, kind, rows)
        return {
            f"alive_{kind}": int(relaxation.fixed[ALIVE + kind][:, :-1].sum().item()) for kind in relaxation.choices
        }

    def _lambdas(self, like: Tensor) -> Tensor:
        """λ of each column, (operations + 1,)."""
        found = like.new_full(like.shape[-1:], self.lambda_op)
        found[-1] = self.lambda_edge
        return found

    def _curvature(self, relaxation: Relaxation) -> dict[str, Tensor]:
        """h of every switch, (cells of the type, edges, operations + 1), by type of cell."""
        shared, weights = relaxation.shared, relaxation.weights()
        shared.network.eval()
        total = {kind: torch.zeros_like(rows, requires_grad=False) for kind, rows in weights.items()}
        for _ in range(self.batches):
            images, _ = shared.probe_batch()
            for kind, rows in CURVATURES[self.hessian](shared.network, images, weights).items():
                total[kind] += rows / self.batches
        return total

    @torch.no_grad()
    def _estimate(self, relaxation: Relaxation, kind: str, curvature: Tensor) -> None:
        """Variances and ω of one type of cell anew: edges first, and operations under them."""
        switches = relaxation.parameters[kind]
        variance, omega, alive = (relaxation.fixed[prefix + kind] for prefix in (VARIANCE, OMEGA, ALIVE))
        slope = evidence_slope(curvature / self._lambdas(curvature), variance)
        has_effect = slope > 0
        found, weight = best_variance(switches * alive, slope)
        found = torch.where(has_effect, found, 0)
        edges = found[:, -1]
        if self.hierarchy == "chain":
            edges = chained(edges, relaxation.choices[kind].edges)
        found = torch.cat([under(found[:, :-1], edges[:, None]), edges[:, None]], dim=1)

        on = alive.bool()
        kept = on & has_effect & (found > self.threshold)
        kept[:, :-1] &= kept[:, -1:]  # their variances are below the edge's anyway, but for rounding
        kept[:, -1] &= kept[:, :-1].any(dim=1)
        # What is pruned keeps its last variance, as far as it is below the threshold: a cell that must be repaired
        # takes the largest.
        last = torch.where(has_effect, found, variance).clamp(max=self.threshold)
        variance.copy_(torch.where(on, torch.where(kept, found, last), variance))
        omega.copy_(torch.where(kept, weight, omega))
        alive.copy_(kept)
        switches *= kept
