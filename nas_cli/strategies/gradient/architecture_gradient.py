"""How one step moves the architecture and the weights.

Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, sec. 2.3 and algorithm 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from nas_cli.errors import require
from nas_cli.estimators.shared_weights import Batch, EdgeWeights, SharedWeights, Tallied
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient.relaxation import Relaxation


class ArchitectureGradient(ABC):
    """Draws the batches of a step, and moves architecture and weights once."""

    @abstractmethod
    def step(self, relaxation: Relaxation) -> Tallied:
        """Take the step; returns the tally of the weights' batch.

        Raises `DivergedError` on a loss that is not finite.
        """


class FirstOrder(ArchitectureGradient):
    """∇_α L_val(w, α): the weights are taken as they are (ξ = 0).

    Args:
        weights_first: whether the weights move before the architecture. DARTS: no; GDAS and NAS-Bench-201: yes.
    """

    def __init__(self, weights_first: bool = False) -> None:
        self.weights_first = weights_first

    def step(self, relaxation: Relaxation) -> Tallied:
        return alternate(relaxation, self.slopes, self.weights_first)

    def slopes(self, shared: SharedWeights, weights: EdgeWeights, train: Batch, held_out: Batch) -> dict[str, Tensor]:
        """The gradient of the validation loss in the edge weights, which are leaves."""
        return _slopes(shared.loss(held_out, weights), weights)


class SecondOrder(ArchitectureGradient):
    """The gradient through one step of the weights, eqs. 6 to 8.

    ∇_α L_val(w', α) - ξ ∇²_{α,w} L_train(w, α) ∇_{w'} L_val(w', α), with w' = w - ξ (μ b + ∇_w L_train + λ w), where
    ξ is the learning rate of the weights, b their momentum buffer (0 before the first step) and λ their weight decay.

    Args:
        product: how the product with the mixed second derivative is had: ``finite_difference`` (eq. 8, as published)
            or ``exact``, by differentiating through the step. The two agree on smooth networks only: finite
            differences see the kinks of ReLU and max-pooling, exact derivatives do not.
        epsilon: the finite difference moves the weights by this much in norm. Paper: 0.01. Its two losses are computed
            in float32 whatever the run's precision.
        gradient_clip: bound of the norm of both gradients in the look-ahead, or None. Paper: 0.25 for the recurrent
            cell, none for images.
    """

    def __init__(
        self,
        product: Literal["finite_difference", "exact"] = "finite_difference",
        epsilon: float = 0.01,
        gradient_clip: float | None = None,
    ) -> None:
        require(epsilon > 0, f"epsilon must be above 0, not {epsilon}")
        require(gradient_clip is None or gradient_clip > 0, f"gradient_clip must be above 0, not {gradient_clip}")
        self.product = product
        self.epsilon = epsilon
        self.gradient_clip = gradient_clip

    def step(self, relaxation: Relaxation) -> Tallied:
        return alternate(relaxation, self.slopes)

    def slopes(self, shared: SharedWeights, weights: EdgeWeights, train: Batch, held_out: Batch) -> dict[str, Tensor]:
        """The gradient in the edge weights, which are leaves and do not depend on the supernet's weights."""
        names, own = zip(*shared.network.named_parameters(), strict=True)
        # The weights are never touched, and the running statistics that these forward passes move are a copy's.
        buffers = {name: buffer.clone() for name, buffer in shared.network.named_buffers()}

        # All losses see the same noise (drop-path, operations that draw): differences of them would else be of two
        # functions, and eq. 8 divides these by a small number.
        noise = int(torch.randint(2**31, ()))

        def loss(batch: Batch, values: Sequence[Tensor], full_precision: bool = False) -> Tensor:
            with seeded(noise):
                return shared.loss(batch, weights, {**dict(zip(names, values, strict=True)), **buffers}, full_precision)

        exact = self.product == "exact"
        gradient = torch.autograd.grad(loss(train, own), own, create_graph=exact, allow_unused=True)
        factor = self._factor(gradient)
        ahead = look_ahead(shared.optimizer, own, [None if slope is None else factor * slope for slope in gradient])
        if exact:
            return _slopes(loss(held_out, ahead), weights)

        ahead = [value.detach().requires_grad_() for value in ahead]
        edges = list(weights.values())
        found = torch.autograd.grad(loss(held_out, ahead), [*edges, *ahead], allow_unused=True, materialize_grads=True)
        direct, direction = found[: len(edges)], found[len(edges) :]
        norm = _norm(direction)
        if norm == 0:  # then so is the product, and there is no direction to move in
            return dict(zip(weights, direct, strict=True))
        # The clipped direction times its own step is the same move; what is left of the clipping is its length.
        length = self._factor(direction)
        step = self.epsilon / norm
        # Spread over all weights, epsilon is below the resolution of bfloat16.
        plus, minus = (
            _slopes(loss(train, _moved(own, direction, sign * step), full_precision=True), weights) for sign in (1, -1)
        )
        rate = shared.optimizer.param_groups[0]["lr"] * factor * length
        return {
            kind: slope - rate * (plus[kind] - minus[kind]) / (2 * step)
            for kind, slope in zip(weights, direct, strict=True)
        }

    def _factor(self, gradient: Sequence[Tensor | None]) -> Tensor | float:
        """κ = min(1, clip / ‖g‖), by which clipping scales a gradient."""
        if self.gradient_clip is None:
            return 1.0
        return (self.gradient_clip / (_norm(gradient).detach() + 1e-6)).clamp(max=1.0)


class SingleLevel(ArchitectureGradient):
    """Architecture and weights descend the same loss on the same batch, in one backward pass.

    Reference: Xie, Zheng, Liu, Lin, SNAS, ICLR 2019, arXiv:1812.09926, sec. 2.
    """

    def step(self, relaxation: Relaxation) -> Tallied:
        shared = relaxation.shared
        batch = shared.train_batch()
        shared.network.train()
        shared.optimizer.zero_grad(set_to_none=True)
        relaxation.optimizer.zero_grad(set_to_none=True)
        weights = relaxation.weights()
        tally = shared.backward(batch, weights, relaxation.penalty(weights))
        shared.update()
        relaxation.move()
        return tally


def alternate(
    relaxation: Relaxation,
    slopes: Callable[[SharedWeights, EdgeWeights, Batch, Batch], Mapping[str, Tensor]],
    weights_first: bool = False,
) -> Tallied:
    """A step of the parameters on a held-out batch and one of the weights on a training batch.

    Args:
        slopes: from (shared weights, edge weights as leaves, training batch, held-out batch) to the gradient in the
            edge weights.
        weights_first: whether the weights move first.
    """
    shared = relaxation.shared
    train, held_out = shared.train_batch(), shared.held_out_batch()
    tally = shared.weight_step(train, relaxation.weights()) if weights_first else None
    weights = relaxation.weights()
    leaves = {kind: rows.detach().requires_grad_() for kind, rows in weights.items()}
    shared.network.train()
    relaxation.move(relaxation.gradient(weights, slopes(shared, leaves, train, held_out)))
    return shared.weight_step(train, relaxation.weights()) if tally is None else tally


def look_ahead(
    optimizer: torch.optim.SGD, weights: Sequence[Tensor], gradient: Sequence[Tensor | None]
) -> list[Tensor]:
    """Where the optimiser's next step would take the weights: w - ξ (μ b + g + λ w); nothing is changed.

    A weight without a gradient (of an operation that was not run) stays, as the optimiser leaves it.
    """
    group = optimizer.param_groups[0]
    ahead = []
    for weight, slope in zip(weights, gradient, strict=True):
        if slope is None:
            ahead.append(weight)
            continue
        buffer = optimizer.state.get(weight, {}).get("momentum_buffer")
        slope = slope + group["weight_decay"] * weight
        if buffer is not None:
            slope = slope + group["momentum"] * buffer
        ahead.append(weight - group["lr"] * slope)
    return ahead


def _slopes(loss: Tensor, weights: EdgeWeights) -> dict[str, Tensor]:
    found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(weights, found, strict=True))


def _norm(tensors: Sequence[Tensor | None]) -> Tensor:
    """One norm over all that there are."""
    given = [tensor for tensor in tensors if tensor is not None]
    found: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(given)))
    return found


def _moved(weights: Sequence[Tensor], direction: Sequence[Tensor], step: Tensor) -> list[Tensor]:
    """weights + step · direction, without a graph."""
    return [weight.detach() + step * d for weight, d in zip(weights, direction, strict=True)]
