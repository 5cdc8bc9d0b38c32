"""Bayesian optimisation: a Gaussian process of the scores, and an acquisition that is maximised for each proposal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from botorch.acquisition import AcquisitionFunction
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, InputError, require
from nas_cli.estimators.base import Estimator
from nas_cli.journal import Trial
from nas_cli.seeding import derive, numpy_generator
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.base import Candidate, Strategy
from nas_cli.strategies.black_box.bo.acquisitions import Acquisition, LogCost, Situation
from nas_cli.strategies.black_box.bo.cost import Cost, log_durations
from nas_cli.strategies.black_box.bo.density import Treatment
from nas_cli.strategies.black_box.bo.gaussian_process import GaussianProcess
from nas_cli.strategies.black_box.bo.hyperparameters import Hyperparameters
from nas_cli.strategies.black_box.bo.initial import Initial
from nas_cli.strategies.black_box.bo.kernels.base import Kernel
from nas_cli.strategies.black_box.bo.kernels.box import Box
from nas_cli.strategies.black_box.bo.maximisers.base import Hunt, Maximiser
from nas_cli.strategies.black_box.bo.maximisers.discrete import every
from nas_cli.strategies.black_box.bo.observations import Observations
from nas_cli.strategies.black_box.bo.pending import Pending
from nas_cli.strategies.black_box.bo.priors import Priors
from nas_cli.strategies.black_box.bo.surrogate import Surrogate, standardised

TRIES = 1000  # random architectures before a space is taken to be exhausted
FEW = 20_000  # architectures that are gone through instead
FAILURES = 200  # the newest, that proposals keep away from
EXACT_NOISE = 1e-11  # variance of scores without noise, which the search can polish so


class BayesianOptimisation(Strategy):
    """Proposes what a Gaussian process of the scores so far makes look best.

    The first points come from a design, every later one from the maximum of an acquisition. Failed trials count as the
    worst score in proposals, and not at all for hyper-parameters; nothing is proposed twice.

    Args:
        kernel: how alike architectures are.
        hyperparameters: how those of the Gaussian process are inferred.
        priors: of the hyper-parameters.
        acquisition: what a point promises.
        maximiser: of the acquisition.
        pending: what is assumed of points without a result.
        cost: whether what a trial costs counts.
        initial: the first points.
        estimator: what judges; None: something of which nothing is known, and so not that it is exact.
        evaluations: how many candidates to judge.
        mean: the prior mean, a constant that is inferred, or zero.
        noise: variance of the scores' noise in units of the modelled scores; None: next to none, 1e-11, where scores
            are exact, else inferred.
        exact: whether scores are taken to have no noise where none is named; None: those of an estimator without noise
            under a kernel over numbers. Other kernels may take different architectures, with their different scores,
            for the same.
        amplitude: variance theta_0 of the function in these units; null: inferred, unless the priors fix it.
        incumbent: what is improved on: the best score, or the best posterior mean at a judged point (for noisy scores).
        standardise: whether scores are modelled in units of their standard deviation from their mean.
        target: what of the score is modelled: itself, or minus the logarithm of the error, 1 - score, no error at all
            as half the least seen.

    Raises `CombinationError` for `log_error` where the score is no accuracy, and where parts do not go together.

    Reference: Brochu, Cora, de Freitas, arXiv:1012.2599; Snoek, Larochelle, Adams, NIPS 2012, arXiv:1206.2944.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        kernel: Kernel,
        hyperparameters: Hyperparameters,
        priors: Priors,
        acquisition: Acquisition,
        maximiser: Maximiser,
        pending: Pending,
        cost: Cost,
        initial: Initial,
        estimator: Estimator | None = None,
        evaluations: int = 60,
        mean: Literal["constant", "zero"] = "constant",
        noise: float | None = None,
        exact: bool | None = None,
        amplitude: float | None = None,
        incumbent: Literal["best_observed", "best_posterior_mean"] = "best_observed",
        standardise: bool = True,
        target: Literal["score", "log_error"] = "score",
    ) -> None:
        super().__init__(evaluations)
        require(noise is None or 0 < noise < math.inf, f"noise must be above 0 and finite, not {noise}")
        require(amplitude is None or 0 < amplitude < math.inf, f"amplitude must be above 0 and finite, not {amplitude}")
        if target == "log_error" and estimator is not None and not estimator.score_name.endswith("accuracy"):
            raise CombinationError(
                f"strategy.target=log_error: candidates are judged by {estimator.score_name}, which is no accuracy; "
                "take score"
            )
        self.space = space
        self.seed = seed
        self.covariance = kernel.on(space)
        self.acquisition = acquisition
        cost.check(acquisition)
        self.cost = cost
        self.pending = pending.for_(acquisition, cost.is_modelled)
        self.maximiser = maximiser.for_(space, self.covariance, acquisition)
        if exact is None:
            exact = estimator is not None and estimator.is_exact and isinstance(self.covariance.inputs, Box)
        if noise is None and exact:
            noise = EXACT_NOISE
        of_scores = Treatment(mean == "constant", noise, amplitude)
        # Durations are measured, and neither a noise nor an amplitude that was named for scores is theirs.
        of_durations = Treatment(of_scores.mean, noise=None)
        self.scores = Surrogate("scores", self.covariance, hyperparameters, priors, of_scores, seed)
        self.durations = Surrogate("durations", self.covariance, hyperparameters, priors, of_durations, seed)
        self.uses_posterior_mean = incumbent == "best_posterior_mean"
        self.standardise = standardise
        self.is_log_error = target == "log_error"
        self.observations = Observations()
        self.box = Box(space)
        self.first = initial.count(self.box.columns)
        self.design = self.box.stretched(initial.design(self.first, self.box.columns, seed))
        self.designed = 0  # how many points of the design were asked for
        self.proposed = 0  # how many proposals were made since

    def caution(self) -> str | None:
        if self.evaluations is None or self.evaluations > self.first:
            return None
        return (
            f"strategy.evaluations={self.evaluations} of a design of {self.first} points (strategy.initial.points): "
            "none is left for the model to propose"
        )

    def ask(self, count: int, pending: Sequence[Candidate]) -> Sequence[Candidate]:
        waiting = [candidate.architecture for candidate in pending]
        found: list[Candidate] = []
        for _ in range(count):
            architecture = self._next(waiting)
            if architecture is None:
                break
            waiting.append(architecture)
            found.append(Candidate(architecture))
        return found

    def _next(self, waiting: list[Architecture]) -> Architecture | None:
        """One more candidate beside those without a result; None: there is no new one."""
        if self.designed < self.first:
            self.designed += 1
            candidate = self.box.architecture(self.design[self.designed - 1])
            return candidate if self._is_new(candidate, waiting) else self._random(waiting)
        if not self.observations.scores:
            return self._random(waiting)
        self.proposed += 1
        best = next((each for each in self._promising(waiting) if self._is_new(each, waiting)), None)
        return best or self._random(waiting)

    def _is_new(self, architecture: Architecture, waiting: list[Architecture]) -> bool:
        return not self.observations.knows(architecture) and architecture not in waiting

    def _random(self, waiting: list[Architecture]) -> Architecture | None:
        """A random candidate that is new; None where the space has no more."""
        generator = numpy_generator(self.seed, "random", self.designed, self.proposed, len(waiting))
        draws: Iterator[Architecture] = (self.space.sample(generator) for _ in range(TRIES))
        found = next((each for each in draws if self._is_new(each, waiting)), None)
        size = self.space.size()
        if found is None and size is not None and size <= FEW:
            found = next((each for each in every(self.space) if self._is_new(each, waiting)), None)
        return found

    def outlook(self, waiting: Sequence[Architecture]) -> tuple[Situation, AcquisitionFunction]:
        """What the next proposal is made by, beside those without a result: the posterior, and its acquisition."""
        seed = derive(self.seed, "proposal", self.proposed)
        with torch.no_grad():
            model = self._posterior()
            rows = self.covariance.inputs.rows(waiting) if waiting else None
            if rows is not None:
                model = self.pending.condition(model, rows, seed)
            incumbent = self._incumbent(model)
            log_cost = self._log_cost()
        situation = Situation(
            model=model,
            incumbent=incumbent,
            proposal=self.proposed,
            proposals=None if self.evaluations is None else max(1, self.evaluations - self.first),
            dimension=self.box.columns,
            size=self.space.size(),
            pending=rows if self.pending.is_joint else None,
            seed=seed,
        )
        return situation, self.acquisition.make(situation, log_cost)

    def _promising(self, waiting: list[Architecture]) -> Iterator[Architecture]:
        """Architectures by falling acquisition."""
        situation, acquisition = self.outlook(waiting)

        def is_known(architecture: Architecture) -> bool:
            return not self._is_new(architecture, waiting)

        ranked = self.observations.ranked()
        yield from self.maximiser.best(
            Hunt(acquisition, self.space, self.covariance.inputs, ranked, is_known, situation.seed)
        )

    def _posterior(self) -> GaussianProcess:
        """The Gaussian process of the modelled scores."""
        scores = torch.tensor(self.observations.scores, dtype=torch.float64)
        targets = -log_errors(scores) if self.is_log_error else scores
        if self.standardise:
            targets, _, _ = standardised(targets)
        # As bad as the worst; nothing would keep the next proposal from their side otherwise.
        failed = self.observations.failed[-FAILURES:]
        return self.scores.posterior(self.observations.judged, targets, failed=failed)

    def _incumbent(self, model: GaussianProcess) -> Tensor:
        """The value to improve on, for each member."""
        values = model.moments(model.rows)[0] if self.uses_posterior_mean else model.targets
        return values.amax(1).reshape(-1)

    def _log_cost(self) -> LogCost | None:
        if not self.cost.is_modelled:
            return None
        targets, shift, scale = standardised(log_durations(self.observations.seconds))
        scores = torch.tensor(self.observations.scores, dtype=torch.float64)
        model = self.durations.posterior(self.observations.judged, targets, scores)
        return self.cost.log_cost(model, shift, scale)

    def tell(self, trial: Trial) -> None:
        score = trial.score if trial.score is not None and math.isfinite(trial.score) else None
        if self.is_log_error and score is not None and score > 1:
            raise InputError(f"strategy.target=log_error: a score of {score:g} is no accuracy; take target=score")
        self.observations.add(trial.architecture, score, trial.cost_seconds)

    def preferred(self) -> Architecture | None:
        """The judged point of the best posterior mean, where that is what proposals improve on (Brochu et al. 2.4)."""
        if not self.uses_posterior_mean or not self.observations.scores:
            return None
        chain = self.scores.chain
        with torch.no_grad():
            model = self._posterior()
            means = model.moments(self.covariance.inputs.rows(self.observations.judged))[0]
        self.scores.chain = chain  # asking for it changes nothing
        return self.observations.judged[int(means.mean(dim=0).reshape(-1).argmax())]

    def state_dict(self) -> dict[str, Any]:
        return {
            "observations": self.observations.state_dict(),
            "designed": self.designed,
            "proposed": self.proposed,
            "scores": self.scores.state_dict(),
            "durations": self.durations.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.observations = Observations.from_state_dict(state["observations"])
        self.designed = state["designed"]
        self.proposed = state["proposed"]
        self.scores.load_state_dict(state["scores"])
        self.durations.load_state_dict(state["durations"])


def log_errors(scores: Tensor) -> Tensor:
    """Logarithms of 1 - score. No error at all counts as half the least that was seen: near minus infinity it would
    leave no difference between all others."""
    errors = 1 - scores
    least = errors[errors > 0].amin() if (errors > 0).any() else 1.0
    return errors.clamp_min(least / 2).log()
