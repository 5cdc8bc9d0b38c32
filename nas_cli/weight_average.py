"""The moving average of a network's weights, which some recipes test in the place of the last ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Weights and running statistics, averaged exponentially; what counts batches is none of them.

    Args:
        network: its weights are averaged.
        decay: of the average; of n steps at most (1 + n) / (10 + n), that the beginning is forgotten.
    Attributes:
        values: the average by name.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.values = {name: value.clone() for name, value in self._moving()}

    def _moving(self) -> list[tuple[str, Tensor]]:
        return [(name, value) for name, value in self.network.state_dict().items() if value.is_floating_point()]

    @torch.no_grad()
    def move(self, steps: int) -> None:
        """Towards the network's weights as they are after so many steps."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        for name, value in self._moving():
            self.values[name].lerp_(value, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network with the average as its weights; afterwards its own are back."""
        own = {name: value.clone() for name, value in self._moving()}
        self.network.load_state_dict(self.values, strict=False)
        try:
            yield
        finally:
            self.network.load_state_dict(own, strict=False)

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Go back to a saved average, on this network's device."""
        self.values = {name: values[name].to(value.device) for name, value in self.values.items()}
