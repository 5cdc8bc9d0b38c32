"""All pictures of the models of Bayesian optimisation on a page: posteriors by iteration, and draws from the priors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from nas_cli.errors import InputError
from nas_cli.report.chart import Chart
from nas_cli.report.curves import draw_chart
from nas_cli.report.maps import draw_map
from nas_cli.report.outlooks import Picture, pictures_of
from nas_cli.report.posterior import data_for_outlooks
from nas_cli.report.prior import prior_pictures
from nas_cli.report.rebuild import is_bayesian
from nas_cli.report.runs import Run
from nas_cli.report.trace import Trace


@dataclass(frozen=True)
class Album:
    """The pictures of one run.

    Args:
        title: what tells the run from others; empty where it is alone.
        posterior: columns, one an iteration.
        prior: columns, one a length scale.
        fault: why they could not be made; empty where they could.
    """

    title: str
    posterior: Sequence[Sequence[Picture]] = ()
    prior: Sequence[Sequence[Picture]] = ()
    fault: str = ""


def album_of(run: Run, trace: Trace, title: str = "") -> Album | None:
    """The pictures of a run; None where there is nothing to draw."""
    if not is_bayesian(run) or not trace.trials:
        return None
    try:
        found = Album(title, pictures_of(data_for_outlooks(run, trace)), prior_pictures(run))
    except (InputError, ArithmeticError, TypeError, ValueError) as error:  # of a damaged or foreign run folder
        return Album(title, fault=" ".join(f"{type(error).__name__}: {error}".split()))
    return found if found.posterior or found.prior else None


def posteriors(albums: Sequence[Album]) -> Iterator[str]:
    """The section of the posteriors."""
    if any(album.posterior for album in albums):
        yield (
            '<p class="note">The strategy was told the first evaluations again; its hyper-parameters are inferred anew '
            "from them.</p>"
        )
    for album in albums:
        if album.fault:
            yield f'<p class="warn">{escape(album.title)} The model could not be drawn: {escape(album.fault)}</p>'
        yield from _columns(album.title, album.posterior)


def priors(albums: Sequence[Album]) -> Iterator[str]:
    """The section of the priors."""
    if any(album.prior for album in albums):
        yield '<p class="note">The same random numbers for all kernels and length scales, mean 0, amplitude 1.</p>'
    for album in albums:
        yield from _columns(album.title, album.prior)


def _columns(title: str, columns: Sequence[Sequence[Picture]]) -> Iterator[str]:
    if columns:
        drawn = "".join(f'<div class="stack">{"".join(map(draw, column))}</div>' for column in columns)
        yield f'{f"<h3>{escape(title)}</h3>" if title else ""}<div class="album">{drawn}</div>'


def draw(picture: Picture) -> str:
    """A chart or a map as a figure."""
    return draw_chart(picture) if isinstance(picture, Chart) else draw_map(picture)
