"""The categorical and the mixed kernel, and what `auto` takes."""

from __future__ import annotations

import pytest
import torch
from botorch.models.kernels import CategoricalKernel
from gp_table import M52, Made, line, mixed_space, tensor

from nas_cli.errors import CombinationError
from nas_cli.spaces.decisions import Categorical as Choice
from nas_cli.spaces.decisions import Integer
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.strategies.black_box.bo.gaussian_process import Vectors
from nas_cli.strategies.black_box.bo.kernels.auto import Auto
from nas_cli.strategies.black_box.bo.kernels.base import Covariance, Kernel
from nas_cli.strategies.black_box.bo.kernels.discrete import Categorical, Mixed
from nas_cli.strategies.black_box.bo.kernels.stationary import PROFILES, Stationary, correlation
from nas_cli.strategies.black_box.bo.kernels.wl import WL

CHOICES = Made(Choice("a", (0, 1)), Choice("b", (0, 1, 2)), name="choices")


def gram(covariance: Covariance, a: torch.Tensor, b: torch.Tensor, *lengths: float) -> torch.Tensor:
    made = Vectors(covariance, tensor(0.0, 1.0, 1.0, *lengths).unsqueeze(0)).kernel()
    found: torch.Tensor = made.forward(a.unsqueeze(0), b.unsqueeze(0))
    return found[0]


@pytest.mark.parametrize("kernel", [Categorical(), Mixed()])
def test_worked_values(kernel: Kernel) -> None:
    found = gram(kernel.on(CHOICES), tensor(0, 1).unsqueeze(0), torch.tensor([[1.0, 1], [1, 2], [0, 1]]).double(), 1, 2)
    assert found.flatten().tolist() == pytest.approx([0.606530659713, 0.472366552741, 1], abs=1e-11)


def test_it_is_botorchs() -> None:
    theirs = CategoricalKernel(ard_num_dims=2).double()
    theirs.lengthscale = tensor(0.7, 1.9)
    rows = torch.tensor([[a, b] for a in range(2) for b in range(3)], dtype=torch.float64)
    torch.testing.assert_close(gram(Categorical().on(CHOICES), rows, rows, 0.7, 1.9), theirs(rows).to_dense())


def test_mixed_is_a_product() -> None:
    space = mixed_space()
    a, b = tensor(0.2, 0.125, 0).unsqueeze(0), tensor(0.6, 0.875, 2).unsqueeze(0)
    found = gram(Mixed().on(space), a, b, 0.5, 0.8, 1.5).item()
    numbers = correlation(a[:, :2] / tensor(0.5, 0.8), b[:, :2] / tensor(0.5, 0.8), PROFILES[M52]).item()
    assert found == pytest.approx(numbers * torch.exp(tensor(-1 / 1.5)).item())


def test_mixed_of_numbers_is_matern() -> None:
    rows = torch.rand(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mixed, stationary = (gram(kernel.on(line(2)), rows, rows, 0.3, 0.9) for kernel in (Mixed(), Stationary()))
    torch.testing.assert_close(mixed, stationary)


def test_categorical_refuses_reals_and_takes_whole_numbers() -> None:
    with pytest.raises(CombinationError, match="strategy/kernel=categorical: r of space=mixed is a real number"):
        Categorical().on(mixed_space())
    whole = Made(Integer("i", 1, 3), name="whole")
    assert gram(Categorical().on(whole), tensor(0.5)[None], tensor(0.5, 1 / 6)[:, None], 1.0)[0, 0].item() == 1


def test_auto() -> None:
    assert type(Auto().chosen(line())) is Stationary
    assert type(Auto().chosen(mixed_space())) is Mixed
    assert type(Auto().chosen(Made(Integer("i", 1, 3), name="whole"))) is Mixed
    assert type(Auto().chosen(CHOICES)) is Categorical
    assert type(Auto().chosen(NasBench201("nasbench201"))) is WL
