"""What MAML++ learns beside the initial weights: inner rates of its own for each layer and step, and norms per step.

Reference: Antoniou, Edwards, Storkey, How to Train Your MAML, ICLR 2019, arXiv:1810.09502, sec. 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nas_cli.descent import check_finite
from nas_cli.maml import Values, gradient
from nas_cli.task import Task


class Learner:
    """A network's weights and how they adapt; all of it in `meta`, for the outer optimiser.

    Args:
        network: gives the initial weights; its own are learnt.
        steps: M, inner steps in training. A later step on a test task takes what the last of them learnt.
        rate: of the inner steps, in the beginning.
        learn_rates: whether every parameter learns a rate for each step; else `rate` stays (plain MAML).
        step_norms: whether scale and shift of every normalisation are learnt for each step, and then not adapted;
            else they are adapted like all other weights (plain MAML).
    """

    def __init__(self, network: nn.Module, steps: int, rate: float, learn_rates: bool, step_norms: bool) -> None:
        norms = _norm_parameters(network) if step_norms else set()
        self._steps, self._rate = steps, rate
        self._weights: dict[str, Tensor] = {
            name: value for name, value in network.named_parameters() if name not in norms
        }
        self._norms = {
            name: value.detach().repeat(steps, 1).requires_grad_()
            for name, value in network.named_parameters()
            if name in norms
        }
        self._rates = {
            name: torch.full((steps,), rate, dtype=value.dtype, device=value.device).requires_grad_()
            for name, value in self._weights.items()
            if learn_rates
        }

    @property
    def meta(self) -> list[Tensor]:
        """All that is learnt over tasks."""
        return [*self._weights.values(), *self._norms.values(), *self._rates.values()]

    def adapted(self, task: Task, steps: int, second_order: bool) -> Iterator[Values]:
        """The weights after each of so many steps, ready for the queries; functions of `meta`.

        Args:
            second_order: whether they are exactly so, or as if each step had subtracted rate times a constant.
        Raises `DivergedError` on a loss that is not finite.
        """
        weights: dict[str, Tensor] = dict(self._weights)
        for step in range(steps):
            place = min(step, self._steps - 1)
            norms = {name: values[place] for name, values in self._norms.items()}
            loss = task.support({**weights, **norms}, {})
            check_finite(loss, "a loss of the inner loop")
            slopes = gradient(loss, list(weights.values()), second_order)
            weights = {
                name: value - (self._rates[name][place] if self._rates else self._rate) * slope
                for (name, value), slope in zip(weights.items(), slopes, strict=True)
            }
            yield {**weights, **norms}

    def state_dict(self) -> dict[str, Any]:
        """All that `meta` holds, by name."""
        return {
            part: {name: value.detach() for name, value in values.items()} for part, values in self._parts().items()
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        for part, values in self._parts().items():
            for name, value in values.items():
                value.copy_(state[part][name])

    def _parts(self) -> dict[str, dict[str, Tensor]]:
        return {"weights": self._weights, "norms": self._norms, "rates": self._rates}


def step_weights(steps: int, epoch: int, annealing: int) -> list[float]:
    """How much the query loss after each inner step counts: all the same at first, in the end almost only the last.

    Args:
        steps: M.
        epoch: from 0.
        annealing: E₀, over so many epochs the others fall from 1 / M towards 0; each keeps 3 % of that. 0: only the
            last counts (plain MAML).
    """
    if annealing == 0:
        return [0.0] * (steps - 1) + [1.0]
    fall = epoch / (steps * annealing)
    others = max(1 / steps - fall, 0.03 / steps)
    last = min(1 / steps + fall * (steps - 1), 1 - 0.03 * (steps - 1) / steps)
    return [others] * (steps - 1) + [last]


def _norm_parameters(network: nn.Module) -> set[str]:
    return {
        f"{name}.{parameter}"
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for parameter, _ in module.named_parameters()
    }
