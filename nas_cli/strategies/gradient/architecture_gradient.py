"""The gradient of the validation loss in the architecture parameters.

Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, sec. 2.3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import functional_call

from nas_cli.errors import require
from nas_cli.estimators.shared_weights import Batch, SharedWeights
from nas_cli.strategies.gradient.mixing import Mixing
from nas_cli.training import check_finite


class ArchitectureGradient(ABC):
    """Computes one gradient; changes neither weights nor parameters."""

    @abstractmethod
    def __call__(
        self, shared: SharedWeights, mixing: Mixing, parameters: Mapping[str, Tensor], train: Batch, held_out: Batch
    ) -> list[Tensor]:
        """The gradient, one tensor for each parameter.

        Args:
            shared: the supernet, its loss and its optimiser.
            mixing: from parameters to edge weights.
            parameters: leaves that require a gradient.
            train: the batch of the coming weight step.
            held_out: the batch of the architecture.

        Raises `DivergedError` on a loss that is not finite.
        """


class FirstOrder(ArchitectureGradient):
    """∇_α L_val(w, α): the weights are taken as they are (ξ = 0)."""

    def __call__(
        self, shared: SharedWeights, mixing: Mixing, parameters: Mapping[str, Tensor], train: Batch, held_out: Batch
    ) -> list[Tensor]:
        images, labels = held_out
        shared.network.train()
        loss = shared.loss(shared.forward(images, mixing.weights(parameters)), labels)
        check_finite(loss, "the validation loss of the architecture step")
        return list(torch.autograd.grad(loss, list(parameters.values())))


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
    """

    def __init__(
        self, product: Literal["finite_difference", "exact"] = "finite_difference", epsilon: float = 0.01
    ) -> None:
        require(epsilon > 0, f"epsilon must be above 0, not {epsilon}")
        self.product = product
        self.epsilon = epsilon

    def __call__(
        self, shared: SharedWeights, mixing: Mixing, parameters: Mapping[str, Tensor], train: Batch, held_out: Batch
    ) -> list[Tensor]:
        shared.network.train()
        alphas = list(parameters.values())
        names, weights = zip(*shared.network.named_parameters(), strict=True)
        # The weights are never touched, and the running statistics that these forward passes move are a copy's.
        buffers = {name: buffer.clone() for name, buffer in shared.network.named_buffers()}

        def loss(values: Sequence[Tensor], batch: Batch, full_precision: bool = False) -> Tensor:
            images, labels = batch
            call = (images, mixing.weights(parameters))
            with nullcontext() if full_precision else shared.hardware.autocast():
                logits = functional_call(shared.network, {**dict(zip(names, values, strict=True)), **buffers}, call)
            found = shared.loss(logits, labels)
            check_finite(found, "a loss of the architecture step")
            return found

        exact = self.product == "exact"
        train_gradient = torch.autograd.grad(loss(weights, train), weights, create_graph=exact)
        ahead = look_ahead(shared.optimizer, weights, train_gradient)
        if exact:
            return list(torch.autograd.grad(loss(ahead, held_out), alphas))

        ahead = [value.detach().requires_grad_() for value in ahead]
        *direct, direction = _split(torch.autograd.grad(loss(ahead, held_out), [*alphas, *ahead]), len(alphas))
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(direction)))
        if norm == 0:  # then so is the product, and there is no direction to move in
            return direct
        step = self.epsilon / norm
        # Spread over all weights, epsilon is below the resolution of bfloat16.
        plus, minus = (
            torch.autograd.grad(loss(_moved(weights, direction, sign * step), train, full_precision=True), alphas)
            for sign in (1, -1)
        )
        rate = shared.optimizer.param_groups[0]["lr"]
        return [g - rate * (p - m) / (2 * step) for g, p, m in zip(direct, plus, minus, strict=True)]


def look_ahead(optimizer: torch.optim.SGD, weights: Sequence[Tensor], gradient: Sequence[Tensor]) -> list[Tensor]:
    """Where the optimiser's next step would take the weights: w - ξ (μ b + g + λ w); nothing is changed."""
    group = optimizer.param_groups[0]
    ahead = []
    for weight, slope in zip(weights, gradient, strict=True):
        buffer = optimizer.state.get(weight, {}).get("momentum_buffer")
        slope = slope + group["weight_decay"] * weight
        if buffer is not None:
            slope = slope + group["momentum"] * buffer
        ahead.append(weight - group["lr"] * slope)
    return ahead


def _moved(weights: Sequence[Tensor], direction: Sequence[Tensor], step: Tensor) -> list[Tensor]:
    """weights + step · direction, without a graph."""
    return [weight.detach() + step * d for weight, d in zip(weights, direction, strict=True)]


def _split(gradients: Sequence[Tensor], count: int) -> list[Any]:
    return [*gradients[:count], list(gradients[count:])]
