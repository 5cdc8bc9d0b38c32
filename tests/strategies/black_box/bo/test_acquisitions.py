"""Acquisitions: the worked numbers, closed forms against draws, schedules, and averages over hyper-parameters."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from gp_table import M52, SE, TARGETS, Made, bo, line, points, process, situation, table, tensor

from nas_cli.config import compose, configs_folder
from nas_cli.errors import InputError
from nas_cli.spaces.decisions import Integer, Real
from nas_cli.strategies.black_box.bo.acquisitions import (
    GPUCB,
    Acquisition,
    ConfidenceBound,
    ExpectedImproving,
    LogExpectedImproving,
    Mean,
    NoisyExpectedImproving,
    ProbabilityOfImproving,
)
from nas_cli.strategies.black_box.bo.gaussian_process import GaussianProcess, Marginal, Vectors
from nas_cli.strategies.black_box.bo.kernels.stationary import Stationary
from nas_cli.strategies.black_box.bo.thompson import Thompson


class Known(GaussianProcess):
    """A posterior whose mean and standard deviation are the two columns of a point."""

    def __init__(self, members: int = 1) -> None:
        torch.nn.Module.__init__(self)
        self.members = members

    @property
    def batch_shape(self) -> torch.Size:
        return torch.Size([self.members])

    def posterior(self, X: torch.Tensor, *_: Any, **__: Any) -> Marginal:  # noqa: N803
        return Marginal(X[..., :1], X[..., 1:].square())


def at(acquisition: Acquisition, mean: float, deviation: float, incumbent: float) -> torch.Tensor:
    x = tensor(mean, deviation).reshape(1, 1, 2).requires_grad_()
    value = acquisition.make(situation(Known(), tensor(incumbent)))(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return torch.cat([value.detach(), gradient.flatten()])


CASES = [  # mean, deviation, incumbent, xi: PI, EI
    (0, 1, 0, 0, 0.5, 0.398942280401),
    (1, 2, 0.5, 0, 0.598706325683, 1.072689396447),
    (1, 2, 0.5, 0.01, 0.596771784321, 1.066712003902),
    (0.2, 0.1, 0.5, 0, 0.001349898032, 3.8215432e-5),
    (1.5, 0.25, 1, 0, 0.977249868052, 0.502122675654),
]


@pytest.mark.parametrize(("mean", "deviation", "incumbent", "xi", "pi", "ei"), CASES)
def test_worked_numbers(mean: float, deviation: float, incumbent: float, xi: float, pi: float, ei: float) -> None:
    z = (mean - incumbent - xi) / deviation
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    found = at(ProbabilityOfImproving(xi=xi), mean, deviation, incumbent)
    assert found[0].item() == pytest.approx(pi, abs=1e-11)
    assert found[1].item() == pytest.approx(density / deviation, rel=1e-9)
    found = at(ExpectedImproving(xi=xi), mean, deviation, incumbent)
    assert found.tolist() == pytest.approx([ei, pi, density], abs=1e-11)
    found = at(LogExpectedImproving(xi=xi), mean, deviation, incumbent)
    assert found[0].item() == pytest.approx(math.log(ei), abs=1e-7)


@pytest.mark.parametrize("xi", [0.0, 0.2])
@pytest.mark.parametrize(("smoothness", "noise"), [(SE, 0.01), (M52, 0.0), (M52, 0.01)])
def test_closed_forms_are_means_over_draws(smoothness: float, noise: float, xi: float) -> None:
    """EI and PI against their definitions, within four standard errors of 200,000 draws."""
    model = table(smoothness, noise)
    x = points(-0.4, 0.25, 0.3, 0.62, 0.9, 1.6)
    mean, variance = model.moments(x.squeeze(-2))
    draws = torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    incumbent = 0.6
    over = mean.flatten()[:, None] + variance.flatten().sqrt()[:, None] * draws - incumbent - xi
    for acquisition, of_draws in [
        (ExpectedImproving(xi=xi), over.clamp_min(0)),
        (ProbabilityOfImproving(xi=xi), (over > 0).double()),
    ]:
        found = acquisition.make(situation(model, tensor(incumbent)))(x)
        error = of_draws.std(-1) / len(draws) ** 0.5
        assert (error > 0).all()
        assert ((found - of_draws.mean(-1)).abs() < 4 * error).all()
        assert (found > 20 * error).sum() >= 4  # so the draws have something to say


@pytest.mark.parametrize(("z", "value"), [(0, -0.918938533205), (-10, -55.553122036122), (-40, -808.298568356620)])
def test_log_ei_where_ei_underflows(z: float, value: float) -> None:
    assert at(LogExpectedImproving(), z, 1, 0)[0].item() == pytest.approx(value, abs=1e-9)


def test_confidence_bounds_and_mean() -> None:
    assert at(ConfidenceBound(kappa=2), 1, 2, 0)[0].item() == pytest.approx(5)
    assert at(ConfidenceBound(kappa=0), 1, 2, 0)[0].item() == 1
    assert at(Mean(), 1, 2, 0)[0].item() == 1


@pytest.mark.parametrize(
    ("dimension", "proposal", "root"),
    [
        (1, 1, 2.643267892600),
        (6, 1, 2.643267892600),
        (1, 2, 3.2330482605),
        (1, 10, 4.3011382932),
        (1, 100, 5.4783862662),
        (2, 2, 3.3385248592),
        (2, 10, 4.5609621474),
        (2, 100, 5.8836966499),
        (6, 10, 5.4783862662),
        (6, 100, 7.2827582008),
    ],
)
def test_gp_ucb_on_a_box(dimension: int, proposal: int, root: float) -> None:
    assert math.sqrt(GPUCB().weight(proposal, dimension, None)) == pytest.approx(root, abs=1e-9)
    assert GPUCB(nu=0.2).weight(proposal, dimension, None) == pytest.approx(0.2 * root**2)
    made = GPUCB().make(situation(Known(), tensor(0), proposal=proposal, dimension=dimension))
    assert made(tensor(1, 2).reshape(1, 1, 2)).item() == pytest.approx(1 + 2 * root)


def test_gp_ucb_on_a_finite_space() -> None:
    assert GPUCB().weight(10, 4, 1000) == pytest.approx(28.626421720870, abs=1e-10)
    # More architectures than a float can count.
    assert GPUCB().weight(10, 4, 10**400) == pytest.approx(28.626421720870 + 2 * 397 * math.log(10))


def test_xi_schedules() -> None:
    shares = {
        schedule: [ExpectedImproving(0.5, schedule).xi_of(t, 4) for t in (1, 2, 4, 9)]
        for schedule in ("constant", "linear", "exponential")
    }
    assert shares["constant"] == [0.5] * 4
    assert shares["linear"] == [0.375, 0.25, 0, 0]
    assert shares["exponential"] == pytest.approx([0.5 * 0.95**t for t in (1, 2, 4, 9)])


def test_a_larger_xi_explores_more() -> None:
    """The maximum of PI moves from beside the best point into the gap between points."""
    model = process(SE, (0.0, 1.0, 1e-6, 0.15))
    grid = torch.linspace(0, 1, 401, dtype=torch.float64)[:, None, None]
    found = [grid[ProbabilityOfImproving(xi=xi).make(situation(model))(grid).argmax()].item() for xi in (1e-4, 0.5)]
    gaps = [abs(x - 0.5) for x in found]
    assert gaps[0] < 0.02
    assert gaps[1] > 0.05


def test_integrated_ei_is_the_mean_of_eis() -> None:
    """Section 8: two vectors, f+ = 1."""
    model = process(SE, (0.0, 1.0, 0.01, 0.5), (0.3, 1.5, 0.02, 0.7))
    found = ExpectedImproving().make(situation(model))(points(0.25, 0.3))
    assert found.tolist() == pytest.approx([0.000557902780, 0.002715628230], abs=1e-11)
    logarithms = LogExpectedImproving().make(situation(model))(points(0.25, 0.3))
    assert logarithms.exp().tolist() == pytest.approx(found.tolist(), rel=1e-8)


@pytest.mark.parametrize("acquisition", [ExpectedImproving(), LogExpectedImproving()])
def test_joint_improvement_by_draws(acquisition: Acquisition) -> None:
    """qEI({.25, .3}) = .0020389734 without noise; smoothing and 256 quasi-random draws cost a few percent."""
    model = table(SE, 0.0)
    found = acquisition.make(situation(model, pending=tensor(0.25).unsqueeze(0)))(points(0.3)).item()
    assert (math.exp(found) if acquisition.logarithmic else found) == pytest.approx(0.0020389734, rel=0.1)


def test_noisy_ei_without_noise_is_ei() -> None:
    x = points(0.2, 0.3, 0.8)
    for model in (table(M52, 1e-8), process(M52, (0.0, 1.0, 1e-8, 0.5), (0.1, 1.2, 1e-8, 0.6))):
        noisy = NoisyExpectedImproving().make(situation(model))(x).exp()
        assert noisy.tolist() == pytest.approx(ExpectedImproving().make(situation(model))(x).tolist(), rel=0.15)


def test_noisy_ei_is_over_the_best_of_all_rows() -> None:
    """Against its definition, E max(0, f(x) - max f(X)), where any of the rows may be the best."""
    targets = tensor(0.9, 1.0, 0.95)
    model = process(M52, (0.0, 1.0, 0.3, 0.2), targets=targets)
    for place in (0.25, 0.8):
        rows = torch.cat([model.rows, tensor(place).unsqueeze(0)])
        mean, covariance = model.joint(rows.unsqueeze(0))
        normal = torch.randn(200_000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        draws = mean[0, :, 0] + normal @ torch.linalg.cholesky(covariance[0]).T
        expected = (draws[:, 3] - draws[:, :3].amax(-1)).clamp_min(0).mean().item()
        found = NoisyExpectedImproving().make(situation(model))(points(place)).exp().item()
        assert found == pytest.approx(expected, rel=0.1)


def test_noisy_ei_is_over_the_rows_with_the_highest_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those cannot be the best that are left out, and so nothing changes."""
    model = process(M52, (0.0, 1.0, 0.01, 0.2), targets=tensor(0.9, -1.0, 1.0))
    whole = NoisyExpectedImproving().make(situation(model))(points(0.2, 0.8)).exp()
    monkeypatch.setattr("nas_cli.strategies.black_box.bo.acquisitions.BASELINE", 2)
    made = NoisyExpectedImproving().make(situation(model))
    assert sorted(made.members.X_baseline.flatten().tolist()) == [0, 1]
    assert made(points(0.2, 0.8)).exp().tolist() == pytest.approx(whole.tolist(), rel=0.1)


def test_ei_vanishes_at_an_observed_point_and_is_never_negative() -> None:
    model = table(M52, 0.0)
    x = torch.linspace(-1, 2, 301, dtype=torch.float64)[:, None, None]
    assert ExpectedImproving().make(situation(model))(x).min().item() >= 0
    assert ExpectedImproving().make(situation(model))(points(0, 0.5, 1)).max().item() < 1e-6


def test_a_pathwise_draw_has_the_posterior_as_its_distribution() -> None:
    model = process(M52, (0.2, 1.5, 0.01, 0.5), (0.0, 1.0, 0.01, 0.3))
    x = points(0.25, 0.8)
    draws = torch.stack([Thompson().make(situation(model, seed=seed))(x).detach() for seed in range(120)])
    mean, variance = model.moments(x.squeeze(-2))
    spread = (variance + mean[..., 0].square()).mean(0) - mean[..., 0].mean(0).square()
    torch.testing.assert_close(draws.mean(0), mean[..., 0].mean(0), atol=0.25, rtol=0)
    torch.testing.assert_close(draws.std(0), spread.sqrt(), atol=0.15, rtol=0)


def test_a_draw_is_constant_where_a_whole_number_is() -> None:
    """Its random features do not go through the kernel, which rounds."""
    space = Made(Integer("i", 1, 5), Real("r", 0.0, 1.0))
    covariance = Stationary(M52).on(space)
    rows = torch.tensor([[0.1, 0.5], [0.9, 0.2], [0.5, 0.7]], dtype=torch.float64)
    vectors = Vectors(covariance, torch.tensor([[0.0, 1.0, 0.01, 0.2, 0.3]], dtype=torch.float64))
    draw = Thompson().make(situation(GaussianProcess(vectors, rows, TARGETS[None, :, None])))
    within = torch.tensor([[0.21, 0.4], [0.3, 0.4], [0.39, 0.4], [0.41, 0.4]], dtype=torch.float64).unsqueeze(1)
    drawn = draw(within).tolist()
    assert drawn[0] == pytest.approx(drawn[1]) == pytest.approx(drawn[2])
    assert abs(drawn[3] - drawn[0]) > 1e-3


def test_a_draw_is_the_same_function_each_time_it_is_asked() -> None:
    draw = Thompson().make(situation(table(M52, 0.01), seed=3))
    torch.testing.assert_close(draw(points(0.3, 0.7))[1:], draw(points(0.7)))


@pytest.mark.parametrize(
    "path", sorted((configs_folder() / "strategy/acquisition").glob("*.yaml")), ids=lambda p: p.stem
)
def test_an_acquisition_is_called_as_its_file(path: Path) -> None:
    """Refusals name it so."""
    module, _, name = yaml.safe_load(path.read_text())["_target_"].rpartition(".")
    assert getattr(importlib.import_module(module), name).option == path.stem


def test_an_acquisition_of_a_user_s_own_has_its_class_s_name() -> None:
    class Mine(Mean):
        pass

    assert Mine.option == "Mine"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExpectedImproving(xi=-1), "xi must be finite and not negative"),
        (lambda: ExpectedImproving(xi=math.inf), "xi must be finite and not negative"),
        (lambda: ConfidenceBound(kappa=-1), "kappa must be finite and not negative"),
        (lambda: ConfidenceBound(kappa=math.inf), "kappa must be finite and not negative"),
        (lambda: GPUCB(nu=0), "nu must be above 0 and finite"),
        (lambda: GPUCB(nu=math.inf), "nu must be above 0 and finite"),
        (lambda: GPUCB(delta=1), "delta must lie between 0 and 1"),
        (lambda: bo(line(), noise=0.0), "noise must be above 0"),
        (lambda: bo(line(), amplitude=0.0), "amplitude must be above 0"),
        (lambda: bo(line(), noise=math.inf), "noise must be above 0 and finite"),
        (lambda: bo(line(), amplitude=math.inf), "amplitude must be above 0 and finite"),
    ],
)
def test_ranges(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("told", "noise"),
    [(("strategy=bo", "strategy.noise=null"), None), (("+experiment=bo/snoek_mcmc", "strategy.noise=0.01"), 0.01)],
)
def test_noise_can_be_inferred_or_named_whatever_it_was(told: tuple[str, ...], noise: float | None) -> None:
    assert compose("search", told)["strategy"]["noise"] == noise
