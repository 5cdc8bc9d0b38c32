"""SE and Matérn kernels: the worked values, GPyTorch's own, and gradients."""

from __future__ import annotations

import math

import gpytorch
import pytest
import torch
from gp_table import M52, SE, line, mixed_space, tensor

from nas_cli.errors import InputError
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.bo.gaussian_process import Vectors
from nas_cli.strategies.black_box.bo.kernels.base import Kernel
from nas_cli.strategies.black_box.bo.kernels.discrete import Mixed
from nas_cli.strategies.black_box.bo.kernels.stationary import PROFILES, Stationary, correlation

VALUES = {
    0.5: (0.606530659713, 0.367879441171, 0.135335283237),
    1.5: (0.784887653957, 0.483357724597, 0.139731350192),
    M52: (0.828649142418, 0.523994108832, 0.138660219139),
    SE: (0.882496902585, 0.606530659713, 0.135335283237),
}


def value(kernel: Kernel, space: Space, a: torch.Tensor, b: torch.Tensor, *lengths: float) -> torch.Tensor:
    covariance = kernel.on(space)
    made = Vectors(covariance, tensor(0.0, 1.0, 1.0, *lengths).unsqueeze(0)).kernel()
    found: torch.Tensor = made.forward(a.unsqueeze(0), b.unsqueeze(0))
    return found[0]


@pytest.mark.parametrize("smoothness", VALUES)
def test_worked_values(smoothness: float) -> None:
    rows = tensor(0, 0.5, 1, 2).unsqueeze(-1)
    found = value(Stationary(smoothness), line(), rows[:1], rows, 1.0)[0]
    assert found.tolist() == pytest.approx([1, *VALUES[smoothness]], abs=1e-11)


@pytest.mark.parametrize(("smoothness", "expected"), [(M52, 0.749013540467), (SE, 0.818730753078)])
def test_ard(smoothness: float, expected: float) -> None:
    a, b = tensor(0, 0).unsqueeze(0), tensor(0.3, 0.4).unsqueeze(0)
    assert value(Stationary(smoothness), line(2), a, b, 0.5, 2.0).item() == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("smoothness", VALUES)
def test_one_length_for_all(smoothness: float) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(5, 3, generator=generator, dtype=torch.float64)
    one = value(Stationary(smoothness, ard=False), line(3), rows, rows, 0.4)
    assert Stationary(smoothness, ard=False).on(line(3)).scales.count == 1
    torch.testing.assert_close(one, value(Stationary(smoothness), line(3), rows, rows, 0.4, 0.4, 0.4))


@pytest.mark.parametrize("smoothness", VALUES)
def test_it_is_gpytorchs(smoothness: float) -> None:
    theirs = (
        gpytorch.kernels.RBFKernel(ard_num_dims=2)
        if smoothness == SE
        else gpytorch.kernels.MaternKernel(smoothness, ard_num_dims=2)
    )
    theirs = theirs.double()
    theirs.lengthscale = tensor(0.3, 1.2)
    rows = torch.rand(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = value(Stationary(smoothness), line(2), rows, rows, 0.3, 1.2)
    torch.testing.assert_close(found, theirs(rows).to_dense(), atol=1e-7, rtol=0)


@pytest.mark.parametrize("smoothness", VALUES)
def test_gradients(smoothness: float) -> None:
    generator = torch.Generator().manual_seed(2)
    a = torch.rand(2, 4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    b = torch.rand(1, 5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: correlation(a, b, PROFILES[smoothness]), (a, b))


@pytest.mark.parametrize("smoothness", VALUES)
def test_gradients_at_equal_rows_are_0(smoothness: float) -> None:
    a = tensor(0.3, 0.7).unsqueeze(0).requires_grad_()
    (gradient,) = torch.autograd.grad(correlation(a, a.detach(), PROFILES[smoothness]).sum(), a)
    assert gradient.abs().max().item() < 1e-12


def test_a_category_is_a_block_with_one_length() -> None:
    """Two categories that differ are sqrt(2) / length apart."""
    space = mixed_space()
    rows = Stationary().on(space).inputs.rows([space.decode([0.5, 2, "a"]), space.decode([0.5, 2, "c"])])
    found = value(Stationary(SE), space, rows[:1], rows[1:], 1.0, 1.0, 2.0)
    assert found.item() == pytest.approx(math.exp(-0.5 * 2 / 4))


@pytest.mark.parametrize("kernel", [Stationary(M52), Mixed()])
def test_the_kernel_is_constant_between_whole_numbers(kernel: Kernel) -> None:
    space = mixed_space()
    rows = kernel.on(space).inputs.rows([space.decode([0.5, 2, "a"])])
    other = rows + tensor(0, 0.1, 0)
    found = value(kernel, space, rows, torch.cat([rows, other]), 1.0, 0.1, 2.0)
    assert found.tolist() == [[1.0, 1.0]]


def test_smoothness() -> None:
    with pytest.raises(InputError, match="smoothness must be one of"):
        Stationary(3.5)


def test_members_and_diagonal() -> None:
    covariance = Stationary().on(line(2))
    kernel = covariance.build(3)
    rows = torch.rand(1, 4, 2, dtype=torch.float64)
    assert kernel.forward(rows, rows[0, :2]).shape == (3, 4, 2)
    assert kernel.forward(rows, rows, diag=True).shape == (3, 4)
