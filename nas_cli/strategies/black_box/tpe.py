"""The tree-structured Parzen estimator (TPE)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from nas_cli.architecture import Value
from nas_cli.errors import require
from nas_cli.journal import Trial
from nas_cli.seeding import numpy_generator
from nas_cli.spaces.base import Space
from nas_cli.spaces.combinations import finite_axes, is_active, walk
from nas_cli.spaces.decisions import Decision
from nas_cli.strategies.black_box.base import Candidate, Strategy
from nas_cli.strategies.black_box.multivariate import Multivariate
from nas_cli.strategies.black_box.parzen import Density, density

#: How often a proposal may be one that was judged before, and then a draw from the prior, until something else is done.
PROPOSALS, DRAWS = 10, 100

#: hyperopt's largest number of good trials.
MOST_GOOD = 25

Values = tuple[Value, ...]


class TPE(Strategy):
    """Model good and bad trials by two densities, l and g, and propose where l / g is largest.

    The expected improvement over the quantile between them is proportional to 1 / (gamma + (1 - gamma) g / l).
    In the papers each decision has densities of its own, of the trials in which it was active; the default has kernels
    over all decisions at once, which find more on Branin and Hartmann6 in 60 evaluations. Failed trials are bad ones,
    and so are pending ones until they are told (a constant liar that expects the worst). No architecture is proposed
    twice; the search ends where none is left.

    Args:
        evaluations: how many candidates to judge.
        gamma: share or number of good trials, see `split`. Paper: 0.15; hyperopt: 0.25; optuna: 0.1.
        split: ``linear``: ⌈gamma n⌉ of n, as in the paper; ``sqrt``: min(⌈gamma √n⌉, 25), as in hyperopt.
        joint: rank whole drawn configurations, as in the paper; otherwise the draws of every decision by themselves,
            as hyperopt does.
        n_startup: so many draws from the prior first. hyperopt: 20.
        n_candidates: draws from l to choose among. hyperopt: 24.
        prior_weight: how many observations the prior counts for. hyperopt: 1.
        forgetting: so many of the newest observations count fully; None: all. hyperopt: 25.
        parzen: ``multivariate``: a kernel per trial over all decisions; ``hyperopt``, ``paper``: densities of every
            decision by itself, a number's kernels as in either.

    Differs from the papers: what was judged before is drawn again. A number with a step owns half a step beyond either
    end of its range, where hyperopt gives the ends half of what others get. `experiment=tpe/paper` and `tpe/hyperopt`
    have the papers' values.
    Reference: Bergstra, Bardenet, Bengio, Kégl, Algorithms for hyper-parameter optimization, NIPS 2011, sec. 4.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        evaluations: int = 100,
        gamma: float = 0.1,
        split: Literal["linear", "sqrt"] = "linear",
        joint: bool = True,
        n_startup: int = 10,
        n_candidates: int = 24,
        prior_weight: float = 1.0,
        forgetting: int | None = 25,
        parzen: Literal["multivariate", "hyperopt", "paper"] = "multivariate",
    ) -> None:
        require(0 < gamma < 1, f"gamma must be between 0 and 1, not {gamma}")
        require(n_startup >= 1, f"n_startup must be at least 1, not {n_startup}")
        require(n_candidates >= 1, f"n_candidates must be at least 1, not {n_candidates}")
        require(0 < prior_weight < math.inf, f"prior_weight must be above 0 and finite, not {prior_weight}")
        require(forgetting is None or forgetting >= 1, f"forgetting must be at least 1 or null, not {forgetting}")
        require(joint or parzen != "multivariate", "parzen=multivariate needs joint=true: it has whole configurations")
        super().__init__(evaluations)
        self.space = space
        self.seed = seed
        self.gamma = gamma
        self.split = split
        self.joint = joint
        self.n_startup = n_startup
        self.n_candidates = n_candidates
        self.prior_weight = prior_weight
        self.forgetting = forgetting
        self.parzen = parzen
        self.asked = 0
        self.told: list[tuple[Values, float | None]] = []

    def caution(self) -> str | None:
        if self.evaluations is None or self.evaluations > self.n_startup:
            return None
        return (
            f"strategy.evaluations={self.evaluations} with strategy.n_startup={self.n_startup}: every candidate is "
            "drawn from the prior, as in random search"
        )

    def ask(self, count: int, pending: Sequence[Candidate]) -> Sequence[Candidate]:
        waiting = [self.space.encode(candidate.architecture) for candidate in pending]
        asked: list[Candidate] = []
        for _ in range(count):
            values = self._next(waiting)
            if values is None:
                break
            waiting.append(values)
            asked.append(Candidate(self.space.decode(values)))
        return asked

    def _next(self, waiting: Sequence[Values]) -> Values | None:
        """The next point, or None where all have been asked for."""
        generator = numpy_generator(self.seed, "tpe", self.asked)
        self.asked += 1
        trials = [*self.told, *((values, None) for values in waiting)]
        seen = {values for values, _ in trials}
        return next((values for values in self._candidates(trials, generator) if values not in seen), None)

    def _candidates(
        self, trials: Sequence[tuple[Values, float | None]], generator: np.random.Generator
    ) -> Iterator[Values]:
        """Points in the order in which they would be taken, if they were not seen before."""
        if len(trials) >= self.n_startup:
            good, bad = self.parts(trials)
            for _ in range(PROPOSALS):
                yield self._propose(good, bad, generator)
        for _ in range(DRAWS):
            yield self.space.encode(self.space.sample(generator))
        axes = finite_axes(self.space.decisions)
        if axes is not None:
            yield from walk(self.space.decisions, axes)

    def parts(self, trials: Sequence[tuple[Values, float | None]]) -> tuple[list[Values], list[Values]]:
        """The good trials and the others, both oldest first.

        Args:
            trials: values and score, oldest first; no score: failed or pending.
        """
        n = len(trials)
        most = math.ceil(self.gamma * n) if self.split == "linear" else min(math.ceil(self.gamma * n**0.5), MOST_GOOD)
        scored = [(-score, k) for k, (_, score) in enumerate(trials) if score is not None]
        good = {k for _, k in sorted(scored)[:most]}  # of equals, the older
        return [trials[k][0] for k in sorted(good)], [trials[k][0] for k in range(n) if k not in good]

    def _propose(self, good: Sequence[Values], bad: Sequence[Values], generator: np.random.Generator) -> Values:
        decisions = self.space.decisions
        if self.parzen == "multivariate":
            better, worse = (Multivariate(decisions, ts, self.prior_weight, self.forgetting) for ts in (good, bad))
            points = [better.draw(generator) for _ in range(self.n_candidates)]
            return max(points, key=lambda values: better.log(values) - worse.log(values))
        model = _Nodes(decisions, good, bad, self.parzen, self.prior_weight, self.forgetting)
        if not self.joint:
            return model.draw(generator, self.n_candidates)[0]
        drawn = [model.draw(generator, 1) for _ in range(self.n_candidates)]
        return max(drawn, key=lambda pair: pair[1])[0]

    def tell(self, trial: Trial) -> None:
        self.told.append((self.space.encode(trial.architecture), trial.score))

    def state_dict(self) -> dict[str, Any]:
        return {"asked": self.asked, "told": [(list(values), score) for values, score in self.told]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.asked = state["asked"]
        self.told = [(tuple(values), score) for values, score in state["told"]]


class _Nodes:
    """The two densities of every decision by itself, made when they are first needed.

    Args:
        good, bad: trials, oldest first.
        options: the rest of what `density` takes.
    """

    def __init__(
        self, decisions: Sequence[Decision], good: Sequence[Values], bad: Sequence[Values], *options: Any
    ) -> None:
        self.decisions = decisions
        self._trials = good, bad
        self._options = options
        self._densities: dict[int, tuple[Density, Density]] = {}

    def draw(self, generator: np.random.Generator, draws: int) -> tuple[Values, float]:
        """A point and its log l / g: from the root to the leaves, each decision the best of so many draws from l."""
        values: list[Value] = []
        chosen: dict[str, Value] = {}
        total = 0.0
        for node, decision in enumerate(self.decisions):
            values.append(None)
            if not is_active(decision, chosen):
                continue
            good, bad = self._pair(node)
            drawn = good.draw(generator, draws)
            ratios = good.log(drawn) - bad.log(drawn)
            best = int(np.argmax(ratios))
            values[-1] = chosen[decision.name] = drawn[best]
            total += float(ratios[best])
        return tuple(values), total

    def _pair(self, node: int) -> tuple[Density, Density]:
        """l and g of a decision, of the trials in which it was active."""
        if node not in self._densities:
            good, bad = (
                density(self.decisions[node], [v[node] for v in trials if v[node] is not None], *self._options)
                for trials in self._trials
            )
            self._densities[node] = good, bad
        return self._densities[node]
