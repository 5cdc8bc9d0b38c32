"""Kernels on decisions one by one: how many of them differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical
from nas_cli.strategies.black_box.bo.kernels.base import Covariance, Kernel
from nas_cli.strategies.black_box.bo.kernels.features import ExponentialCovariance, FeatureTable


def require_categorical(space: Space, kernel: str) -> None:
    """Raise `CombinationError` for a space with a number among its decisions."""
    for decision in space.decisions:
        if not isinstance(decision, Categorical):
            raise CombinationError(
                f"strategy/kernel={kernel} with space={space.name}: it asks whether choices are equal, and "
                f"{decision.name} is a number"
            )


def decided(space: Space, architecture: Architecture) -> Counter[Hashable]:
    """Each decision with its value."""
    return Counter(enumerate(space.encode(architecture)))


class Hamming(Kernel):
    """k = exp(-H / (D l)): H of the D decisions differ. The categorical kernel with one length scale for all."""

    def on(self, space: Space) -> Covariance:
        require_categorical(space, "hamming")
        table = FeatureTable(lambda architecture: [decided(space, architecture)])
        return ExponentialCovariance(table, unit=2.0 * len(space.decisions))  # each difference counts on both sides
