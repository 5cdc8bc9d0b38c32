"""The Gaussian process: the table of the spec sheet, and BoTorch's own."""

from __future__ import annotations

import gpytorch
import pytest
import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.models import SingleTaskGP
from gp_table import M52, ROWS, SE, TARGETS, bo, line, points, process, situation, table, tensor
from gpytorch.constraints import GreaterThan
from gpytorch.likelihoods import GaussianLikelihood

from nas_cli.errors import NasError
from nas_cli.strategies.black_box.bo.acquisitions import ExpectedImproving, LogExpectedImproving
from nas_cli.strategies.black_box.bo.density import Density, Treatment
from nas_cli.strategies.black_box.bo.gaussian_process import GaussianProcess, Vectors, cholesky
from nas_cli.strategies.black_box.bo.kernels.stationary import Stationary
from nas_cli.strategies.black_box.bo.priors import Flat

#: kernel, noise: mean(.25), variance(.25), mean(2), variance(2), log marginal, EI(.25), best mean, EI(.25) against it
TABLE = {
    (SE, 0.0): (
        0.675106854471, 0.017892373595, -0.174374740615, 0.970653587313,
        -3.646107319500, 0.000333443391, 1.0, 0.000333443391,
    ),
    (SE, 0.01): (
        0.661667575008, 0.025020486661, -0.165225713101, 0.971510890660,
        -3.617491942210, 0.000918282844, 0.972796808940, 0.001466756097,
    ),
    (M52, 0.0): (
        0.612305455300, 0.090366330903, -0.073946096012, 0.977729490168,
        -3.383710710734, 0.013988829451, 1.0, 0.013988829451,
    ),
    (M52, 0.01): (
        0.604335217700, 0.096908951065, -0.070891983618, 0.978085219563,
        -3.381603453042, 0.015069563163, 0.981200544329, 0.017088131439,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("smoothness", "noise"), TABLE)
class TestTable:
    def test_posterior(self, smoothness: float, noise: float) -> None:
        mean, variance, far_mean, far_variance, *_ = TABLE[smoothness, noise]
        means, variances = table(smoothness, noise).moments(tensor(0.25, 0.75, 2).unsqueeze(-1))
        assert means[0, :, 0].tolist() == pytest.approx([mean, mean, far_mean], abs=1e-11)
        assert variances[0].tolist() == pytest.approx([variance, variance, far_variance], abs=1e-11)

    def test_log_marginal(self, smoothness: float, noise: float) -> None:
        model = table(smoothness, noise)
        density = Density(model.vectors.covariance, ROWS, TARGETS, Flat(), Treatment(mean=False, noise=noise or 1e-300))
        found = density(model.vectors.values[0]) if noise else density(tensor(0, 1, 1e-300, 0.5))
        assert found - 1.5 * torch.log(tensor(2 * torch.pi)).item() == pytest.approx(
            TABLE[smoothness, noise][4], abs=1e-11
        )

    def test_expected_improvement_over_both_incumbents(self, smoothness: float, noise: float) -> None:
        *_, over_observed, best_mean, over_mean = TABLE[smoothness, noise]
        model = table(smoothness, noise)
        observed = ExpectedImproving().make(situation(model))
        assert observed(points(0.25)).item() == pytest.approx(over_observed, abs=1e-11)
        incumbent = model.moments(ROWS)[0].amax(1).reshape(-1)
        assert incumbent.item() == pytest.approx(best_mean, abs=1e-11)
        assert ExpectedImproving().make(situation(model, incumbent))(points(0.25)).item() == pytest.approx(
            over_mean, abs=1e-11
        )


def botorch_model(smoothness: float, vector: tuple[float, ...]) -> SingleTaskGP:
    mean, amplitude, noise, length = vector
    base = gpytorch.kernels.RBFKernel() if smoothness == SE else gpytorch.kernels.MaternKernel(nu=smoothness)
    kernel = gpytorch.kernels.ScaleKernel(base).double()
    kernel.outputscale, kernel.base_kernel.lengthscale = tensor(amplitude), tensor(length)
    likelihood = GaussianLikelihood(noise_constraint=GreaterThan(1e-9)).double()
    likelihood.noise = tensor(noise)
    constant = gpytorch.means.ConstantMean().double()
    constant.initialize(constant=tensor(mean).squeeze())
    return SingleTaskGP(
        ROWS,
        TARGETS.unsqueeze(-1),
        likelihood=likelihood,
        covar_module=kernel,
        mean_module=constant,
        outcome_transform=None,
    ).eval()


@pytest.mark.parametrize("smoothness", [0.5, 1.5, M52, SE])
def test_it_is_botorchs_model_with_botorchs_gradient(smoothness: float) -> None:
    vector = (0.3, 1.5, 0.01, 0.7)
    ours = LogExpectedImproving().make(situation(process(smoothness, vector)))
    theirs = LogExpectedImprovement(botorch_model(smoothness, vector), best_f=1.0)
    gradients = []
    for acquisition in (ours, theirs):
        x = points(0.1, 0.33, 0.8, 1.4).requires_grad_()
        values = acquisition(x)
        (gradient,) = torch.autograd.grad(values.sum(), x)
        gradients.append((values.detach(), gradient))
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-8, atol=1e-9)


def test_joint_posterior_of_pending_points() -> None:
    mean, covariance = table(SE, 0.01).joint(tensor(0.25, 0.3).reshape(1, 2, 1))
    assert mean.flatten().tolist() == pytest.approx([0.66166758, 0.76722141], abs=1e-8)
    assert covariance.flatten().tolist() == pytest.approx([0.02502049, 0.02376505, 0.02376505, 0.02290655], abs=1e-8)


def test_each_member_is_the_model_alone() -> None:
    vectors = [(0.0, 1.0, 0.01, 0.5), (0.3, 1.5, 0.02, 0.7), (-0.1, 0.4, 0.1, 2.0)]
    together = process(M52, *vectors).moments(tensor(0.2, 0.9).unsqueeze(-1))
    alone = [process(M52, vector).moments(tensor(0.2, 0.9).unsqueeze(-1)) for vector in vectors]
    for found, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(found, torch.cat(parts))


def test_conditioning_is_a_model_of_all_data() -> None:
    whole = table(M52, 0.01)
    vectors = Vectors(whole.vectors.covariance, whole.vectors.values)
    half = GaussianProcess(vectors, ROWS[:2], TARGETS[None, :2, None])
    found = half.condition(ROWS[2:], TARGETS[None, 2:, None])
    torch.testing.assert_close(found.moments(tensor(0.3).unsqueeze(0)), whole.moments(tensor(0.3).unsqueeze(0)))


def test_an_irrelevant_input_is_switched_off_by_a_long_length_scale() -> None:
    covariance = Stationary(M52).on(line(2))
    rows = torch.rand(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.sin(5 * rows[:, 0])[None, :, None]
    model = GaussianProcess(Vectors(covariance, tensor(0, 1, 1e-4, 0.4, 1e5).unsqueeze(0)), rows, targets)
    there = model.moments(torch.tensor([[0.3, 0.0], [0.3, 1.0]], dtype=torch.float64))
    assert there[0][0, 0].item() == pytest.approx(there[0][0, 1].item(), abs=1e-6)
    assert there[1][0, 0].item() == pytest.approx(there[1][0, 1].item(), abs=1e-6)


def test_equal_rows_without_noise_have_a_factor() -> None:
    matrix = torch.ones(1, 4, 4, dtype=torch.float64)
    root = cholesky(matrix)
    torch.testing.assert_close(root @ root.mT, matrix, atol=1e-5, rtol=0)
    with pytest.raises(NasError):
        cholesky(torch.full((1, 2, 2), torch.nan, dtype=torch.float64))


def test_all_rows_equal() -> None:
    strategy = bo(line())
    rows = torch.full((5, 1), 0.5, dtype=torch.float64)
    vectors = Vectors(strategy.covariance, tensor(0, 1, 1e-6, 0.3).unsqueeze(0))
    model = GaussianProcess(vectors, rows, tensor(1, 1, 1, 1, 1)[None, :, None])
    mean, variance = model.moments(tensor(0.5).unsqueeze(0))
    assert mean.item() == pytest.approx(1, abs=1e-5)
    assert variance.item() == pytest.approx(0, abs=1e-5)
