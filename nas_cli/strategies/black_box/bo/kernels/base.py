"""What a kernel of `strategy=bo` is: how architectures become rows of numbers, and a GPyTorch kernel over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import gpytorch
import torch
from gpytorch.constraints import Positive
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.spaces.base import Space


def logarithmic() -> Positive:
    """The constraint of every hyper-parameter of a kernel: the raw parameter is its logarithm."""
    return Positive(transform=torch.exp, inv_transform=torch.log)


class Inputs(ABC):
    """What the Gaussian process sees of architectures."""

    @abstractmethod
    def rows(self, architectures: Sequence[Architecture]) -> Tensor:
        """One row for each architecture; equal architectures have equal rows.

        Shape:
            returns: (architectures, columns), float64
        """


@dataclass(frozen=True)
class Scales:
    """Length scales of a kernel: the hyper-parameters that are not amplitudes.

    Args:
        name: of the raw parameter in the GPyTorch kernel, which holds logarithms: (members, ..., count) in all.
        count: how many for each member; none: 0.
        log_bounds: where given, the prior is flat in the logarithm between these, whatever the priors of the run say
            of length scales, and the fit keeps to it. None: a length scale in units of the rows.
        initial: where fits and chains start.
    """

    name: str = "base_kernel.raw_lengthscale"
    count: int = 1
    log_bounds: tuple[float, float] | None = None
    initial: float = 1.0


class Covariance(ABC):
    """A kernel on one space: its rows, and GPyTorch kernels with the hyper-parameters theta_0 and length scales.

    The hyper-parameters of a Gaussian process are the vector (m, amplitudes, noise, length scales): the mean, variances
    (one, theta_0, for most kernels), the noise variance, and what `scales` says, in that order.
    """

    #: What the rows are. A `Box` lets points be maximised by gradients; anything else is searched among candidates.
    inputs: Inputs
    scales: Scales
    #: Names of the raw parameters in the role of theta_0, each (members,), logarithms too.
    amplitudes: tuple[str, ...] = ("raw_outputscale",)
    #: Values of a discrete choice that is fitted by marginal likelihood at each refit; empty: there is none.
    levels: tuple[int, ...] = ()
    #: Whether a draw of the whole function can be made from random features (SE and Matérn).
    pathwise: bool = False

    @abstractmethod
    def build(self, members: int, level: int | None = None) -> gpytorch.kernels.Kernel:
        """The kernel, amplitude included, with `batch_shape` (members,) and every parameter under `logarithmic()`.

        `forward(x1, x2, diag=False)` is called with rows x1 (..., a, columns) and x2 (..., b, columns), float64, and
        gives (members, a, b), or (members, a) where `diag`; a leading dimension of rows is 1 or members. It may return
        a tensor or a linear operator.

        Args:
            members: how many vectors of hyper-parameters at once.
            level: one of `levels`, None where there are none.
        """


class Kernel(ABC):
    """A kernel as an option: `strategy/kernel=…`."""

    @abstractmethod
    def on(self, space: Space) -> Covariance:
        """The kernel on a space. Raises `CombinationError` where it has no meaning there."""


def scaled(base: gpytorch.kernels.Kernel, members: int) -> gpytorch.kernels.Kernel:
    """A correlation times its amplitude theta_0, in float64."""
    shape = torch.Size([members])
    return gpytorch.kernels.ScaleKernel(base, outputscale_constraint=logarithmic(), batch_shape=shape).double()
