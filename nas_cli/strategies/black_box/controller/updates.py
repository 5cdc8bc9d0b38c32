"""What a batch of rewards does to the policy."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from nas_cli.errors import require

#: A larger log-ratio counts as this: exp would make infinities of it, and NaN of their gradients.
LARGEST_LOG_RATIO = 20.0


class Update(ABC):
    """What is maximised, and how often a batch is gone over for it."""

    #: Steps of the optimiser with one batch.
    epochs: int = 1

    @abstractmethod
    def gain(self, log_prob: Tensor, before: Tensor, advantage: Tensor) -> Tensor:
        """What is maximised, of each sequence.

        Args:
            log_prob: log π(a) now, with gradients.
            before: log π(a) when the sequence was sampled.
            advantage: R - b.
        Shape:
            all (n,)
        """

    @torch.no_grad()
    def news(self, log_prob: Tensor, before: Tensor) -> dict[str, float]:
        """What a person wants to see of an epoch."""
        return {}


class Reinforce(Update):
    """(R - b) log π(a): the gradient that its expectation has, estimated from samples.

    Sequences are scored by the policy of the update. One that was sampled before an earlier update, as its judgement
    took long, is taken as it is, as from the replicas of Zoph & Le, whose gradients reach a policy that has moved on.

    Reference: Williams, Machine Learning 8, 1992; Zoph & Le, ICLR 2017, arXiv:1611.01578, sec. 3.2.
    """

    def gain(self, log_prob: Tensor, before: Tensor, advantage: Tensor) -> Tensor:
        return advantage * log_prob


class PPO(Update):
    """min(ρ A, clip(ρ, 1 - ε, 1 + ε) A) with ρ = π(a) / π_old(a) of whole sequences, for several epochs.

    π_old is the policy that sampled the sequence, however long ago.

    Args:
        clip: ε. The NASNet paper does not say; Schulman et al.: 0.2.
        epochs: steps with every batch. The NASNet paper does not say.

    Reference: Schulman et al., arXiv:1707.06347, eq. 7; Zoph et al., NASNet, CVPR 2018, arXiv:1707.07012, app. A.3.
    """

    def __init__(self, clip: float = 0.2, epochs: int = 4) -> None:
        require(0 < clip < 1, f"clip must be between 0 and 1, not {clip}")
        require(epochs >= 1, f"epochs must be at least 1, not {epochs}")
        self.clip = clip
        self.epochs = epochs

    def gain(self, log_prob: Tensor, before: Tensor, advantage: Tensor) -> Tensor:
        ratio = _ratio(log_prob, before)
        return torch.minimum(ratio * advantage, ratio.clamp(1 - self.clip, 1 + self.clip) * advantage)

    @torch.no_grad()
    def news(self, log_prob: Tensor, before: Tensor) -> dict[str, float]:
        """The mean of ρ, and the share of sequences whose ρ is beyond the clip."""
        ratio = _ratio(log_prob, before)
        return {"ratio": float(ratio.mean()), "clipped": float(((ratio - 1).abs() > self.clip).double().mean())}


def _ratio(log_prob: Tensor, before: Tensor) -> Tensor:
    return (log_prob - before).clamp(max=LARGEST_LOG_RATIO).exp()
