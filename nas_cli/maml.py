"""Adaptation by gradient steps, and the gradient of what it leads to.

Reference: Finn, Abbeel, Levine, Model-Agnostic Meta-Learning, ICML 2017, arXiv:1703.03400, sec. 2.2 and 5.2 (first
order); Lian et al., Towards Fast Adaptation of Neural Architectures with Meta Learning, ICLR 2020, eqs. 3 to 6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_cli.descent import check_finite
from nas_cli.errors import require

#: Tensors by name.
Values = Mapping[str, Tensor]
#: From weights and architecture parameters to the loss of a task; the second is empty where there are none.
Loss = Callable[[Values, Values], Tensor]


@dataclass(frozen=True)
class Adaptation:
    """Plain gradient steps on a task's support set, without momentum or weight decay.

    Args:
        steps: in training. Paper's code: 5.
        test_steps: on a task of meta-test. Paper's code: 10.
        weight_rate: of the weights. Paper: 0.1 (its script: 0.01).
        architecture_rate: of the architecture parameters; 0: they stay. Paper: 30, because the gradients of a softmax
            of nearly equal logits are small.
        alternating: each step moves the weights, and then the parameters at the new weights (T-NAS eq. 3); else one
            gradient moves both (eq. 5, as published).
        second_order: the gradient in the start differentiates through the steps; else it is taken where they end
            (eq. 6, as published).
    Raises:
        InputError: an option below 0, or no step on a task of meta-test.
    """

    steps: int = 3
    test_steps: int = 6
    weight_rate: float = 0.1
    architecture_rate: float = 3.0
    alternating: bool = False
    second_order: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "weight_rate", "architecture_rate"):
            require(getattr(self, name) >= 0, f"{name} must be at least 0, not {getattr(self, name)}")
        require(self.test_steps >= 1, f"test_steps must be at least 1, not {self.test_steps}")

    def adapt(self, loss: Loss, weights: Values, parameters: Values, steps: int) -> tuple[Values, Values]:
        """Weights and parameters after so many steps; neither of the given ones is changed.

        The results are functions of the given tensors: exactly so with `second_order`, else as if every step had
        subtracted a constant, so that a gradient in the given ones is the one in the results.

        Args:
            loss: of the support set.
            weights, parameters: require a gradient.
        Raises `DivergedError` on a loss that is not finite.
        """
        for _ in range(steps):
            if self.alternating:
                (weights,) = self._step(loss, (weights, parameters), (self.weight_rate, None))
                (parameters,) = self._step(loss, (weights, parameters), (None, self.architecture_rate))
            else:
                weights, parameters = self._step(
                    loss, (weights, parameters), (self.weight_rate, self.architecture_rate)
                )
        return weights, parameters

    def _step(self, loss: Loss, both: tuple[Values, Values], rates: tuple[float | None, float | None]) -> list[Values]:
        """One gradient, and the groups that have a rate moved along it."""
        # Under new names, as it were: in the second half of an alternating step the weights are functions of the
        # parameters, and the gradient wanted is the partial one.
        weights, parameters = ({name: value.view_as(value) for name, value in values.items()} for values in both)
        moved = [(v, rate) for v, rate in zip((weights, parameters), rates, strict=True) if rate is not None]
        found = loss(weights, parameters)
        check_finite(found, "a loss of the inner loop")
        slopes = gradient(found, [value for values, _ in moved for value in values.values()], self.second_order)
        results = []
        for values, rate in moved:
            own, slopes = slopes[: len(values)], slopes[len(values) :]
            results.append(descend(values, own, rate))
        return results

    def meta_gradient(self, support: Loss, query: Loss, weights: Values, parameters: Values) -> list[Tensor]:
        """The gradient of the query loss after `steps` steps, in the weights and then in the parameters.

        Args:
            support, query: losses on the two parts of a task.
            weights, parameters: where the steps start; leaves that require a gradient, not changed.
        Raises `DivergedError` on a loss that is not finite.
        """
        found = query(*self.adapt(support, weights, parameters, self.steps))
        check_finite(found, "a query loss")
        return list(gradient(found, [*weights.values(), *parameters.values()], False))


def gradient(loss: Tensor, values: Sequence[Tensor], differentiable: bool) -> tuple[Tensor, ...]:
    """Of a loss, zero where it does not depend on a value."""
    if not values:
        return ()
    return torch.autograd.grad(loss, values, create_graph=differentiable, allow_unused=True, materialize_grads=True)


def descend(values: Values, slopes: Sequence[Tensor], rate: float) -> Values:
    """values - rate · slopes."""
    if not values:
        return values
    moved = torch._foreach_add(list(values.values()), list(slopes), alpha=-rate)
    return dict(zip(values, moved, strict=True))


def leaves(values: Values) -> Values:
    """Copies that share memory and have no history."""
    return {name: value.detach().requires_grad_() for name, value in values.items()}
