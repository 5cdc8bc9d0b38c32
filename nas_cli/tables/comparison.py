"""How sure it is that two rows of a table differ."""

from __future__ import annotations

import math
from collections.abc import Mapping


def paired_p(ours: Mapping[int, float], theirs: Mapping[int, float]) -> tuple[float, int] | None:
    """The two-sided p-value of Wilcoxon's signed-rank test over the seeds that both have, and their number.

    None for fewer than two. It can't be below 2 / 2^seeds. Where no seed differs it is 1.

    Args:
        ours, theirs: values by seed.
    """
    pairs = [(value, theirs[seed]) for seed, value in ours.items() if seed in theirs]
    if len(pairs) < 2:
        return None
    # Imported here: tables without a comparison need no SciPy.
    from scipy.stats import wilcoxon

    differences = [one - other for one, other in pairs]
    p = 1.0 if not any(differences) else float(wilcoxon(differences).pvalue)
    return (p, len(pairs)) if math.isfinite(p) else None
