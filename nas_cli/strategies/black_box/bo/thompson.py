"""Thompson sampling: the maximum of one draw of the function."""

from __future__ import annotations

import torch
from botorch.acquisition import AcquisitionFunction
from botorch.acquisition.thompson_sampling import PathwiseThompsonSampling
from botorch.models import SingleTaskGP
from gpytorch.constraints import GreaterThan
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.means import ConstantMean
from torch import Tensor

from nas_cli.seeding import numpy_generator, seeded
from nas_cli.strategies.black_box.bo.acquisitions import Acquisition, LogCost, OfArchitectures, Situation
from nas_cli.strategies.black_box.bo.gaussian_process import GaussianProcess, cholesky
from nas_cli.strategies.black_box.bo.kernels.box import Box


class Thompson(Acquisition, option="thompson"):
    """A draw of the function from the posterior, under one of the vectors of hyper-parameters.

    From random features and a pathwise update where the kernel is SE or Matérn of numbers; else jointly at the
    candidates.

    Reference: Wilson et al., Pathwise conditioning of Gaussian processes, JMLR 22, 2021.
    """

    is_utility = False
    fantasises = False
    draws_function = True

    def make(self, situation: Situation, log_cost: LogCost | None = None) -> AcquisitionFunction:
        model = situation.model
        member = int(numpy_generator(situation.seed, "member").integers(len(model.vectors.values)))
        one = GaussianProcess(model.vectors[member : member + 1], model.rows, model.targets[member : member + 1])
        if model.vectors.covariance.pathwise:
            return _pathwise(one, situation.seed)
        return JointDraw(one, situation.seed)

    def of_members(self, situation: Situation) -> AcquisitionFunction:
        raise NotImplementedError("a draw is made under one member only")


class JointDraw(AcquisitionFunction):  # type: ignore[misc]
    """A draw at all points of one call together; another call is another draw."""

    def __init__(self, model: GaussianProcess, seed: int) -> None:
        super().__init__(model=model)
        self.seed = seed

    def forward(self, X: Tensor) -> Tensor:  # noqa: N803  (BoTorch's name)
        mean, covariance = self.model.joint(X.squeeze(-2).unsqueeze(0))
        normal = torch.from_numpy(numpy_generator(self.seed, "draw").standard_normal(len(X)))
        drawn: Tensor = mean[0, :, 0] + cholesky(covariance[0]) @ normal
        return drawn


def _pathwise(model: GaussianProcess, seed: int) -> AcquisitionFunction:
    # BoTorch's own bound refuses noise below 1e-4.
    likelihood = GaussianLikelihood(noise_constraint=GreaterThan(0.0), batch_shape=torch.Size([1])).double()
    likelihood.noise = model.vectors.noise.unsqueeze(-1)
    mean = ConstantMean(batch_shape=torch.Size([1])).double()
    mean.initialize(constant=model.vectors.mean)
    exact = SingleTaskGP(
        model.rows.unsqueeze(0),
        model.targets,
        likelihood=likelihood,
        covar_module=model.kernel,
        mean_module=mean,
        outcome_transform=None,
    ).eval()
    draw = PathwiseThompsonSampling(exact)
    with seeded(seed, "paths"), torch.no_grad():
        draw(model.rows[:1].unsqueeze(0))  # the draw is made on the first call
    inputs = model.vectors.covariance.inputs
    assert isinstance(inputs, Box)  # no other kernel is pathwise
    return OfArchitectures(draw, inputs)  # its random features do not go through the kernel, which rounds
