"""Whole data sets as arrays, and what is done to them before learning."""

from __future__ import annotations

import pytest
import torch
from made_up import MadeUp

from nas_cli.problems.examples import Parts, read
from nas_cli.problems.preprocessing import principal, standardised, whitened

CPU = torch.device("cpu")


def parts() -> Parts:
    return read(MadeUp(images=40), 0.75, CPU)


def test_the_parts_are_those_of_the_search_split_and_the_test_images() -> None:
    dataset = MadeUp(images=40)
    found = read(dataset, 0.75, CPU)
    assert [len(part) for part in (found.train, found.valid, found.test)] == [30, 10, 21]
    raw = next(iter(dataset.train().batches([torch.arange(40)], CPU)))[0].float()
    assert torch.equal(found.train.inputs, raw[:30] / raw[:30].max())
    assert torch.equal(found.valid.inputs, raw[30:] / raw[:30].max())  # the held-out images change no scale
    assert found.classes == 3
    assert found.features == 64


def test_one_flat_row_for_each_image() -> None:
    flat = parts().flat()
    assert flat.train.inputs.shape == (30, 64)
    assert torch.equal(flat.test.labels, parts().test.labels)


def correlated() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(500, 3, generator=generator) @ torch.diag(torch.tensor([3.0, 1.0, 0.1])) + 5


def test_standardised_inputs() -> None:
    train = torch.cat([correlated(), torch.full((500, 1), 2.0)], dim=1)
    found = standardised(train)(train)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.std(dim=0, correction=0), torch.tensor([1.0, 1, 1, 0]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("energy", "kept"), [(0.5, 1), (0.88, 1), (0.95, 2), (1.0, 3)])
def test_principal_components_are_as_few_as_hold_the_energy(energy: float, kept: int) -> None:
    """Variances 9, 1 and 0.01: the first holds 0.9 of them."""
    train = correlated()
    found = principal(train, energy)(train)
    assert found.shape == (500, kept)
    share = found.var(dim=0).sum() / train.var(dim=0).sum()
    assert share > energy - 1e-5
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(kept), atol=1e-4, rtol=0)


def test_zca_whitens_and_stays_near_the_pixels() -> None:
    train = correlated()
    found = whitened(train, 1.0)(train)
    torch.testing.assert_close(found.T.cov(correction=0), torch.eye(3), atol=2e-3, rtol=0)
    matrix = whitened(train, 1.0)(torch.eye(3)) - whitened(train, 1.0)(torch.zeros(3, 3))
    torch.testing.assert_close(matrix, matrix.T, atol=1e-3, rtol=1e-3)  # zero phase: a symmetric map
    assert torch.linalg.matrix_rank(whitened(train, 0.95)(train).T.cov()) == 2
