"""What a line chart shows, apart from how it is drawn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One series.

    Args:
        name: for the legend; empty: it belongs to the line of the same colour before it.
        points: (x, y), x ascending.
        colour: number in the palette.
        style: ``line``, ``step`` (a value holds until the next), ``dots``, or ``rug``: short strokes along the axis, at
            x alone.
        faint: thin and pale, e.g. one seed beside the mean of all.
        dashed: a second mark beside the colour.
        band: (x, low, high) around the points.
        labels: of dots, one each, which are written beside them.
    """

    name: str
    points: Sequence[Point]
    colour: int = 0
    style: str = "line"
    faint: bool = False
    dashed: bool = False
    band: Sequence[tuple[float, float, float]] = ()
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Box:
    """Many values at one x: their range, quartiles and median."""

    x: float
    low: float
    lower: float
    middle: float
    upper: float
    high: float

    @classmethod
    def of(cls, x: float, values: Sequence[float]) -> Box:
        """The box of at least one value."""
        return cls(x, *five_numbers(values))


def five_numbers(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Least, lower quartile, median, upper quartile and greatest."""
    if len(values) == 1:
        return (values[0],) * 5
    lower, middle, upper = statistics.quantiles(values, n=4, method="inclusive")
    return min(values), lower, middle, upper, max(values)


@dataclass(frozen=True)
class Chart:
    """A line chart.

    Args:
        title: what is shown.
        x_label, y_label: with units.
        lines: at least one with a point.
        percent: fractions, which are written in percent.
        whole: values are whole numbers.
        levels: (y, label) of horizontal lines to compare with.
        marks: (x, label) of vertical lines.
        note: how to read it.
        zero: whether the axis of values starts at 0.
        logarithmic: whether the axis of x is logarithmic; all x are at least 1 then.
        log_values: whether the axis of values is logarithmic; all values are above 0 then.
        boxes: values of which a box shows the quartiles and whiskers the range, in the colour of the first line.
    """

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    percent: bool = False
    whole: bool = False
    levels: Sequence[tuple[float, str]] = ()
    marks: Sequence[tuple[float, str]] = ()
    note: str = ""
    zero: bool = False
    logarithmic: bool = False
    log_values: bool = False
    boxes: Sequence[Box] = ()
