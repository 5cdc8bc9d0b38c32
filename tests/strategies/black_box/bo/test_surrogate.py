"""What is modelled of many observations, and in which units."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nas_cli.strategies.black_box.bo.surrogate import standardised, subset


def test_standardised() -> None:
    values, shift, scale = standardised(torch.tensor([1.0, 2.0, 6.0]))
    assert (shift, scale) == pytest.approx((3, math.sqrt(7)))
    assert values.std().item() == pytest.approx(1)
    assert standardised(torch.tensor([4.0]))[0].tolist() == [0]
    assert standardised(torch.tensor([4.0, 4.0]))[2] == 1


@pytest.mark.parametrize("unit", [1e-300, 1e200, 1e307])
def test_standardised_values_of_any_size(unit: float) -> None:
    values = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
    found, shift, scale = standardised(values * unit)
    assert (shift / unit, scale / unit) == pytest.approx((3, math.sqrt(7)))
    torch.testing.assert_close(found, standardised(values)[0])


def test_a_subset_holds_the_best() -> None:
    targets = torch.arange(100, dtype=torch.float64).flip(0)
    kept = subset(targets, 20, np.random.default_rng(0))
    assert kept == sorted(kept)
    assert len(set(kept)) == 20
    assert set(range(10)) <= set(kept)
    assert subset(targets, 100, np.random.default_rng(0)) == list(range(100))
