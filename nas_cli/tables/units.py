"""The units of a table's columns: from what a run folder holds to what a person reads."""

from __future__ import annotations

import math
from dataclasses import dataclass

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
MOST_DECIMALS = 5


@dataclass(frozen=True)
class Unit:
    """How a quantity is written.

    Args:
        factor: what a value of a run folder is multiplied by.
        decimals: of a value of at least 1; a smaller one gets one more.
        duration: written in the unit that suits its size.
        significant: written with two significant digits, however small it is.
    """

    factor: float
    decimals: int = 2
    duration: bool = False
    significant: bool = False


#: By the name that stands in a table's YAML and above the column. Run folders hold fractions, counts, seconds, bytes.
UNITS = {
    "": Unit(1.0),
    "%": Unit(100.0),
    "M": Unit(1e-6),
    "K": Unit(1e-3, decimals=1),
    "MiB": Unit(2.0**-20, decimals=0),
    "GPU days": Unit(1 / DAY, duration=True),
    "s": Unit(1.0, duration=True),
    "p": Unit(1.0, significant=True),
}


def written(unit: str, mean: float, deviation: float | None) -> str:
    """``mean ± deviation`` of values as run folders hold them, in a unit."""
    found = UNITS[unit]
    if found.duration:
        return _duration(mean, deviation)
    scaled = mean * found.factor
    if found.significant:
        return f"{scaled:.2g}"
    decimals = found.decimals + (1 if unit == "M" and abs(scaled) < 1 else 0)
    size = max(abs(scaled), deviation or 0.0)
    if unit == "" and 0 < size < 0.1:  # a regret, of which two decimals would leave nothing
        decimals = 1 - math.floor(math.log10(size))
        if decimals > MOST_DECIMALS:
            return f"{scaled:.1e}" if deviation is None else f"{scaled:.1e} ± {deviation:.1e}"
    if deviation is None:
        return f"{scaled:.{decimals}f}"
    return f"{scaled:.{decimals}f} ± {deviation * found.factor:.{decimals}f}"


def _duration(seconds: float, deviation: float | None) -> str:
    # A search at smoke scale would be 0.0001 GPU days.
    sizes = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1.0, "s"))
    size, letter = next((pair for pair in sizes if seconds >= pair[0]), sizes[-1])
    spread = "" if deviation is None else f" ± {deviation / size:.1f}"
    return f"{seconds / size:.1f}{spread} {letter}"
