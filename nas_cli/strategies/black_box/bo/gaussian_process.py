"""An exact Gaussian process as a BoTorch model: many vectors of hyper-parameters and many sets of targets at once."""

from __future__ import annotations

from typing import Any

import gpytorch
import torch
from botorch.models.model import Model
from botorch.posteriors import GPyTorchPosterior, Posterior
from gpytorch.distributions import MultivariateNormal
from linear_operator import to_linear_operator
from torch import Tensor

from nas_cli.errors import NasError
from nas_cli.strategies.black_box.bo.kernels.base import Covariance


class Vectors:
    """Vectors (m, amplitudes, noise, scales) of hyper-parameters, one for each member, taken apart.

    A scale with `log_bounds` stands in a vector as its logarithm, everything else as it is.

    Args:
        values: (members, entries), float64.
    """

    def __init__(self, covariance: Covariance, values: Tensor, level: int | None = None) -> None:
        self.covariance = covariance
        self.values = values
        self.level = level
        self.mean = values[:, 0]
        self.amplitudes = values[:, 1 : 1 + len(covariance.amplitudes)]
        self.noise = values[:, 1 + len(covariance.amplitudes)]
        self.scales = values[:, 2 + len(covariance.amplitudes) :]

    def kernel(self) -> gpytorch.kernels.Kernel:
        """A kernel with these hyper-parameters, as constants."""
        kernel = self.covariance.build(len(self.values), self.level)
        kernel.requires_grad_(False)
        set_parameters(kernel, self.covariance, self.amplitudes.log(), self.log_scales)
        return kernel

    @property
    def log_scales(self) -> Tensor:
        return self.scales if self.covariance.scales.log_bounds else self.scales.log()

    def __getitem__(self, members: slice) -> Vectors:
        return Vectors(self.covariance, self.values[members], self.level)


def set_parameters(kernel: gpytorch.kernels.Kernel, covariance: Covariance, amplitudes: Tensor, scales: Tensor) -> None:
    """Write logarithms of hyper-parameters into a kernel's raw parameters."""
    with torch.no_grad():
        for name, values in zip(covariance.amplitudes, amplitudes.unbind(-1), strict=True):
            parameter = kernel.get_parameter(name)
            parameter.copy_(values.reshape(parameter.shape))
        if covariance.scales.count:
            parameter = kernel.get_parameter(covariance.scales.name)
            parameter.copy_(scales.reshape(parameter.shape))


class GaussianProcess(Model):  # type: ignore[misc]
    """The posterior given noisy targets at known rows, in closed form.

    A member of the model is one vector of hyper-parameters with one set of targets, in the order vectors x sets; all
    sets share the rows, and so the variance. It is a batched BoTorch model (no ensemble): acquisitions give a value for
    each member. BoTorch's own `SingleTaskGP` gives the same numbers; this one does no more for a point than the
    matrix products, in one for all points, vectors and sets of targets.

    Args:
        vectors: hyper-parameters.
        rows: (n, columns).
        targets: (vectors, n, sets), or anything that broadcasts to it.
    Shape:
        posterior: X (..., 1 or members, q, columns) -> mean (..., members, q, 1)
    Reference: Brochu, Cora, de Freitas, arXiv:1012.2599, sec. 2.1 and 2.4.
    """

    num_outputs = 1

    def __init__(self, vectors: Vectors, rows: Tensor, targets: Tensor) -> None:
        super().__init__()
        count = len(vectors.values)
        self.vectors = vectors
        self.rows = rows
        self.targets = targets.expand(count, len(rows), targets.shape[-1])
        self.sets = targets.shape[-1]
        self.kernel = vectors.kernel()
        covariance = self.covariance(rows, rows)
        covariance.diagonal(dim1=-2, dim2=-1).add_(vectors.noise[:, None])
        self.root = cholesky(covariance)
        #: Its inverse: a product with it is cheaper than a solve, for each of the many points asked about.
        identity = torch.eye(len(rows), dtype=rows.dtype).expand_as(self.root)
        self.inverse = torch.linalg.solve_triangular(self.root, identity, upper=False)
        residual = self.targets - vectors.mean[:, None, None]
        self.weights = self.inverse.mT @ (self.inverse @ residual)

    @property
    def batch_shape(self) -> torch.Size:
        return torch.Size([len(self.vectors.values) * self.sets])

    def covariance(self, a: Tensor, b: Tensor) -> Tensor:
        return dense(self.kernel.forward(a, b))

    def moments(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and latent variance at points.

        Shape:
            points: (points, columns)
            returns: (vectors, points, sets), (vectors, points)
        """
        cross = self.covariance(points.unsqueeze(0), self.rows)
        mean = self.vectors.mean[:, None, None] + cross @ self.weights
        explained = (self.inverse @ cross.mT).square().sum(-2)
        prior = dense(self.kernel.forward(points.unsqueeze(0), points.unsqueeze(0), diag=True))
        return mean, (prior - explained).clamp_min(0)

    def joint(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and latent covariance of points together.

        Shape:
            points: (..., 1 or vectors, q, columns)
            returns: (..., vectors, q, sets), (..., vectors, q, q)
        """
        cross = self.covariance(points, self.rows)
        mean = self.vectors.mean[:, None, None] + cross @ self.weights
        half = self.inverse @ cross.mT
        return mean, self.covariance(points, points) - half.mT @ half

    def posterior(self, X: Tensor, *_: Any, **__: Any) -> Posterior:  # noqa: N803  (BoTorch's name)
        if X.shape[-2] == 1 and X.shape[-3] == 1:
            return self._marginal(X)
        if self.sets > 1:
            raise NotImplementedError("points are judged jointly under one set of targets only")
        mean, covariance = self.joint(X)
        # Points near observed ones are all but certain, and rounding makes variances there negative.
        jitter = JOINT_JITTER * self.vectors.amplitudes.sum(-1)[:, None].expand(-1, X.shape[-2])
        covariance = to_linear_operator(covariance + torch.diag_embed(jitter))
        return GPyTorchPosterior(MultivariateNormal(mean.squeeze(-1), covariance))

    def _marginal(self, points: Tensor) -> Posterior:
        """One point at a time, under all members."""
        mean, variance = self.moments(points.reshape(-1, points.shape[-1]))
        shape = (*points.shape[:-3], *self.batch_shape, 1, 1)
        spread = variance.unsqueeze(-1).expand_as(mean)
        return Marginal(mean.transpose(0, 1).reshape(shape), spread.transpose(0, 1).reshape(shape))

    def condition(self, rows: Tensor, targets: Tensor) -> GaussianProcess:
        """The process that has also seen targets (vectors, new rows, sets) at new rows, with the same noise."""
        sets = max(self.sets, targets.shape[-1])
        known = self.targets.expand(-1, -1, sets)
        new = targets.expand(len(known), -1, sets)
        return GaussianProcess(self.vectors, torch.cat([self.rows, rows]), torch.cat([known, new], 1))


class Marginal(Posterior):  # type: ignore[misc]
    """Mean and variance of single points, which is all that closed-form acquisitions read."""

    def __init__(self, mean: Tensor, variance: Tensor) -> None:
        self.mean = mean
        self.variance = variance

    @property
    def device(self) -> torch.device:
        return self.mean.device

    @property
    def dtype(self) -> torch.dtype:
        return self.mean.dtype

    def rsample(self, *_: Any, **__: Any) -> Tensor:
        raise NotImplementedError("single points have no joint distribution")


def dense(matrix: Any) -> Tensor:
    """A kernel's value as a tensor: GPyTorch's may be a linear operator."""
    value: Tensor = matrix if isinstance(matrix, Tensor) else matrix.to_dense()
    return value


JOINT_JITTER = 1e-7  # of latent covariances, in units of the amplitude
JITTERS = (0.0, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2)  # times the largest variance, tried in turn


def cholesky(matrix: Tensor) -> Tensor:
    """The lower Cholesky factor of a batch of matrices, with as little added to the diagonals as it takes.

    Rows that are equal, or nearly, make a matrix singular where the noise is (near) 0.
    """
    for jitter in JITTERS:
        diagonal = jitter * matrix.diagonal(dim1=-2, dim2=-1).amax(-1, keepdim=True).expand(matrix.shape[:-1])
        root: Tensor
        root, failed = torch.linalg.cholesky_ex(matrix + torch.diag_embed(diagonal) if jitter else matrix)
        if not failed.any():
            return root
    raise NasError("the Gaussian process has no fit: a covariance matrix is not positive definite")
