"""Line charts as SVG elements for a page: colours, fonts and lines come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import pairwise

from nas_cli.report.chart import Box, Chart, Line, Point
from nas_cli.report.labels import places

WIDTH, HEIGHT = 440.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 14.0, 18.0, 42.0
COLOURS = 8  # of the palette; beyond, lines are dashed
BOX = 7.0  # half the width of a box
RUG = 8.0  # how long a stroke of a rug is
MOST_POWERS = 7  # of ten at an axis

Scale = Callable[[float], float]


def draw_chart(chart: Chart) -> str:
    """A chart as a figure with its title, its legend and its note."""
    legend = "".join(
        f'<li><svg viewBox="0 0 26 10" aria-hidden="true">{swatch(line)}</svg>{escape(line.name)}</li>'
        for line in chart.lines
        if line.name
    )
    note = f'<p class="note">{escape(chart.note)}</p>' if chart.note else ""
    return (
        f'<figure class="chart"><figcaption>{escape(chart.title)}</figcaption>{chart_svg(chart)}'
        f'<ul class="legend">{legend}</ul>{note}</figure>'
    )


def ticks(low: float, high: float, count: int = 5, whole: bool = False) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart), about `count`, the outer ones around [low, high]."""
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-90):
        high = low + max(abs(low) * 0.1, 1.0 if whole else 1e-9)
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, step)
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    return [number * step for number in range(first, last + 1)]


class _Axes:
    """Where values stand in a chart's picture, and the numbers at its axes."""

    def __init__(self, chart: Chart) -> None:
        xs = [x for line in chart.lines for x, _ in line.points]
        self.low, self.high = min(xs), max(xs)
        if self.low == self.high:
            self.low, self.high = (1.0, 10.0 * self.high) if chart.logarithmic else (self.low - 1, self.high + 1)
        self._scale: Scale = math.log10 if chart.logarithmic else float
        self._start, self._end = self._scale(self.low), self._scale(self.high)
        powers = [10.0**power for power in range(int(self._end) + 1)] if chart.logarithmic else []
        found = powers or ticks(self._start, self._end, 6, whole=all(float(x).is_integer() for x in xs))
        self.x_ticks = [x for x in found if self.low <= x <= self.high]
        self._height: Scale = math.log10 if chart.log_values else float
        if chart.boxes:
            self.x_ticks = [box.x for box in chart.boxes]
            margin = (self._end - self._start) / (2 * len(chart.boxes))
            self._start, self._end = self._start - margin, self._end + margin
        self.y_ticks = _powers(*_range(chart)) if chart.log_values else ticks(*_range(chart), whole=chart.whole)

    def across(self, x: float) -> float:
        return LEFT + (self._scale(x) - self._start) / (self._end - self._start) * (WIDTH - LEFT - RIGHT)

    def up(self, y: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        y = min(max(y, low), high)  # a band may reach beyond what is possible
        low, high, y = self._height(low), self._height(high), self._height(y)
        return HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def _power(value: float) -> str:
    """A power of ten in few letters."""
    return f"{value:g}" if 1e-3 < value < 1e4 else f"1e{round(math.log10(value))}"


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten around [low, high], not too many of them."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    step = -(-(last - first) // MOST_POWERS)
    return [10.0**power for power in range(first, last + step, step)]


def chart_svg(chart: Chart) -> str:
    """The picture of a chart alone."""
    axes = _Axes(chart)
    said = "; ".join(_said(line, chart) for line in chart.lines if line.name)
    parts = [
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img">',
        f"<title>{escape(chart.title)} over {escape(chart.x_label)}: {escape(said)}</title>",
        *_draw_axes(chart, axes),
    ]
    for y, label in chart.levels:
        parts.append(f'<path class="level" d="M{LEFT:g} {axes.up(y):.1f}H{WIDTH - RIGHT:g}"/>')
        below = 15 if chart.marks and axes.up(y) < TOP + 14 else 0  # above the axis stand the labels of marks
        parts.append(text(label, WIDTH - RIGHT - 2, axes.up(y) - 4 + below, "end", "hint"))
    parts += _marks(chart, axes)
    for box in chart.boxes:
        parts += _box(box, chart.lines[0].colour, axes.across, axes.up)
    for line in sorted(chart.lines, key=lambda line: not line.faint):
        parts += _line(line, axes.across, axes.up)
    return "".join([*parts, *_labels(chart, axes), "</svg>"])


def _labels(chart: Chart, axes: _Axes) -> Iterator[str]:
    """The names of dots, kept apart; dots without names are kept free too."""
    if not any(line.labels for line in chart.lines):
        return
    points = [(axes.across(x), axes.up(y)) for line in chart.lines for x, y in line.points]
    names = [name for line in chart.lines for name in line.labels or [""] * len(line.points)]
    frame = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)
    for name, (x, y, anchor) in zip(names, places(points, names, frame), strict=True):
        if name:
            yield text(name, x, y, anchor, "number")


def _draw_axes(chart: Chart, axes: _Axes) -> Iterator[str]:
    foot = HEIGHT - BOTTOM
    for y in axes.y_ticks:
        yield f'<path class="grid" d="M{LEFT:g} {axes.up(y):.1f}H{WIDTH - RIGHT:g}"/>'
        number = _power(y) if chart.log_values else written(y, chart, axes.y_ticks)
        yield text(number, LEFT - 7, axes.up(y) + 4, "end")
    for x in axes.x_ticks:
        yield f'<path class="tick" d="M{axes.across(x):.1f} {foot:g}v4"/>'
        yield text(f"{x:g}", axes.across(x), foot + 17, "middle")
    yield f'<path class="axis" d="M{LEFT:g} {foot:g}H{WIDTH - RIGHT:g}"/>'
    yield text(chart.x_label, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 7, "middle", "label")
    yield (
        f'<text class="label" text-anchor="middle" transform="translate(10 {(TOP + foot) / 2:g}) rotate(-90)">'
        f"{escape(chart.y_label)}</text>"
    )


def _range(chart: Chart) -> tuple[float, float]:
    """The values that the axis has to hold; of a band what is possible."""
    ys = [y for line in chart.lines for _, y in line.points] + [y for y, _ in chart.levels]
    ys += [y for box in chart.boxes for y in (box.low, box.high)]
    low, high = min(ys), max(ys)
    bounds = [bound for line in chart.lines for _, *both in line.band for bound in both]
    if bounds:
        least = 0.0 if chart.percent or chart.zero else -math.inf
        most = 1.0 if chart.percent else math.inf
        low, high = min(low, max(least, min(bounds))), max(high, min(most, max(bounds)))
    if chart.zero:
        low = min(low, 0.0)
    if low == high:
        return low - (0 if chart.zero else 0.5 * (abs(low) or 1)), high + 0.5 * (abs(high) or 2)
    return low, high


def _marks(chart: Chart, axes: _Axes) -> Iterator[str]:
    """Vertical lines; labels that would meet stand in rows of their own."""
    ends: list[float] = []
    for x, label in sorted(chart.marks):
        if not axes.low <= x <= axes.high:
            continue
        place, width = axes.across(x), 6.4 * len(label) + 6
        left = place - width - 2 if place + width > WIDTH - RIGHT else place + 3
        row = next((row for row, end in enumerate(ends) if end <= left), len(ends))
        ends[row : row + 1] = [left + width]
        yield f'<path class="mark" d="M{place:.1f} {TOP:g}V{HEIGHT - BOTTOM:g}"/>'
        yield text(label, left, TOP - 6 + 12 * row, "start", "hint")


def _line(line: Line, across: Scale, up: Scale) -> Iterator[str]:
    look = _look(line)
    if line.band:
        high = [(x, most) for x, _, most in line.band]
        low = [(x, least) for x, least, _ in line.band]
        if line.style == "step":
            high, low = _corners(high), _corners(low)
        around = path([*high, *reversed(low)], across, up)
        yield f'<path class="band f{line.colour % COLOURS}" d="{around}Z"/>'
    if line.style == "rug":
        strokes = "".join(f"M{across(x):.1f} {HEIGHT - BOTTOM:g}v-{RUG:g}" for x, _ in line.points)
        yield f'<path class="rug {look}" d="{strokes}"/>'
        return
    if line.style == "dots":
        dots = "".join(f"M{across(x):.1f} {up(y):.1f}h0" for x, y in line.points)
        yield f'<path class="dots {look}" d="{dots}"/>'
        return
    title = f"<title>{escape(line.name)}</title>" if line.name else ""
    yield f'<path class="{look}" d="{path(line.points, across, up, line.style == "step")}">{title}</path>'
    if line.points and not line.faint:
        # A dot says where a series ends, and shows one of a single point.
        x, y = line.points[-1]
        yield f'<path class="end {look}" d="M{across(x):.1f} {up(y):.1f}h0"/>'


def _box(box: Box, colour: int, across: Scale, up: Scale) -> Iterator[str]:
    x = across(box.x)
    low, lower, middle, upper, high = (f"{up(y):.1f}" for y in (box.low, box.lower, box.middle, box.upper, box.high))
    around = f"M{x - BOX:.1f} {lower}H{x + BOX:.1f}V{upper}H{x - BOX:.1f}Z"
    yield f'<path class="band f{colour % COLOURS}" d="{around}"/>'
    whiskers = f"M{x:.1f} {low}V{lower}M{x:.1f} {upper}V{high}M{x - BOX:.1f} {middle}H{x + BOX:.1f}"
    yield f'<path class="line s{colour % COLOURS}" d="{around}{whiskers}"/>'


def _corners(points: Sequence[Point]) -> list[Point]:
    """Steps as points to be joined."""
    corners = [corner for (x, y), (next_x, _) in pairwise(points) for corner in ((x, y), (next_x, y))]
    return [*corners, *points[-1:]]


def _look(line: Line) -> str:
    classes = ["line", f"s{line.colour % COLOURS}"]
    classes += ["faint"] * line.faint
    classes += ["dashed"] * (line.dashed or line.colour >= COLOURS)
    return " ".join(classes)


def path(points: Sequence[Point], across: Scale, up: Scale, steps: bool = False) -> str:
    """The commands of an SVG path through points; in steps, a value holds until the next."""
    parts: list[str] = []
    for x, y in points:
        place, height = f"{across(x):.1f}", f"{up(y):.1f}"
        if not parts:
            parts.append(f"M{place} {height}")
        else:
            parts.append(f"H{place}V{height}" if steps else f"L{place} {height}")
    return "".join(parts)


def swatch(line: Line) -> str:
    """A line as it looks in a legend, in a frame of 26 x 10."""
    if line.style == "dots":
        return f'<path class="dots {_look(line)}" d="M5 5h0M13 5h0M21 5h0"/>'
    if line.style == "rug":
        return f'<path class="rug {_look(line)}" d="M5 1v8M10 1v8M13 1v8M15 1v8M21 1v8"/>'
    band = f'<path class="band f{line.colour % COLOURS}" d="M1 0H25V10H1Z"/>' if line.band else ""
    return f'{band}<path class="{_look(line)}" d="M1 5H25"/>'


def _said(line: Line, chart: Chart) -> str:
    """A series in words."""
    (first, start), (last, end) = line.points[0], line.points[-1]
    return f"{line.name} from {_value(start, chart)} at {first:g} to {_value(end, chart)} at {last:g}"


def _value(value: float, chart: Chart) -> str:
    return f"{100 * value:.2f} %" if chart.percent else f"{value:.4g}"


def written(value: float, chart: Chart, others: Sequence[float]) -> str:
    """A tick's number, with as many digits as tell it from the others."""
    factor = 100 if chart.percent else 1
    step = (others[1] - others[0]) * factor
    if abs(value) * factor >= 1e5:
        return f"{value * factor:.3g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value * factor + 0.0:.{digits}f}" if digits < 4 else _short(value * factor)


def _short(value: float) -> str:
    """A small number with at most two digits, as 3e-7 or 1.2e-4."""
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits.removesuffix('.0')}e{int(power)}" if value else "0"


def text(content: str, x: float, y: float, anchor: str, kind: str = "number") -> str:
    """A text element; `kind` is ``number``, ``label`` or ``hint``."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
