"""Pictures of a Gaussian process and its acquisition, one column an iteration: charts of one number, maps of two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from nas_cli.report.chart import Chart, Line, Point
from nas_cli.report.heat_maps import Map
from nas_cli.report.posterior import FEW, Outlook, Place

Picture = Chart | Map

#: Where on the axis the normal distribution is drawn, too, after few evaluations (Brochu et al., figure 2).
TEST_POINTS = (0.25, 0.55, 0.85)
TALL = 0.09  # of the axis: how far a density reaches at its mode
LEAST = 1e-99  # smaller values are written as 0
NEAR = 1e-6  # of the range of an acquisition: what is so near its maximum is drawn as it
_MEAN, _TRUTH, _KNOWN, _ACQUISITION, _PENDING = 0, 7, 1, 2, 3


def posterior_pictures(looks: Sequence[Outlook]) -> list[list[Picture]]:
    """For each iteration what stands below each other; before those of two numbers the function itself."""
    if not looks:
        return []
    columns = [_column(look) for look in looks]
    truth = looks[0].truth
    if len(looks[0].axes) == 1 or not truth:
        return columns
    return [[_map(looks[-1], "The function", truth, [])], *columns]


def acquisitions_beside(looks: Sequence[tuple[str, Outlook]]) -> list[list[list[Picture]]]:
    """For each posterior of which several have different acquisitions: a column of it, then one for each of these.

    Args:
        looks: each with what it is called.
    """
    groups: dict[tuple[str, ...], list[tuple[str, Outlook]]] = {}
    for title, look in looks:
        scores = [score for _, score in look.known]
        groups.setdefault(_rounded([*scores, *_ends(look.mean), *_ends(look.spread)]), []).append((title, look))
    found = []
    for group in groups.values():
        if len({_rounded(_ends(look.acquisition)) for _, look in group}) > 1:
            *posterior, _ = _column(replace(group[0][1], proposed=None))
            found.append([posterior, *([replace(_column(look)[-1], title=title)] for title, look in group)])
    return found


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """The values at two corners, which tell functions apart; what lies between depends on the proposal."""
    return values[0], values[-1]


def _rounded(values: Sequence[float]) -> tuple[str, ...]:
    return tuple(f"{value:.6g}" for value in values)


def _column(look: Outlook) -> list[Picture]:
    return _charts(look) if len(look.axes) == 1 else _maps(look)


def _title(look: Outlook) -> str:
    count = len(look.known)
    pending = f", {len(look.waiting)} pending" if look.waiting else ""
    return f"{count} evaluation{'' if count == 1 else 's'}{pending}"


def _charts(look: Outlook) -> list[Picture]:
    axis = look.axes[0]
    xs = [x for (x,) in look.points]
    marks = [] if look.proposed is None else [(look.proposed[0], "next")]
    waits = [(x, "pending") for (x,) in look.waiting]
    band = [(x, m - s, m + s) for x, m, s in zip(xs, look.mean, look.spread, strict=True)]
    lines = [Line("mean ± σ", list(zip(xs, look.mean, strict=True)), _MEAN, band=band)]
    if look.truth:
        lines.append(Line("function", list(zip(xs, look.truth, strict=True)), _TRUTH, dashed=True))
    for member in look.members:
        lines.append(Line("", list(zip(xs, member.mean, strict=True)), _MEAN, faint=True))
    if len(look.known) == FEW and not look.waiting:
        lines += _normals(look, xs)
    if fantasies := [
        (place[0], value) for member in look.members for place, value in zip(look.waiting, member.pending, strict=False)
    ]:
        lines.append(Line("fantasies of results", sorted(fantasies), _PENDING, "dots"))
    lines.append(Line("evaluations", sorted((x, score) for (x,), score in look.known), _KNOWN, "dots"))
    best = "μ⁺" if look.is_mean_incumbent else "f⁺"
    marks += waits
    upper = Chart(
        _title(look), axis.name, "value", lines, levels=[(look.incumbent, best)], marks=marks, note=_note(look)
    )
    heights = list(zip(xs, look.acquisition, strict=True))
    lower = [Line("acquisition", heights, _ACQUISITION)]
    for member in look.members:
        lower.append(Line("", list(zip(xs, member.acquisition, strict=True)), _ACQUISITION, faint=True))
    if look.looked:
        foot = min(look.acquisition)
        lower.append(Line("DIRECT's samples", sorted((x, foot) for (x,) in look.looked), _TRUTH, "rug"))
    lower.append(Line("its maximum", [_maximum(look, heights)], _KNOWN, "dots"))
    return [upper, Chart("Acquisition", axis.name, "acquisition", lower, marks=marks)]


def _maximum(look: Outlook, heights: Sequence[Point]) -> Point:
    """Where the acquisition is highest; on a plateau the point that was proposed."""
    highest = max(heights, key=lambda point: point[1])
    if look.proposed is None:
        return highest
    at = _nearest([x for x, _ in heights], look.proposed[0])
    return heights[at] if heights[at][1] >= highest[1] - NEAR * (highest[1] - min(look.acquisition)) else highest


def _nearest(xs: Sequence[float], x: float) -> int:
    return min(range(len(xs)), key=lambda k: abs(xs[k] - x))


def _note(look: Outlook) -> str:
    if look.waiting and look.members:
        return (
            "The next two points are taken to have no result yet. Pale: what the model and the acquisition are under "
            "some of the results that they could have; the acquisition is the average over many."
        )
    if look.in_design:
        return "The next point was one of the initial design still: no acquisition chose it."
    if look.members:
        return "Pale: under single samples of the hyper-parameters; the acquisition is the average over all samples."
    return ""


def _normals(look: Outlook, xs: Sequence[float]) -> list[Line]:
    """The normal distributions of the function at some points, lying on their sides."""
    reach, lines = TALL * (xs[-1] - xs[0]), list[Line]()
    for share in TEST_POINTS:
        place = _nearest(xs, xs[0] + share * (xs[-1] - xs[0]))
        steps = [-3 + 0.2 * k for k in range(31)]
        points = [(xs[place] + reach * math.exp(-(z**2) / 2), look.mean[place] + z * look.spread[place]) for z in steps]
        lines.append(Line("" if lines else "normal at a point", points, _PENDING))
    return lines


def _maps(look: Outlook) -> list[Picture]:
    return [
        _map(look, f"Mean, {_title(look)}", look.mean, []),
        _map(look, "Standard deviation", look.spread, []),
        _map(look, "Acquisition", look.acquisition, look.looked),
    ]


def _map(look: Outlook, title: str, values: Sequence[float], looked: Sequence[Place]) -> Map:
    side = math.isqrt(len(values))
    x, y = ((axis.name, axis.low, axis.high) for axis in look.axes)
    # The first axis changes slowest on the grid; a map has it across.
    rows = [[values[column * side + row] for column in range(side)] for row in range(side)]
    known = [(place[0], place[1]) for place, _ in look.known]
    star = None if look.proposed is None else (look.proposed[0], look.proposed[1])
    marks = f"; ○ evaluated{'' if star is None else ', ★ next'}{', · seen by DIRECT' if looked else ''}"
    low, high = (f"{value if abs(value) > LEAST else 0:.3g}" for value in (min(values), max(values)))
    note = f"Dark {low}, light {high}{marks if known else ''}."
    return Map(title, x, y, rows, known, star, [(place[0], place[1]) for place in looked], note)
