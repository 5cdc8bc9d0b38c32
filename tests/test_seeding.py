"""Seeds by counting: distinct, stable, and without any trace in the global generators."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from nas_cli.seeding import derive, numpy_generator, seeded


def test_same_keys_same_seed_other_keys_another() -> None:
    keys = [("a", 0), ("a", 1), ("a", 2**40), ("b", 0), (0, "a"), (1, "a"), ("a", "b"), ("b", "a"), ("ab", 0), (0, 0)]
    seeds = [derive(seed, *key) for seed in (0, 1, 2**31) for key in keys]
    assert seeds == [derive(seed, *key) for seed in (0, 1, 2**31) for key in keys]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_neighbouring_counters_have_unrelated_streams() -> None:
    draws = np.array([numpy_generator(0, "step", k).random() for k in range(2000)])
    assert abs(draws.mean() - 0.5) < 0.03  # four standard errors: 4 * 0.29 / sqrt(2000)
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.1


def test_a_trailing_zero_counts() -> None:
    assert derive(5, "random") != derive(5, "random", 0)


def test_the_promise_to_old_run_folders() -> None:
    """A changed derivation would make runs of earlier versions resume wrongly; numpy promises SeedSequence's words."""
    import zlib

    words = np.random.SeedSequence([2, 5, zlib.crc32(b"random"), 3]).generate_state(1, np.uint64)
    assert derive(5, "random", 3) == int(words[0]) // 2


def test_seeded_is_reproducible_and_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(1)
    before, python, numpy_state = torch.get_rng_state(), random.getstate(), np.random.get_state()
    with seeded(3, "network"):
        first = torch.rand(4)
    torch.manual_seed(99)
    with seeded(3, "network"):
        second = torch.rand(4)
    with seeded(3, "other"):
        third = torch.rand(4)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    torch.manual_seed(1)
    with pytest.raises(ZeroDivisionError), seeded(3, "network"):
        1 / torch.rand(4).numel() / 0
    assert torch.equal(torch.get_rng_state(), before)
    numpy_generator(0, "x").random()
    assert random.getstate() == python
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpy_state, strict=True))
