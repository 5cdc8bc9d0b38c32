"""The page of several runs: their table, their curves over each other, and the cell that each found."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from nas_cli.journal import write_atomically
from nas_cli.report.alphas import kinds_with_probabilities, kinds_with_skips
from nas_cli.report.cells import read_graphs
from nas_cli.report.chart import Chart
from nas_cli.report.curves import draw_chart
from nas_cli.report.document import document, section, table
from nas_cli.report.efficiency_chart import EXPERIMENTS
from nas_cli.report.hindsight import RULE, final_epoch, hindsight, told
from nas_cli.report.model_pictures import ModelPictures, model_pictures_of, posteriors, priors, side_by_side
from nas_cli.report.overlay import Facet, Member, data_for_facets, facet_charts
from nas_cli.report.page import PAGE, SHORT_NAMES, write_run
from nas_cli.report.runs import Run
from nas_cli.report.strip import Pictures, at, data_for_frames, facts, shortened
from nas_cli.report.summary import show
from nas_cli.report.svg_files import write_svg_files
from nas_cli.report.table import TableColumn, columns_of, data_for_each, data_for_summary, names_apart
from nas_cli.report.top import learning_charts
from nas_cli.report.trace import read_trace

#: Cells of more runs than this are not drawn.
MOST_RUNS = 60
MOST_MODELS = 12  # groups of runs whose models are drawn
#: What black-box searches are drawn over; their charts are SVG files too.
BLACK_BOX = ("evaluations", EXPERIMENTS)


def write_page(members: Sequence[Member], path: Path, title: str | None = None, above: Sequence[str] = ()) -> None:
    """Draw the page of one run or of several.

    Args:
        title: of the page of several; None: what they are.
        above: sections that stand before all others, as HTML; with them it is a page of several.

    Raises:
        OSError: it cannot be written.
    """
    if len(members) == 1 and not above:
        write_run(members[0].run, members[0].trace, path)
        return
    facets = data_for_facets(members)
    models = _models(facets)
    write_atomically(path, sweep_page(members, path.parent, title, models, above).encode())
    charts = [chart for facet in facets for chart in _charts(facet) if chart.x_label in BLACK_BOX]
    write_svg_files(path.parent, charts, models)


def _charts(facet: Facet) -> list[Chart]:
    return [*facet_charts(facet), *learning_charts(facet)]


def read_members(runs: Sequence[Run]) -> list[Member]:
    """The runs with all that they wrote while they went on."""
    return [Member(run, read_trace(run.folder)) for run in runs]


def sweep_page(
    members: Sequence[Member],
    folder: Path,
    title: str | None = None,
    models: Sequence[ModelPictures] = (),
    above: Sequence[str] = (),
) -> str:
    """The page of several runs.

    Args:
        folder: where it will stand, for the links to the runs' own pages.
        title: None: how many there are of what.
        models: pictures of the models of some runs.
        above: as of `write_page`.
    """
    runs = [member.run for member in members]
    title = title or f"{len(runs)} runs: {', '.join(dict.fromkeys(run.name for run in runs))}"
    pictures = Pictures()
    body = [f"<h1>{escape(title)}</h1>", *above, *section("Results", _tables(runs, folder))]
    facets = data_for_facets(members)
    for facet in facets:
        charts = "".join(map(draw_chart, _charts(facet)))
        body += section(facet.title, [f'<div class="charts">{charts}</div>' if charts else ""])
    body += section("The model and what it proposed", posteriors(models))
    body += section("Functions drawn from the prior", priors(models))
    body += section("What DARTS+ would have chosen", [_hindsight(members, folder)])
    body += section("Stage by stage", _stages(facets, pictures))
    body += section("What each run found", _cells(members, folder, pictures))
    return document(title, [*body, pictures.definitions()])


def _models(facets: Sequence[Facet]) -> list[ModelPictures]:
    """The pictures of the models of the first run of each group."""
    parties = [party for facet in facets for party in facet.parties][:MOST_MODELS]
    found = (model_pictures_of(party.members[0].run, party.members[0].trace, party.label) for party in parties)
    models = [model for model in found if model is not None]
    return [*side_by_side(models), *models]


def _tables(runs: Sequence[Run], folder: Path) -> Iterator[str]:
    rows = data_for_summary(runs)
    shown = [column for column in columns_of(rows) if not column.empty]
    # So that the figures have the room; the table of each run has all.
    same, columns = names_apart(shown) if len(rows) > 1 else ([], shown)
    if same:
        yield f'<p class="note">{escape(", ".join(same))}</p>'
    yield _table(columns, len(rows))
    if any(row["runs"] > 1 for row in rows):
        yield '<p class="note">Mean ± sample standard deviation over the finished runs.</p>'
    each = [column for column in columns_of(data_for_each(runs)) if not column.empty and column.title != "folder"]
    yield f"<details><summary>Each run</summary>{_table(each, len(runs), runs, folder)}</details>"


def _table(columns: Sequence[TableColumn], rows: int, runs: Sequence[Run] = (), folder: Path = Path()) -> str:
    titles = [column.title for column in columns]
    text = [column.title for column in columns if not column.number]
    cells = [[column.cells[index] for column in columns] for index in range(rows)]
    if not runs:
        return table(titles, cells, text=text)
    links = [[*row, _link(run, folder)] for row, run in zip(cells, runs, strict=True)]
    return table([*titles, "folder"], links, text=text, html="folder")


def _link(run: Run, folder: Path, name: str | None = None) -> str:
    """A run's folder, as a link to its own page where it has one."""
    shown = escape(name or str(run.folder))
    if not (run.folder / PAGE).exists():
        return shown
    # As a path it begins with ./ so that no name of a folder is taken for a scheme.
    return f'<a href="./{quote(os.path.relpath(run.folder / PAGE, folder))}">{shown}</a>'


def _hindsight(members: Sequence[Member], folder: Path) -> str:
    rows = [
        [member.run.name, str(member.run.seed), told(found), _link(member.run, folder)]
        for member in members
        if (found := hindsight(member.run, member.trace)) is not None
    ]
    if not rows:
        return ""
    titles = [
        "label" if any(member.run.label for member in members) else "strategy",
        "seed",
        f"end at {RULE.limit} skip connections in a normal cell, from epoch {RULE.first_epoch + 1} on",
        "folder",
    ]
    return table(titles, rows, text=titles[:1] + titles[2:3], html="folder")


def _stages(facets: Sequence[Facet], pictures: Pictures) -> Iterator[str]:
    """Of each group's first run the cells where stages end, those of searches of one stage after as many epochs."""
    for facet in facets:
        members = [member for party in facet.parties for member in party.members]
        ends = sorted({end for member in members if member.trace.stages > 1 for end in member.trace.stage_ends})
        if not ends:
            continue
        yield f"<p>{escape(facet.title)}: stages end after epochs {', '.join(map(str, ends))}.</p>"
        yield f'<p class="note">{SHORT_NAMES}</p>'
        for party in facet.parties:
            run, trace = party.members[0].run, party.members[0].trace
            frames = at(data_for_frames(trace), ends)
            figures = [
                pictures.figure(frame.graphs, f"epoch {frame.x}", f"epoch {frame.x}", frame.facts) for frame in frames
            ]
            if figures:
                yield f'<h3>{escape(party.label)}, seed {run.seed}</h3><div class="strip">{"".join(figures)}</div>'


def _cells(members: Sequence[Member], folder: Path, pictures: Pictures) -> Iterator[str]:
    figures = [figure for member in members[:MOST_RUNS] if (figure := _figure(member, folder, pictures))]
    if figures:
        yield f'<p class="note">{SHORT_NAMES}</p><div class="strip">{"".join(figures)}</div>'
    if figures and len(members) > MOST_RUNS:
        yield f'<p class="note">Only those of the first {MOST_RUNS} runs are drawn.</p>'


def _figure(member: Member, folder: Path, pictures: Pictures) -> str:
    run, trace = member.run, member.trace
    best, final = run.result.get("best"), final_epoch(run, trace)
    data = best.get("architecture") if isinstance(best, dict) else final and final.line.get("architecture")
    graphs = shortened(read_graphs(data, kinds_with_probabilities(trace)))
    if not graphs:
        return ""
    name = f"{run.name}, seed {run.seed}"
    said = [] if final is None else facts(final, kinds_with_skips(trace))
    if not said and run.score is not None:
        said = [f"{(run.score_name or 'score').replace('_', ' ')} {show(run.score_name or '', run.score)}"]
    if not run.finished:
        said.append("not finished")
    return pictures.figure(graphs, name, _link(run, folder, name), said)
