"""A network on one few-shot task: its losses on support and queries as functions of its weights."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nas_cli.data.episodes import Episode
from nas_cli.hardware import Hardware
from nas_cli.maml import Values
from nas_cli.tally import Tally

Normalisation = Literal["transductive", "running"]


class Task:
    """The losses of one task, to be handed to `nas_cli.maml.Adaptation`. The network itself is never changed.

    Args:
        network: whose weights are replaced in every call.
        episode: support and queries.
        hardware: for its precision.
        normalisation: of the queries: by their own statistics, or by the running ones of this task.
        edge_weights: from architecture parameters to the edge weights of a supernet; None for a network without.
    Attributes:
        buffers: running statistics, which begin as the network's and move with each forward pass in training mode.
        tally: of the queries.
    """

    def __init__(
        self,
        network: nn.Module,
        episode: Episode,
        hardware: Hardware,
        normalisation: Normalisation,
        edge_weights: Callable[[Values], Values] | None = None,
    ) -> None:
        self.buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        self.tally = Tally()
        self._network, self._episode, self._hardware = network, episode, hardware
        self._normalisation, self._edge_weights = normalisation, edge_weights

    def support(self, weights: Values, parameters: Values) -> Tensor:
        """The mean cross entropy on the support set, normalised by its own statistics."""
        self._set_training(True)
        images, labels = self._episode.support
        return F.cross_entropy(self._logits(images, weights, parameters), labels)

    def query(self, weights: Values, parameters: Values) -> Tensor:
        """The mean cross entropy on the queries, which are counted in `tally`."""
        self._set_training(self._normalisation == "transductive")
        images, labels = self._episode.query
        logits = self._logits(images, weights, parameters)
        loss = F.cross_entropy(logits, labels)
        self.tally += Tally.of(loss.detach(), logits.detach(), labels)
        return loss

    def _set_training(self, training: bool) -> None:
        if self._network.training != training:  # to walk through all modules takes a tenth of a small network's time
            self._network.train(training)

    def _logits(self, images: Tensor, weights: Values, parameters: Values) -> Tensor:
        call = (images,) if self._edge_weights is None else (images, self._edge_weights(parameters))
        with self._hardware.autocast():
            logits: Tensor = functional_call(self._network, {**weights, **self.buffers}, call)
        return logits if logits.dtype == torch.float64 else logits.float()


def mean_buffers(tasks: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Running statistics over several tasks; counters, which are equal in all, are taken from the first."""
    return {
        name: torch.stack([task[name] for task in tasks]).mean(0) if value.is_floating_point() else value
        for name, value in tasks[0].items()
    }


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half the width of its 95 % confidence interval: 1.96 σ / √n."""
    if len(values) == 1:
        return values[0], 0.0
    return statistics.fmean(values), 1.96 * statistics.stdev(values) / math.sqrt(len(values))
