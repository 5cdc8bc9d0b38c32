"""The units of a table's columns: from what a run folder holds to what a person reads."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True)
class Unit:
    """How a quantity is written.

    Args:
        factor: what a value of a run folder is multiplied by.
        decimals: of a value of at least 1; a smaller one gets one more.
        duration: written in the unit that suits its size.
    """

    factor: float
    decimals: int = 2
    duration: bool = False


#: By the name that stands in a table's YAML and above the column. Run folders hold fractions, counts, seconds, bytes.
UNITS = {
    "": Unit(1.0),
    "%": Unit(100.0),
    "M": Unit(1e-6),
    "K": Unit(1e-3, decimals=1),
    "MiB": Unit(2.0**-20, decimals=0),
    "GPU days": Unit(1 / DAY, duration=True),
    "s": Unit(1.0, duration=True),
}


def written(unit: str, mean: float, deviation: float | None) -> str:
    """``mean ± deviation`` of values as run folders hold them, in a unit."""
    found = UNITS[unit]
    if found.duration:
        return _duration(mean, deviation)
    scaled = mean * found.factor
    decimals = found.decimals + (1 if unit == "M" and abs(scaled) < 1 else 0)
    if deviation is None:
        return f"{scaled:.{decimals}f}"
    return f"{scaled:.{decimals}f} ± {deviation * found.factor:.{decimals}f}"


def _duration(seconds: float, deviation: float | None) -> str:
    # A search at smoke scale would be 0.0001 GPU days.
    sizes = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1.0, "s"))
    size, letter = next((pair for pair in sizes if seconds >= pair[0]), sizes[-1])
    spread = "" if deviation is None else f" ± {deviation / size:.1f}"
    return f"{seconds / size:.1f}{spread} {letter}"
