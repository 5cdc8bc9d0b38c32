"""What rewards are compared with."""

from __future__ import annotations

from nas_cli.errors import require


class MovingAverage:
    """An exponential moving average of the rewards so far: b ← decay · b + (1 - decay) · R, from the first one on.

    Args:
        decay: NASNet: 0.95; Zoph & Le do not say.

    Reference: Zoph & Le, ICLR 2017, arXiv:1611.01578, sec. 3.2; Zoph et al., NASNet, CVPR 2018, arXiv:1707.07012.
    """

    def __init__(self, decay: float = 0.95) -> None:
        require(0 <= decay < 1, f"decay must be at least 0 and below 1, not {decay}")
        self.decay = decay
        self.value: float | None = None

    def advantages(self, rewards: list[float]) -> list[float]:
        """R - b of a batch, all with the b from before it; then the rewards are taken in, one by one.

        The very first reward is its own baseline, and that of its batch.
        """
        if self.value is None:
            self.value = rewards[0]
        found = [reward - self.value for reward in rewards]
        for reward in rewards:
            self.value = self.decay * self.value + (1 - self.decay) * reward
        return found
