"""The page of one run: numbers, curves, the cell over the epochs. One file that needs no network."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from nas_cli.journal import write_atomically
from nas_cli.report.alphas import data_for_panels, kinds_with_probabilities, kinds_with_skips
from nas_cli.report.cells import kind_title, read_graphs
from nas_cli.report.chart import Chart
from nas_cli.report.controller import controller_charts
from nas_cli.report.curves import draw_chart
from nas_cli.report.document import document, facts, section, table
from nas_cli.report.drawing import draw_cells
from nas_cli.report.efficiency_chart import efficiency_chart
from nas_cli.report.figures import is_fraction, run_charts, trials_charts
from nas_cli.report.hindsight import RULE, Hindsight, final_epoch, hindsight
from nas_cli.report.model_pictures import ModelPictures, model_pictures_of, posteriors, priors
from nas_cli.report.options import flatten
from nas_cli.report.panels import draw_panels
from nas_cli.report.ranking import ranked
from nas_cli.report.runs import Run, read_run
from nas_cli.report.strip import Frame, Pictures, chosen, data_for_frames, shortened
from nas_cli.report.strip import facts as cell_facts
from nas_cli.report.summary import show
from nas_cli.report.svg_files import write_svg_files
from nas_cli.report.trace import Epoch, Trace, number, read_trace

PAGE, PICTURE = "report.html", "architecture.svg"
#: Rows of the tables of trials and of epochs.
BEST, MOST_ROWS = 10, 200
#: What stands below small pictures.
SHORT_NAMES = (
    "In small pictures sep 3 is a separable 3×3 convolution, dil a dilated one, max and avg are pooling; nodes are "
    "numbered from the inputs on, and the bar at the right joins what makes the output."
)
#: A larger picture than this is not taken into the page.
MOST_BYTES = 300_000


def write_run_page(folder: Path) -> Path:
    """Draw the page of a run folder into it.

    Raises:
        InputError: its result or its config is damaged.
        OSError: the page cannot be written.
    """
    run = read_run(folder)
    trace, path = read_trace(folder), folder / PAGE
    write_run(run, trace, path)
    return path


def write_run(run: Run, trace: Trace, path: Path) -> None:
    """Draw the page of a run, and its pictures of a black-box search beside it. Raises `OSError`."""
    model = model_pictures_of(run, trace)
    models = [] if model is None else [model]
    write_atomically(path, run_page(run, trace, models).encode())
    write_svg_files(path.parent, _black_box_charts(run, trace), models)


def run_page(run: Run, trace: Trace, models: Sequence[ModelPictures] = ()) -> str:
    """The page of a run, of whatever of it there is.

    Args:
        models: pictures of its model, where it has one.
    """
    found, pictures = hindsight(run, trace), Pictures()
    frames = data_for_frames(trace)
    charts = [*run_charts(trace, found), *_black_box_charts(run, trace)]
    body = [
        *_header(run, trace),
        *section("Curves", [_charts(charts)]),
        *section("The model and what it proposed", posteriors(models)),
        *section("Functions drawn from the prior", priors(models)),
        *section("What DARTS+ would have chosen", _beside(run, trace, found, pictures)),
        *section("Search progress", _progress(frames, found, pictures)),
        *section("Architecture", [_architecture(run, trace)]),
        *section("Probabilities of the operations", _alphas(trace)),
        *section("Best candidates", [_best(run, trace)]),
        *section("Numbers", [_numbers(trace), _options(run)]),
        pictures.definitions(),
    ]
    return document(run_title(run), body)


def _black_box_charts(run: Run, trace: Trace) -> list[Chart]:
    if not trace.trials or run.command != "search" or (trace.is_gradient_search and len(trace.trials) == 1):
        return []
    charts = trials_charts(trace, run.score_name or "score")
    if run.strategy == "random" and (efficiency := efficiency_chart(trace.trials)) is not None:
        charts.append(efficiency)
    return charts + controller_charts(trace)


def run_title(run: Run) -> str:
    """What a run is called."""
    if run.command == "evaluate":
        return f"{run.architecture or 'an architecture'} trained on {run.dataset or 'unknown data'}"
    data = f", data set {run.dataset}" if run.dataset else ""
    return f"{run.strategy or 'a search'} on space {run.space or '?'}{data}"


def _header(run: Run, trace: Trace) -> Iterator[str]:
    yield f"<h1>{escape(run_title(run))}</h1>"
    if not run.finished:
        of = f" of {trace.planned}" if trace.planned and "stage" not in trace.names else ""
        reached = f"{trace.epochs[-1].x}{of} epochs" if trace.epochs else f"{len(trace.trials)} evaluations"
        yield f'<p class="warn">Not finished: this is what there is after {reached}.</p>'
    if trace.damaged:
        yield f'<p class="warn">{trace.damaged} damaged or torn lines of its files are left out.</p>'
    for rewind in trace.rewinds:
        decay = "" if rewind.weight_decay is None else f" with weight decay {rewind.weight_decay:g}"
        yield f"<p>After epoch {rewind.start} the search went back to the end of epoch {rewind.end}{decay}; "
        yield "what it left again is drawn pale.</p>"
    tiles = {run.score_name or "score": run.score, **run.metrics} if run.finished else {}
    drawn = "".join(
        f'<div class="tile"><b>{escape(show(name, value))}</b><span>{escape(name.replace("_", " "))}</span></div>'
        for name, value in tiles.items()
        if value is not None
    )
    if drawn:
        yield f'<div class="tiles">{drawn}</div>'
    yield facts(_facts(run))


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    named = ("strategy", "space", "dataset", "estimator", "evaluation", "architecture", "seed", "evaluations")
    for name in named:
        value = getattr(run, name)
        if value is not None:
            yield name.replace("dataset", "data set"), f"{value:g}" if isinstance(value, float) else str(value)
    if run.wall_seconds is not None:
        yield "seconds", f"{run.wall_seconds:.1f}"
    if isinstance(device := run.result.get("device"), str):
        yield "device", device
    if isinstance(commit := run.result.get("git"), str):
        yield "commit", commit[:12] + commit[40:]  # a mark behind it says that files differed
    versions = run.result.get("versions")
    if isinstance(versions, dict) and versions:
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())


def _charts(charts: Sequence[Chart]) -> str:
    return f'<div class="charts">{"".join(map(draw_chart, charts))}</div>' if charts else ""


def _beside(run: Run, trace: Trace, found: Hindsight | None, pictures: Pictures) -> Iterator[str]:
    if found is None:
        return
    rule = (
        f"DARTS+ ends a search as soon as a normal cell has {RULE.limit} skip connections (criterion 1; from epoch "
        f"{RULE.first_epoch + 1} on)."
    )
    if found.chosen is None:
        where = f"In its stage {trace.stages} this" if trace.stages > 1 else "This"
        yield f"<p>{rule} {where} one never had so many: DARTS+ would have gone on to the last epoch.</p>"
        return
    final = "The run's result" if run.finished else "The last cell so far"
    yield f"<p>{rule} For this one that is after epoch {found.chosen.x} of {found.epochs}.</p>"
    yield '<p class="note">Cells derived from fresh α often have as many by chance: an early end says little.</p>'
    both = ((f"DARTS+: after epoch {found.chosen.x}", found.chosen), (f"{final}: epoch {found.final.x}", found.final))
    yield f'<div class="pair">{"".join(_cell_figure(title, epoch, trace, pictures) for title, epoch in both)}</div>'


def _cell_figure(title: str, epoch: Epoch, trace: Trace, pictures: Pictures) -> str:
    graphs = read_graphs(epoch.line.get("architecture"), kinds_with_probabilities(trace))
    frame = Frame(epoch.x, epoch.stage, shortened(graphs), cell_facts(epoch, kinds_with_skips(trace)))
    return _frame(frame, pictures, title)


def _progress(frames: Sequence[Frame], found: Hindsight | None, pictures: Pictures) -> Iterator[str]:
    if not frames:
        return
    wanted = [] if found is None else [found.final.x, *([found.chosen.x] if found.chosen else [])]
    shown = chosen(frames, wanted)
    stages = list(dict.fromkeys(frame.stage for frame in shown))
    yield "<p>The cell that would be derived after these epochs.</p>"
    yield f'<p class="note">{SHORT_NAMES}</p>'
    for stage in stages:
        if len(stages) > 1:
            yield f"<h3>Stage {stage + 1}</h3>"
        figures = "".join(_frame(frame, pictures) for frame in shown if frame.stage == stage)
        yield f'<div class="strip">{figures}</div>'
    if len(frames) > 1:
        every = "every epoch" if len(frames) == frames[-1].x - frames[0].x + 1 else f"{len(frames)} of the epochs"
        yield (
            f'<h3>Step by step: {every}</h3><div class="steps"><div class="control" hidden><button type="button">Play'
            f'</button><input type="range" min="0" max="{len(frames) - 1}" value="{len(frames) - 1}" step="1" '
            'aria-label="epoch"></div><div class="strip frames">'
        )
        yield from (_frame(frame, pictures) for frame in frames)
        yield "</div></div>"


def _frame(frame: Frame, pictures: Pictures, title: str = "") -> str:
    changed = "" if frame.changed is None else f"{frame.changed} edge{'' if frame.changed == 1 else 's'} changed"
    said = [*frame.facts, changed] if changed and not title else frame.facts
    title = title or f"epoch {frame.x}"
    return pictures.figure(frame.graphs, title, escape(title), said)


def _architecture(run: Run, trace: Trace) -> str:
    best = run.result.get("best")
    data = best.get("architecture") if isinstance(best, dict) else None
    if data is None and (final := final_epoch(run, trace)) is not None:
        data = final.line.get("architecture")
    graphs = read_graphs(data, kinds_with_probabilities(trace))
    if graphs:
        return f'<div class="picture">{draw_cells(graphs)}</div>{_words(data)}'
    # A space that only its own code can draw has done so; as an image no script in it can run.
    path = run.folder / PICTURE
    try:
        content = path.read_bytes() if path.stat().st_size <= MOST_BYTES else b""
    except OSError:
        content = b""
    if not content:
        return _words(data)
    encoded = base64.b64encode(content).decode()
    image = f'<img alt="the architecture" src="data:image/svg+xml;base64,{encoded}">'
    return f'<div class="picture">{image}</div>{_words(data)}'


def _words(data: Any) -> str:
    decisions = data.get("decisions") if isinstance(data, dict) else None
    if not isinstance(decisions, list):
        return ""
    texts = [escape(str(decision)) for decision in decisions]
    lines = texts if any(len(text) > 40 for text in texts) else [", ".join(texts)]
    return "".join(f"<p><code>{line}</code></p>" for line in lines)


def _alphas(trace: Trace) -> Iterator[str]:
    for number_, panels in enumerate(data_for_panels(trace)):
        if number_ == 0:
            yield (
                "<p>Each picture is an edge (source → target), each line an operation: its probability in % over the "
                "epochs. The thick line is the operation with which the last derived cell has the edge, else the "
                "likeliest; framed edges are in that cell.</p>"
            )
        yield f"<h3>{escape(kind_title(panels.kind))}</h3>{draw_panels(panels)}"


def _best(run: Run, trace: Trace) -> str:
    if sum(number(trial.get("score")) is not None for trial in trace.trials) < 2:
        return ""
    name = run.score_name or "score"
    rows = []
    for rise in ranked(trace.trials)[:BEST]:
        data = rise.trial.get("architecture")
        decisions = data.get("decisions") if isinstance(data, dict) else None
        text = ", ".join(map(str, decisions)) if isinstance(decisions, list) else ""
        place = number(rise.trial.get("index"))
        rows.append(["" if place is None else f"{place + 1:g}", show(name, rise.score), text])
    return table(["evaluation", name.replace("_", " "), "architecture"], rows, text=["architecture"])


def _numbers(trace: Trace) -> str:
    """All that was measured as one number an epoch."""
    names = [
        name
        for name in trace.names
        if name not in ("epoch", "epochs", "stage") and any(epoch.number(name) is not None for epoch in trace.epochs)
    ]
    if not names:
        return ""
    step = -(-len(trace.epochs) // MOST_ROWS)
    rows = [
        [f"{epoch.x}", *(_cell(name, epoch.number(name)) for name in names)]
        for index, epoch in enumerate(trace.epochs)
        if index % step == 0 or index + 1 == len(trace.epochs)
    ]
    titles = ["epoch", *(f"{name.replace('_', ' ')}{', %' if is_fraction(name) else ''}" for name in names)]
    every = "" if step == 1 else f" (one epoch in {step})"
    return f"<details><summary>All measurements{every}</summary>{table(titles, rows)}</details>"


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.2f}" if is_fraction(name) else f"{value:.5g}"


def _options(run: Run) -> str:
    if run.config is None:
        return ""
    rows = [[name, value] for name, value in flatten(run.config)]
    shown = table(["option", "value"], rows, text=["option", "value"])
    return f"<details><summary>Options</summary>{shown}</details>"
