"""Kernels on paths, on decisions and on counts of operations against their distances written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError
from nas_cli.spaces.functions import Branin
from nas_cli.spaces.graphs import path_bits
from nas_cli.spaces.nasbench201 import OPERATIONS, PATH_OPERATIONS, NasBench201
from nas_cli.strategies.black_box.bo.kernels.base import Kernel
from nas_cli.strategies.black_box.bo.kernels.hamming import Hamming
from nas_cli.strategies.black_box.bo.kernels.otmann import OtmannStandIn
from nas_cli.strategies.black_box.bo.kernels.path import PathKernel

SPACE = NasBench201("nasbench201")
CONV = "nor_conv_3x3"
C3 = SPACE.decode([CONV] * 6)
RES = SPACE.from_string(f"|{CONV}~0|+|none~0|{CONV}~1|+|skip_connect~0|none~1|skip_connect~2|")
LENGTH_SCALE = 0.7


def hamming(one: Architecture, other: Architecture) -> float:
    return sum(a != b for a, b in zip(one.decisions, other.decisions, strict=True)) / 6


def counted(one: Architecture, other: Architecture) -> float:
    counts = sum(abs(one.decisions.count(name) - other.decisions.count(name)) for name in OPERATIONS)
    return (counts + 6 * hamming(one, other)) / 18


def by_path(one: Architecture, other: Architecture) -> float:
    bits = [set(path_bits(SPACE.paths(architecture), PATH_OPERATIONS)) for architecture in (one, other)]
    return len(bits[0] ^ bits[1]) / 8


@pytest.mark.parametrize(
    ("kernel", "distance"), [(Hamming(), hamming), (OtmannStandIn(), counted), (PathKernel(), by_path)]
)
def test_kernel_is_the_exponential_of_its_distance(kernel: Kernel, distance) -> None:  # type: ignore[no-untyped-def]
    generator = np.random.default_rng(0)
    architectures = [C3, RES] + [SPACE.sample(generator) for _ in range(20)]
    covariance = kernel.on(SPACE)
    built = covariance.build(2)
    with torch.no_grad():
        built.get_parameter(covariance.amplitudes[0])[:] = torch.tensor([1.0, 2.0]).log()
        built.get_parameter(covariance.scales.name)[:] = math.log(LENGTH_SCALE)
    rows = covariance.inputs.rows(architectures)
    found = torch.as_tensor(built.forward(rows, rows).detach())
    wanted = torch.tensor([[math.exp(-distance(a, b) / LENGTH_SCALE) for b in architectures] for a in architectures])
    torch.testing.assert_close(found, torch.stack([wanted, 2 * wanted]).double(), rtol=0, atol=1e-6)
    assert torch.linalg.eigvalsh(found).min() > -1e-10
    assert torch.equal(built.forward(rows, rows, diag=True), found.diagonal(dim1=-2, dim2=-1))


def test_stand_in_distance_of_the_sheet() -> None:
    assert counted(C3, RES) * 18 == 12


@pytest.mark.parametrize("kernel", [Hamming(), OtmannStandIn(), PathKernel()])
def test_spaces_of_numbers_are_refused(kernel: Kernel) -> None:
    with pytest.raises(CombinationError, match="with space=branin"):
        kernel.on(Branin("branin"))


def test_a_gradient_reaches_the_length_scale() -> None:
    covariance = PathKernel().on(SPACE)
    kernel = covariance.build(1)
    rows = covariance.inputs.rows([C3, RES])
    (gradient,) = torch.autograd.grad(kernel.forward(rows, rows).sum(), kernel.get_parameter(covariance.scales.name))
    assert gradient.abs().sum() > 0
