"""Randomness by counting: every random part is seeded from the run's seed, its own name and a counter.

Nothing here reads a global generator, so the state of all randomness in a run is a few integers, and a resumed
run draws what the uninterrupted one would have drawn.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def derive(seed: int, *keys: str | int) -> int:
    """A 63-bit seed for the part that `keys` name, e.g. ``derive(0, "augmentation", 12)``."""
    words = [zlib.crc32(key.encode()) if isinstance(key, str) else int(key) for key in keys]
    # The length goes first, as a seed sequence takes trailing zeros for padding.
    state = np.random.SeedSequence([len(words), int(seed), *words]).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


def numpy_generator(seed: int, *keys: str | int) -> np.random.Generator:
    """A numpy generator of its own for the part that `keys` name."""
    return np.random.default_rng(derive(seed, *keys))


@contextmanager
def seeded(seed: int, *keys: str | int) -> Iterator[None]:
    """Run a block under freshly seeded torch generators, and leave the global ones as they were.

    Used round network initialisation and round every training step, so that dropout inside any module, also a
    user's own, is reproducible.
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, *keys))
        yield
