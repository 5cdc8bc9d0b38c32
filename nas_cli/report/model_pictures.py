"""The pictures of a run's Gaussian process and how they stand on a page: posteriors by iteration, draws from priors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from nas_cli.errors import NasError
from nas_cli.report.chart import Chart
from nas_cli.report.curves import draw_chart
from nas_cli.report.heat_maps import draw_map
from nas_cli.report.posterior import Outlook, data_for_outlooks
from nas_cli.report.posterior_pictures import Picture, acquisitions_beside, posterior_pictures
from nas_cli.report.prior_pictures import prior_pictures
from nas_cli.report.rebuild import is_bayesian
from nas_cli.report.runs import Run
from nas_cli.report.trace import Trace


@dataclass(frozen=True)
class ModelPictures:
    """The pictures of one run.

    Args:
        title: what tells the run from others; empty where it is alone.
        posterior: columns, one an iteration.
        prior: columns, one a length scale.
        beginning: before the first proposal.
        fault: why they could not be made; empty where they could.
    """

    title: str
    posterior: Sequence[Sequence[Picture]] = ()
    prior: Sequence[Sequence[Picture]] = ()
    beginning: Outlook | None = None
    fault: str = ""


def model_pictures_of(run: Run, trace: Trace, title: str = "") -> ModelPictures | None:
    """The pictures of a run; None where there is nothing to draw."""
    if not is_bayesian(run) or not trace.trials:
        return None
    try:
        looks = data_for_outlooks(run, trace)
        beginning = next((look for look in looks if not (look.in_design or look.waiting)), None)
        found = ModelPictures(title, posterior_pictures(looks), prior_pictures(run), beginning)
    except (NasError, ArithmeticError, TypeError, ValueError) as error:  # of a damaged or foreign run folder
        return ModelPictures(title, fault=" ".join(f"{type(error).__name__}: {error}".split()))
    return found if found.posterior or found.prior else None


def side_by_side(models: Sequence[ModelPictures]) -> list[ModelPictures]:
    """What several models make of the same evaluations, where their acquisitions differ alone."""
    beginnings = [(model.title, model.beginning) for model in models if model.beginning is not None]
    return [ModelPictures("On the same posterior", columns) for columns in acquisitions_beside(beginnings)]


def posteriors(models: Sequence[ModelPictures]) -> Iterator[str]:
    """The section of the posteriors."""
    if any(model.posterior for model in models):
        yield (
            '<p class="note">Computed again from the evaluations in their order: where several were made at a time the '
            "search may have known less. What is to be improved on is f⁺, the best value, or μ⁺, the best posterior "
            "mean of an evaluated point.</p>"
        )
    for model in models:
        if model.fault:
            yield f'<p class="warn">{escape(model.title)} The model could not be drawn: {escape(model.fault)}</p>'
        yield from _columns(model.title, model.posterior)


def priors(models: Sequence[ModelPictures]) -> Iterator[str]:
    """The section of the priors."""
    if any(model.prior for model in models):
        yield '<p class="note">The same random numbers for all kernels and length scales, mean 0, amplitude 1.</p>'
    for model in models:
        yield from _columns(model.title, model.prior)


def _columns(title: str, columns: Sequence[Sequence[Picture]]) -> Iterator[str]:
    if columns:
        drawn = "".join(f'<div class="stack">{"".join(map(draw, column))}</div>' for column in columns)
        yield f'{f"<h3>{escape(title)}</h3>" if title else ""}<div class="album">{drawn}</div>'


def draw(picture: Picture) -> str:
    """A chart or a map as a figure."""
    return draw_chart(picture) if isinstance(picture, Chart) else draw_map(picture)
