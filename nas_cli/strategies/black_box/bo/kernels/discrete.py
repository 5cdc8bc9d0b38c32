"""Kernels of categorical decisions, alone and beside numbers."""

from __future__ import annotations

from typing import Any

import gpytorch
import torch
from torch import Tensor

from nas_cli.errors import CombinationError
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.bo.kernels.base import Covariance, Kernel, Scales, logarithmic, scaled
from nas_cli.strategies.black_box.bo.kernels.box import Box
from nas_cli.strategies.black_box.bo.kernels.stationary import PROFILES, correlation


class Categorical(Kernel):
    """exp(-mean over decisions of [x is not x'] / length scale), one length scale for each decision.

    Whole numbers count as categories. Raises `CombinationError` for a real decision.

    Reference: as BoTorch's `CategoricalKernel`.
    """

    def on(self, space: Space) -> Covariance:
        box = Box(space)
        if box.reals:
            raise CombinationError(
                f"strategy/kernel=categorical: {space.decisions[box.reals[0]].name} of space={space.name} is a real "
                "number; take mixed, or ard_matern52"
            )
        return _Product(box, numbers=[], categories=list(range(box.columns)))


class Mixed(Kernel):
    """theta_0 times Matérn 5/2 of the numbers times the categorical kernel of the categories, one length scale each.

    On a space of numbers alone, or of categories alone, it is that one's kernel.
    """

    def on(self, space: Space) -> Covariance:
        box = Box(space)
        return _Product(box, sorted(box.reals + box.integers), box.categorical)


class _Product(Covariance):
    """Matérn 5/2 on some columns times the categorical kernel on the others."""

    def __init__(self, box: Box, numbers: list[int], categories: list[int]) -> None:
        self.inputs: Box = box
        self.numbers = numbers
        self.categories = categories
        self.scales = Scales(count=box.columns)

    def build(self, members: int, level: int | None = None) -> Any:
        shape = torch.Size([members])
        kernel = MixedKernel(
            self.inputs,
            self.numbers,
            self.categories,
            ard_num_dims=self.inputs.columns,
            batch_shape=shape,
            lengthscale_constraint=logarithmic(),
        )
        return scaled(kernel, members)


class MixedKernel(gpytorch.kernels.Kernel):  # type: ignore[misc]
    """A product over columns, which holds all length scales in one parameter, in the order of the decisions.

    The categorical factor is BoTorch's `CategoricalKernel`, whose diagonal costs a whole matrix.
    """

    has_lengthscale = True

    def __init__(self, box: Box, numbers: list[int], categories: list[int], **options: Any) -> None:
        super().__init__(**options)
        self.box = box
        self.numbers = numbers
        self.categories = categories

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        if diag:
            return x1.new_ones(x1.shape[:-1])
        value = torch.ones((), dtype=x1.dtype)
        if self.categories:
            differs = x1[..., self.categories].unsqueeze(-2) != x2[..., self.categories].unsqueeze(-3)
            lengths = self.lengthscale[..., self.categories].unsqueeze(-2)
            value = torch.exp(-(differs / lengths).mean(-1))
        if self.numbers:
            lengths = self.lengthscale[..., self.numbers]
            a, b = (self.box.snapped(rows)[..., self.numbers] / lengths for rows in (x1, x2))
            value = value * correlation(a, b, PROFILES[2.5])
        return value
