"""Restricted Boltzmann machines: one-step contrastive divergence, one layer of a deep belief network at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nas_cli.descent import check_finite
from nas_cli.seeding import derive

CD_BATCH = 100


@dataclass
class Rbm:
    """Visible and hidden units, logistic both ways.

    Shape:
        weights: (visible, hidden); visible_biases: (visible,); hidden_biases: (hidden,)
    """

    weights: Tensor
    visible_biases: Tensor
    hidden_biases: Tensor

    def hidden(self, visible: Tensor) -> Tensor:
        """Probabilities (batch, hidden) of the hidden units."""
        return torch.sigmoid(torch.addmm(self.hidden_biases, visible, self.weights))

    def visible(self, hidden: Tensor) -> Tensor:
        """Probabilities (batch, visible) of the visible units."""
        return torch.sigmoid(torch.addmm(self.visible_biases, hidden, self.weights.T))

    def step(self, data: Tensor, rate: float, generator: torch.Generator) -> None:
        """One update by CD-1, along sums over the batch, not means.

        Args:
            data: (batch, visible), in [0, 1] where it stands for probabilities.
            generator: of the samples, on the device of the data.
        """
        first = self.hidden(data)
        fantasy = torch.bernoulli(self.visible(torch.bernoulli(first, generator=generator)), generator=generator)
        second = self.hidden(fantasy)
        self.weights += rate * (data.T @ first - fantasy.T @ second)
        self.visible_biases += rate * (data - fantasy).sum(dim=0)
        self.hidden_biases += rate * (first - second).sum(dim=0)


def pretrain(
    rbm: Rbm, inputs: Tensor, epochs: int, learning_rate: float, anneal_start: float, sample: bool, seed: int
) -> None:
    """Train a machine on inputs, in batches of 100.

    Args:
        rbm: changed in place.
        inputs: (n, visible); pixels, or the hidden probabilities of the layer below.
        epochs: passes over them.
        learning_rate: of the sums; times min(1, anneal_start / epoch), with epochs counted from 1.
        sample: draw the data of every batch as zeros and ones, with the inputs, cut to [0, 1], as probabilities.
        seed: of orders and samples.

    Raises `DivergedError` where weights become infinite.
    Reference: Bergstra, Bardenet, Bengio, Kégl, Algorithms for hyper-parameter optimization, NIPS 24, 2011, section 5;
        Hinton, Training products of experts by minimizing contrastive divergence, Neural Computation 2002.
    """
    generator = torch.Generator(inputs.device)
    for epoch in range(1, epochs + 1):
        generator.manual_seed(derive(seed, epoch))
        rate = learning_rate * min(1.0, anneal_start / epoch)
        order = torch.randperm(len(inputs), generator=generator, device=inputs.device)
        for batch in torch.split(order, CD_BATCH):
            data = inputs[batch]
            if sample:
                data = torch.bernoulli(data.clamp(0, 1), generator=generator)
            rbm.step(data, rate, generator)
    check_finite(rbm.weights.abs().sum(), "the sum of the weights of a restricted Boltzmann machine")
