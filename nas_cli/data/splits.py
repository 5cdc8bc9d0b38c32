"""A search's two parts of the training images, with the same share of each class."""

from __future__ import annotations

import numpy as np

from nas_cli.data.base import Source
from nas_cli.errors import InputError, require

ORDER_SEED = 0  # of the fixed permutation: every run is about the same two parts


def split_by_class(
    name: str, train: Source, labels: list[int], fraction: float, share: float = 1.0
) -> tuple[Source, Source]:
    """Two disjoint parts of the training images.

    Args:
        name: of the data set.
        train: n images.
        labels: of these, in their order.
        fraction: of the images of both parts that the first has.
        share: of each class's images that both parts have together. PC-DARTS on ImageNet takes 10 % of them for weights
            and 2.5 % for the architecture: share 0.125 and fraction 0.8.
    Raises:
        InputError: fraction is not between 0 and 1, or a part would be empty.
    """
    require(0 < fraction < 1, f"fraction={fraction} of the training images for weights: must be between 0 and 1")
    # RandomState, because numpy promises that its stream never changes; a Generator's may.
    order = np.random.RandomState(ORDER_SEED).permutation(len(labels))
    numbers = np.array(labels)
    by_class = order[np.argsort(numbers[order], kind="stable")]
    first, second = [], []
    for members in np.split(by_class, np.cumsum(np.bincount(numbers))[:-1]):
        border, end = round(len(members) * share * fraction), round(len(members) * share)
        first += members[:border].tolist()
        second += members[border:end].tolist()
    if not (first and second):
        raise InputError(
            f"dataset {name}: {share:.4g} of {len(labels)} training images cannot be split at fraction={fraction}; "
            "each part needs at least one"
        )
    return train.subset(first), train.subset(second)
