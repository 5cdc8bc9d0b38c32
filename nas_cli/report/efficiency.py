"""What random search would have found with fewer trials, and how far the best of several can be trusted.

Reference: Bergstra & Bengio, Random search for hyper-parameter optimization, JMLR 13, 2012, sec. 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.integrate import trapezoid
from scipy.special import log_ndtr

#: The integral over the lowest loss runs over so many standard deviations of a trial, in so many steps of the smallest
#: of them; for smooth integrands the trapezoidal rule is then exact to 1e-12.
REACH, STEPS = 8.5, 20


@dataclass(frozen=True)
class Loss:
    """The mean loss of a trial on some examples, and the variance of that mean."""

    mean: float
    variance: float

    @classmethod
    def zero_one(cls, error: float, examples: int) -> Loss:
        """Of a share of wrong answers: V = Ψ (1 - Ψ) / (n - 1)."""
        return cls(error, error * (1 - error) / (examples - 1))


def weights(valid: Sequence[Loss]) -> list[float]:
    """How probably each trial is the best in truth: w_s = P(Z_s < Z_j for all j), Z_s ~ N(Ψ_s, V_s) independent.

    The lowest of the losses without variance wins where no other falls below it; equals share.
    """
    certain = [loss.mean for loss in valid if loss.variance == 0]
    ceiling = min(certain, default=math.inf)
    uncertain = [loss for loss in valid if loss.variance > 0]
    wins = _wins_below(uncertain, ceiling) if uncertain else []
    rest = max(0.0, 1 - math.fsum(wins)) / max(1, certain.count(ceiling))
    remaining = iter(wins)
    found = [next(remaining) if loss.variance > 0 else rest * (loss.mean == ceiling) for loss in valid]
    return [weight / math.fsum(found) for weight in found]


def _wins_below(losses: Sequence[Loss], ceiling: float) -> list[float]:
    """How probably each of some uncertain losses is the lowest, and below a ceiling."""
    means = np.array([loss.mean for loss in losses])[:, None]
    spreads = np.sqrt([loss.variance for loss in losses])[:, None]
    start = float((means - REACH * spreads).min())
    end = max(min(float((means + REACH * spreads).min()), ceiling), start)
    z = np.linspace(start, end, math.ceil((end - start) / float(spreads.min()) * STEPS) + 2)
    u = (z - means) / spreads
    above = log_ndtr(-u)
    others = np.exp(above.sum(axis=0) - above)
    own = np.exp(-(u**2) / 2) / (spreads * math.sqrt(2 * math.pi))
    return [float(win) for win in trapezoid(own * others, z, axis=1)]


def best_model(valid: Sequence[Loss], test: Sequence[Loss]) -> Loss:
    """The test loss of the best of some trials: the mixture of theirs by how probably each is the best.

    μ_z = Σ w_s μ_s and σ_z² = Σ w_s (μ_s² + σ_s²) - μ_z².
    """
    shares = weights(valid)
    mean = sum(w * loss.mean for w, loss in zip(shares, test, strict=True))
    # As the spread about the mean, which a difference of squares would lose to rounding.
    variance = sum(w * (loss.variance + (loss.mean - mean) ** 2) for w, loss in zip(shares, test, strict=True))
    return Loss(mean, variance)


def efficiency_curve(valid: Sequence[Loss], test: Sequence[Loss]) -> list[tuple[int, list[float]]]:
    """Test losses that experiments of s trials find, for s = 1, 2, 4, … as far as there are trials.

    Returns:
        (s, μ_z of each of the ⌊S / s⌋ disjoint experiments of s trials in a row), to be drawn as boxes over s.
    """
    curve = []
    for s in (2**k for k in range(len(valid).bit_length())):
        starts = range(0, len(valid) - s + 1, s)
        curve.append((s, [best_model(valid[at : at + s], test[at : at + s]).mean for at in starts]))
    return curve


def expected_best(scores: Sequence[float], trials: int, replacement: bool = False) -> float:
    """The expected highest of so many scores drawn from some.

    With y_1 ≥ … ≥ y_N: Σ y_i C(N - i, s - 1) / C(N, s) without replacement, with it
    Σ y_i [((N - i + 1) / N)^s - ((N - i) / N)^s].

    Args:
        trials: s, at least 1; without replacement at most N.
    """
    n = len(scores)
    if replacement:
        shares = [((n - i + 1) / n) ** trials - ((n - i) / n) ** trials for i in range(1, n + 1)]
    else:
        shares = [math.comb(n - i, trials - 1) / math.comb(n, trials) for i in range(1, n + 1)]
    return math.fsum(share * score for share, score in zip(shares, sorted(scores, reverse=True), strict=True))
