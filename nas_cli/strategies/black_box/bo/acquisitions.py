"""Acquisition functions: how much a point promises, given the posterior; BoTorch's, with their schedules."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from botorch.acquisition import (
    AcquisitionFunction,
    ExpectedImprovement,
    LogExpectedImprovement,
    PosteriorMean,
    ProbabilityOfImprovement,
    UpperConfidenceBound,
    qExpectedImprovement,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
)
from botorch.exceptions.warnings import NumericsWarning
from botorch.sampling import SobolQMCNormalSampler
from botorch.utils.transforms import t_batch_mode_transform
from torch import Tensor

from nas_cli.errors import require
from nas_cli.seeding import derive
from nas_cli.strategies.black_box.bo.gaussian_process import GaussianProcess
from nas_cli.strategies.black_box.bo.kernels.box import Box

DRAWS = 256  # of the joint posterior, where an expectation has no closed form
BASELINE = 64  # noisy_ei's best value is the best of so many rows: those with the highest means
XiSchedule = Literal["constant", "linear", "exponential"]
EXPONENTIAL_DECAY = 0.95  # of xi from one proposal to the next; ours


@dataclass(frozen=True)
class Situation:
    """What an acquisition may depend on beside the point.

    Args:
        model: the posterior, pending points included where they are conditioned on.
        incumbent: (members,) the value to improve on, for each member.
        proposal: the number of this model-based proposal, from 1.
        proposals: how many there will be in all, where that is known.
        dimension: how many decisions there are.
        size: how many architectures, where that is finite.
        pending: (pending, columns) rows to be judged jointly with the point.
        seed: of draws.
    """

    model: GaussianProcess
    incumbent: Tensor
    proposal: int
    proposals: int | None
    dimension: int
    size: int | None
    pending: Tensor | None
    seed: int


class Averaged(AcquisitionFunction):  # type: ignore[misc]
    """The mean of an acquisition over the members of a model, in units of cost where there is one.

    Args:
        members: gives (points, members) for X (points, 1, 1, columns).
        logarithmic: whether the acquisition is a logarithm; the mean is then that of the values.
        log_cost: gives (points, vectors) for X (points, columns).

    Reference: Snoek, Larochelle, Adams, NIPS 2012, sec. 3.2: the integrated acquisition.
    """

    def __init__(self, members: AcquisitionFunction, logarithmic: bool, log_cost: LogCost | None = None) -> None:
        super().__init__(model=members.model)
        self.members = members
        self.logarithmic = logarithmic
        self.log_cost = log_cost

    @t_batch_mode_transform(expected_q=1, assert_output_shape=False)  # type: ignore[untyped-decorator]
    def forward(self, X: Tensor) -> Tensor:  # noqa: N803  (BoTorch's name)
        values: Tensor = self.members(X.unsqueeze(-3))
        if self.log_cost is not None:
            cost = self.log_cost(X.squeeze(-2))
            cost = cost.repeat_interleave(values.shape[-1] // cost.shape[-1], -1)
            values = values - cost if self.logarithmic else values / cost.exp()
        if values.shape[-1] == 1:
            return values.squeeze(-1)
        count = values.shape[-1]
        return values.logsumexp(-1) - math.log(count) if self.logarithmic else values.mean(-1)


class LogCost(ABC):
    """The logarithm of what judging a point costs, under each vector of hyper-parameters."""

    @abstractmethod
    def __call__(self, points: Tensor) -> Tensor: ...


class Acquisition(ABC):
    """An acquisition as an option: `strategy/acquisition=…`.

    Attributes:
        option: its name there; a user's own: its class.
        logarithmic: whether it is the logarithm of what is averaged.
        is_utility: whether it is never negative (or the logarithm of such), so that it can be had per unit of cost.
        fantasises: whether it may be averaged over fantasies of pending results.
        judges_jointly: whether pending points can enter as a joint improvement.
        draws_function: whether it is a random draw, the same for one proposal only.
    """

    option = "Acquisition"
    logarithmic = False
    is_utility = True
    fantasises = True
    judges_jointly = False
    draws_function = False

    def __init_subclass__(cls, option: str | None = None) -> None:
        super().__init_subclass__()
        cls.option = option or cls.__name__

    def make(self, situation: Situation, log_cost: LogCost | None = None) -> AcquisitionFunction:
        """The acquisition of one point: X (points, 1, columns) -> (points,)."""
        return Averaged(self.of_members(situation), self.logarithmic, log_cost)

    @abstractmethod
    def of_members(self, situation: Situation) -> AcquisitionFunction:
        """Under each member of the model: X (points, 1, 1, columns) -> (points, members)."""


class _Improving(Acquisition):
    """An acquisition of the improvement over the incumbent by more than xi.

    Args:
        xi: the least improvement that counts, in units of the modelled scores. Lizotte's and Brochu's: 0.01.
        xi_schedule: constant; linear: xi (1 - t / T), or exponential: xi 0.95^t (ours; Kushner's has no formula).
    """

    def __init__(self, xi: float = 0.0, xi_schedule: XiSchedule = "constant") -> None:
        require(0 <= xi < math.inf, f"xi must be finite and not negative, not {xi}")
        self.xi = xi
        self.xi_schedule = xi_schedule

    def xi_of(self, proposal: int, proposals: int | None) -> float:
        """xi of a proposal, by its number from 1; where the number of all is unknown a linear one stays as it is."""
        shares = {
            "constant": 1.0,
            "linear": max(0.0, 1 - proposal / proposals) if proposals else 1.0,
            "exponential": EXPONENTIAL_DECAY**proposal,
        }
        return self.xi * shares[self.xi_schedule]

    def target(self, situation: Situation) -> Tensor:
        """What has to be exceeded, (members,)."""
        return situation.incumbent + self.xi_of(situation.proposal, situation.proposals)


class ProbabilityOfImproving(_Improving, option="pi"):
    """PI: Phi((mu - f - xi) / sigma).

    Reference: Kushner 1964; Brochu, Cora, de Freitas, arXiv:1012.2599, eq. 2.
    """

    def __init__(self, xi: float = 0.01, xi_schedule: XiSchedule = "constant") -> None:
        super().__init__(xi, xi_schedule)

    def of_members(self, situation: Situation) -> AcquisitionFunction:
        return ProbabilityOfImprovement(situation.model, self.target(situation).unsqueeze(-1))


class ExpectedImproving(_Improving, option="ei"):
    """EI: (mu - f - xi) Phi(Z) + sigma phi(Z), Z = (mu - f - xi) / sigma.

    Reference: Mockus 1978; Brochu, Cora, de Freitas, arXiv:1012.2599, eq. 4; jointly with pending points: Ginsbourger,
        Le Riche, Carraro 2008.
    """

    judges_jointly = True

    def of_members(self, situation: Situation) -> AcquisitionFunction:
        target = self.target(situation)
        with warnings.catch_warnings():
            # BoTorch advises to take the logarithm, which is an option of its own here.
            warnings.simplefilter("ignore", NumericsWarning)
            return self._of_members(situation, target)

    def _of_members(self, situation: Situation, target: Tensor) -> AcquisitionFunction:
        if situation.pending is None:
            return ExpectedImprovement(situation.model, target.unsqueeze(-1))
        return qExpectedImprovement(situation.model, target, sampler=_sampler(situation), X_pending=situation.pending)


class LogExpectedImproving(_Improving, option="log_ei"):
    """The logarithm of EI, which has a gradient also where EI underflows.

    Reference: Ament et al., Unexpected improvements to expected improvement, NeurIPS 2023, arXiv:2310.20708.
    """

    logarithmic = True
    judges_jointly = True

    def of_members(self, situation: Situation) -> AcquisitionFunction:
        target = self.target(situation)
        if situation.pending is None:
            return LogExpectedImprovement(situation.model, target.unsqueeze(-1))
        return qLogExpectedImprovement(
            situation.model, target, sampler=_sampler(situation), X_pending=situation.pending
        )


class ConfidenceBound(Acquisition, option="ucb"):
    """UCB: mu + kappa sigma.

    Args:
        kappa: 0 is pure exploitation; ours: 2.
    Reference: Cox and John 1992 (SDO); Brochu, Cora, de Freitas, arXiv:1012.2599, sec. 2.3.2.
    """

    is_utility = False

    def __init__(self, kappa: float = 2.0) -> None:
        require(0 <= kappa < math.inf, f"kappa must be finite and not negative, not {kappa}")
        self.kappa = kappa

    def of_members(self, situation: Situation) -> AcquisitionFunction:
        return UpperConfidenceBound(situation.model, beta=self.kappa**2)


class GPUCB(Acquisition, option="gp_ucb"):
    """GP-UCB: mu + sqrt(nu tau_t) sigma, whose weight grows with the number of proposals so that regret vanishes.

    tau_t = 2 log(t^(d/2 + 2) pi^2 / 3 delta); on a finite space 2 log(|D| t^2 pi^2 / 6 delta).

    Args:
        nu: 1 in theory; Brochu's figures: 0.2.
        delta: the probability that the bound on the regret fails. Brochu's figures: 0.1.
    Reference: Srinivas et al., ICML 2010, theorems 1 and 2; Brochu, Cora, de Freitas, arXiv:1012.2599, eq. 5.
    """

    is_utility = False

    def __init__(self, nu: float = 1.0, delta: float = 0.1) -> None:
        require(0 < nu < math.inf, f"nu must be above 0 and finite, not {nu}")
        require(0 < delta < 1, f"delta must lie between 0 and 1, not {delta}")
        self.nu = nu
        self.delta = delta

    def weight(self, proposal: int, dimension: int, size: int | None) -> float:
        """The square of what multiplies sigma."""
        if size is not None:
            # A space may have more architectures than a float can count.
            tau = 2 * (math.log(size) + 2 * math.log(proposal) + math.log(math.pi**2 / (6 * self.delta)))
        else:
            tau = 2 * ((dimension / 2 + 2) * math.log(proposal) + math.log(math.pi**2 / (3 * self.delta)))
        return self.nu * tau

    def of_members(self, situation: Situation) -> AcquisitionFunction:
        beta = self.weight(situation.proposal, situation.dimension, situation.size)
        return UpperConfidenceBound(situation.model, beta=beta)


class Mean(Acquisition, option="posterior_mean"):
    """The posterior mean: pure exploitation."""

    is_utility = False
    fantasises = False

    def of_members(self, situation: Situation) -> AcquisitionFunction:
        return PosteriorMean(situation.model)


class NoisyExpectedImproving(Acquisition, option="noisy_ei"):
    """The logarithm of EI over the best latent value at the observed points, averaged over what that may be.

    Reference: Letham et al., Bayesian Analysis 14, 2019, arXiv:1706.07094; Ament et al., arXiv:2310.20708.
    """

    logarithmic = True
    fantasises = False
    judges_jointly = True

    def of_members(self, situation: Situation) -> AcquisitionFunction:
        model = situation.model
        # Rows whose means are lower cannot be the best, and the cost is cubic in the rows.
        with torch.no_grad():
            best = model.moments(model.rows)[0].mean((0, 2)).argsort(descending=True, stable=True)[:BASELINE]
        return qLogNoisyExpectedImprovement(
            model,
            X_baseline=model.rows[best],
            sampler=_sampler(situation),
            X_pending=situation.pending,
            prune_baseline=False,
            cache_root=False,
        )


def _sampler(situation: Situation) -> SobolQMCNormalSampler:
    return SobolQMCNormalSampler(torch.Size([DRAWS]), seed=derive(situation.seed, "sampler") % 2**31)


class OfArchitectures(AcquisitionFunction):  # type: ignore[misc]
    """An acquisition at the rows of the architectures that rows of a box stand for.

    A row may be between whole numbers, or differ from its architecture's in decisions that are inactive there, and is
    then no architecture's.
    """

    def __init__(self, acquisition: AcquisitionFunction, box: Box) -> None:
        super().__init__(model=acquisition.model)
        self.acquisition = acquisition
        self.box = box

    def forward(self, X: Tensor) -> Tensor:  # noqa: N803  (BoTorch's name)
        value: Tensor = self.acquisition(self.box.canonical(X))
        return value
