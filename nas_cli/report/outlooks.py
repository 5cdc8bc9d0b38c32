"""Pictures of a Gaussian process and its acquisition, one column an iteration: charts of one number, maps of two."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas_cli.report.chart import Chart, Line
from nas_cli.report.maps import Map
from nas_cli.report.posterior import Outlook, Place

Picture = Chart | Map

#: After so many evaluations the normal distributions at some points are drawn too, as in Brochu et al., figure 2.
TEST_AFTER, TEST_POINTS = 3, (0.25, 0.55, 0.85)
TALL = 0.09  # of the axis: how far a density reaches at its mode
_MEAN, _TRUTH, _KNOWN, _ACQUISITION, _PENDING, _BEST = 0, 7, 1, 2, 3, 4


def pictures_of(looks: Sequence[Outlook]) -> list[list[Picture]]:
    """For each iteration what stands below each other; before those of two numbers the function itself."""
    if not looks:
        return []
    if len(looks[0].axes) == 1:
        return [_charts(look) for look in looks]
    columns: list[list[Picture]] = [_maps(look) for look in looks]
    truth = looks[0].truth
    return [[_map(looks[-1], "The function", truth, [])], *columns] if truth else columns


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
    if len(look.known) == TEST_AFTER and not look.waiting:
        lines += _normals(look, xs)
    if fantasies := [
        (place[0], value) for member in look.members for place, value in zip(look.waiting, member.pending, strict=False)
    ]:
        lines.append(Line("fantasies of results", sorted(fantasies), _PENDING, "dots"))
    lines.append(Line("evaluations", sorted((x, score) for (x,), score in look.known), _KNOWN, "dots"))
    name = "best mean μ⁺" if look.is_mean_incumbent else "best value f⁺"
    lines.append(Line(name, [(x, look.incumbent) for x in (xs[0], xs[-1])], _BEST, faint=True, dashed=True))
    marks += waits
    upper = Chart(_title(look), axis.name, "value", lines, marks=marks, note=_note(look))
    heights = list(zip(xs, look.acquisition, strict=True))
    lower = [Line("acquisition", heights, _ACQUISITION)]
    for member in look.members:
        lower.append(Line("", list(zip(xs, member.acquisition, strict=True)), _ACQUISITION, faint=True))
    if look.looked:
        lower.append(
            Line(
                "DIRECT's centres",
                sorted((x, min(look.acquisition)) for (x,) in look.looked),
                _TRUTH,
                "dots",
                faint=True,
            )
        )
    lower.append(Line("its maximum", [max(heights, key=lambda point: point[1])], _KNOWN, "dots"))
    return [upper, Chart("Acquisition", axis.name, "acquisition", lower, marks=marks)]


def _note(look: Outlook) -> str:
    if look.waiting and look.members:
        return (
            "The next two points are taken to have no result yet. Pale: what the model and the acquisition are under "
            "some of the results that they could have; the acquisition is the average over many."
        )
    if look.members:
        return "Pale: under single samples of the hyper-parameters; the acquisition is the average over all samples."
    return ""


def _normals(look: Outlook, xs: Sequence[float]) -> list[Line]:
    """The normal distributions of the function at some points, lying on their sides."""
    reach, lines = TALL * (xs[-1] - xs[0]), list[Line]()
    for share in TEST_POINTS:
        place = round(share * (len(xs) - 1))
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
    note = f"Dark {min(values):.3g}, light {max(values):.3g}."
    return Map(title, x, y, rows, known, star, [(place[0], place[1]) for place in looked], note)
