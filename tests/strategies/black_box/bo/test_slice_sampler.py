"""The slice sampler against a density whose moments are known by quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gp_table import M52, ROWS, TARGETS, on_line, tensor

from nas_cli.strategies.black_box.bo.density import Density, Treatment
from nas_cli.strategies.black_box.bo.priors import Spearmint
from nas_cli.strategies.black_box.bo.slice_sampler import sweep


def log_density(length: float) -> float:
    """Section 8's density of one length scale: theta_0 = 1, noise .01, m = .3, y = (0, 1, 0) at (0, .5, 1).

    By symmetry the covariance has the blocks {1, 3} and {2}: written out, it is a thousandth of the work.
    """
    if not 0 < length <= 2:
        return -math.inf
    near, far = (
        (1 + math.sqrt(5) * r + 5 * r * r / 3) * math.exp(-math.sqrt(5) * r) for r in (0.5 / length, 1 / length)
    )
    own = 1 + 1e-6 + 0.01
    odd = own - far
    a, b, c = own + far, math.sqrt(2) * near, own
    determinant = a * c - b * b
    even, middle = -0.3 * math.sqrt(2), 0.7
    fit = (c * even * even - 2 * b * even * middle + a * middle * middle) / determinant
    return -0.5 * math.log(odd * determinant) - 0.5 * fit


def test_the_written_out_density_is_the_programs() -> None:
    made = Density(on_line(M52), ROWS, TARGETS, Spearmint(), Treatment(noise=0.01, amplitude=1.0))
    for length, value in [(0.5, -0.654360079041), (1.0, -3.399507623655)]:
        assert log_density(length) == pytest.approx(value, abs=1e-10)
        assert made(tensor(0.3, 1.0, 0.01, length)) == pytest.approx(value, abs=1e-10)


def test_moments_of_a_length_scale() -> None:
    generator = np.random.default_rng(0)
    vector, found = tensor(1.0), []
    for _ in range(20_000):
        vector = sweep(lambda point: log_density(point.item()), vector, [], [0], generator)
        found.append(vector.item())
    assert np.mean(found) == pytest.approx(0.3565850, abs=0.01)
    assert np.std(found) == pytest.approx(0.2381059, abs=0.01)


def test_moments_along_random_directions() -> None:
    """A correlated normal of two entries moved together, beside an exponential moved alone."""
    precision = torch.linalg.inv(torch.tensor([[1.0, 0.6], [0.6, 1.0]], dtype=torch.float64))

    def height(point: torch.Tensor) -> float:
        if point[2] < 0:
            return -math.inf
        return (-0.5 * point[:2] @ precision @ point[:2] - point[2]).item()

    generator = np.random.default_rng(1)
    vector, found = tensor(0, 0, 1), []
    for _ in range(3_000):
        vector = sweep(height, vector, [0, 1], [2], generator)
        found.append(vector)
    samples = torch.stack(found)
    assert samples[:, :2].T.cov().flatten().tolist() == pytest.approx([1, 0.6, 0.6, 1], abs=0.15)
    assert samples[:, 2].mean().item() == pytest.approx(1, abs=0.12)
    assert samples[:, 2].std().item() == pytest.approx(1, abs=0.15)


def test_a_point_with_no_room_stays() -> None:
    vector = tensor(1.0)
    found = sweep(lambda point: 0.0 if point.item() == 1 else -math.inf, vector, [0], [], np.random.default_rng(0))
    assert found.item() == 1
