"""The cell that a search would have derived, epoch by epoch: which epochs to show, and small pictures of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise

from nas_cli.architecture import CellGraph
from nas_cli.report.alphas import kinds_with_probabilities, kinds_with_skips
from nas_cli.report.cells import kind_title, read_graphs, short_name
from nas_cli.report.drawing import FAMILIES, family
from nas_cli.report.layout import Layout, Wire, is_none, layout
from nas_cli.report.trace import Epoch, Trace

#: In the strip, and in each stage where there are several.
SHOWN, SHOWN_IN_STAGE = 8, 3
#: Pictures that a page holds at most: of a long search with many cells only every so many epochs can be stepped to.
MOST_PICTURES = 160
_SMALL = 720.0  # a small picture's least width: all cells of four nodes fit, so they have the same size
_CLASSES = {name: f"o{number}" for number, name in enumerate(FAMILIES)}


@dataclass(frozen=True)
class Frame:
    """The derived cells after one epoch.

    Args:
        x, stage: as of `Epoch`.
        graphs: the cells, their operations' names shortened.
        facts: skips, accuracy …, as text.
        changed: how many edges differ from the frame before; None for the first of a stage.
    """

    x: int
    stage: int
    graphs: Sequence[CellGraph]
    facts: Sequence[str]
    changed: int | None = None


def data_for_frames(trace: Trace) -> list[Frame]:
    """A frame for each epoch with cells that can be drawn, or for every so many where there are very many pictures."""
    kinds, counted = kinds_with_probabilities(trace), kinds_with_skips(trace)
    frames = [
        Frame(epoch.x, epoch.stage, graphs, facts(epoch, counted))
        for epoch in trace.epochs
        if (graphs := shortened(read_graphs(epoch.line.get("architecture"), kinds)))
    ]
    pictures = sum(len(frame.graphs) for frame in frames)
    step = max(1, -(-pictures // MOST_PICTURES))
    ends = {index for index, (one, two) in enumerate(pairwise(frames)) if one.stage != two.stage} | {len(frames) - 1}
    frames = [frame for index, frame in enumerate(frames) if index % step == 0 or index in ends]
    return frames[:1] + [
        replace(frame, changed=_changed(before, frame)) if frame.stage == before.stage else frame
        for before, frame in pairwise(frames)
    ]


def facts(epoch: Epoch, kinds: Sequence[str]) -> list[str]:
    """What a person wants to know of the cells of an epoch; `kinds` are those with skip connections."""
    found = []
    for kind in kinds:
        skips = epoch.number(f"skips_{kind}")
        if skips is not None:
            found.append(f"{skips:g} skip{'' if skips == 1 else 's'} in {kind_title(kind)}")
    if len(found) > 2:
        total = sum(epoch.number(f"skips_{kind}") or 0 for kind in kinds)
        found = [f"{total:g} skips in all cells"]
    for name, label in (
        ("valid_accuracy", "validation"),
        ("derived_accuracy", "derived"),
        ("train_accuracy", "training"),
    ):
        value = epoch.number(name)
        if value is not None and (name != "train_accuracy" or "valid_accuracy" not in epoch.line):
            found.append(f"{label} {100 * value:.1f} %")
    perplexity = epoch.number("valid_perplexity")
    return found if perplexity is None else [*found, f"validation perplexity {perplexity:.4g}"]


def chosen(frames: Sequence[Frame], wanted: Iterable[int] = ()) -> list[Frame]:
    """Frames for the strip: evenly spread with both ends, of each stage where there are several.

    Args:
        wanted: epochs `x` to show in any case.
    """
    stages = list(dict.fromkeys(frame.stage for frame in frames))
    count = SHOWN if len(stages) == 1 else SHOWN_IN_STAGE
    shown = {frame.x for frame in frames} & set(wanted)
    for stage in stages:
        its = [frame for frame in frames if frame.stage == stage]
        last = len(its) - 1
        shown |= {its[round(place * last / max(1, count - 1))].x for place in range(count)}
    return [frame for frame in frames if frame.x in shown]


def at(frames: Sequence[Frame], xs: Iterable[int]) -> list[Frame]:
    """The last frames up to each of these epochs, each once."""
    found = ([frame for frame in frames if frame.x <= x][-1:] for x in xs)
    return list({frame.x: frame for last in found for frame in last}.values())


def shortened(graphs: Iterable[CellGraph]) -> list[CellGraph]:
    """The same cells for small pictures: operations' names are short, inputs are numbered like the other nodes."""
    return [
        replace(
            graph,
            inputs=_short_inputs(graph),
            edges=tuple((start, end, short_name(name)) for start, end, name in graph.edges),
            output="",
        )
        for graph in graphs
    ]


def _short_inputs(graph: CellGraph) -> tuple[str, ...]:
    """Numbers where the inner nodes' numbers go on from them, else names without their indices."""
    count = len(graph.inputs)
    if count > 1 and graph.nodes[:1] == (str(count),):
        return tuple(map(str, range(count)))
    return tuple(name.partition("_")[0] for name in graph.inputs)


def _changed(before: Frame, now: Frame) -> int:
    edges = [
        {(place, *edge) for place, graph in enumerate(frame.graphs) for edge in graph.edges} for frame in (before, now)
    ]
    return len(edges[1] - edges[0])


class Pictures:
    """Small pictures of cells, each kept once in a page however often it is shown.

    Their ids are numbers: nothing that a file says becomes part of one.
    """

    def __init__(self) -> None:
        self._numbers: dict[CellGraph, int] = {}
        self._layouts: list[Layout] = []

    def show(self, graph: CellGraph, title: str = "") -> str:
        """A reference to the picture of a cell, which `definitions` has to hold."""
        graph = replace(graph, title="")
        if graph not in self._numbers:
            self._numbers[graph] = len(self._layouts)
            self._layouts.append(layout(graph, _SMALL))
        number = self._numbers[graph]
        placed = self._layouts[number]
        words = "; ".join(f"{source} → {target} {name}" for source, target, name in graph.edges)
        return (
            f'<svg class="cell" viewBox="0 0 {placed.width:.0f} {placed.height:.0f}" role="img">'
            f'<title>{escape(f"{title}: {words}")}</title><use href="#cell{number}"/></svg>'
        )

    def figure(self, graphs: Sequence[CellGraph], name: str, heading: str, said: Sequence[str]) -> str:
        """The cells of an architecture below a heading.

        Args:
            name: of the architecture, as text.
            heading: the same as HTML, e.g. with a link.
            said: what is to be said of it.
        """
        cells = "".join(
            f"<div>{f'<h4>{escape(graph.title)}</h4>' if len(graphs) > 1 else ''}"
            f"{self.show(graph, f'{name}, {graph.title}')}</div>"
            for graph in graphs
        )
        many = " many" if len(graphs) > 2 else ""
        return (
            f'<figure class="frame{many}"><figcaption>{heading} <small>{escape(", ".join(said))}</small></figcaption>'
            f'<div class="cells">{cells}</div></figure>'
        )

    def definitions(self) -> str:
        """The pictures themselves, for the end of the page."""
        symbols = "".join(
            f'<symbol id="cell{number}" viewBox="0 0 {placed.width:.0f} {placed.height:.0f}">{_draw(placed)}</symbol>'
            for number, placed in enumerate(self._layouts)
        )
        return f'<svg class="definitions" aria-hidden="true">{symbols}</svg>' if symbols else ""


def _draw(placed: Layout) -> str:
    parts = [f'<path class="{"w faint" if wire.faint else "w"}" d="{_bend(wire)}"/>' for wire in placed.wires]
    for box in placed.boxes:
        look = _CLASSES[family(_long(box.label))] if box.kind == "operation" else box.kind
        radius = 6 if box.kind in ("operation", "output") else round(box.height / 2)
        parts.append(
            f'<rect class="{look}" x="{box.left:.0f}" y="{box.top:.0f}" width="{box.width:.0f}" '
            f'height="{box.height:.0f}" rx="{radius}"/>'
        )
        if box.label:
            parts.append(f'<text class="{look}" x="{box.x:.0f}" y="{box.y + 5:.0f}">{escape(box.label)}</text>')
    return "".join(parts)


def _long(short: str) -> str:
    """A name by which `family` knows a shortened operation."""
    for kind in ("max", "avg"):
        if short.startswith(f"{kind} "):
            return f"{kind}_pool"
    return "none" if is_none(short) else short


def _bend(wire: Wire) -> str:
    (x, y), *rest = wire.points
    path = f"M{x:.0f} {y:.0f}"
    for next_x, next_y in rest:
        half = (x + next_x) / 2
        level = round(y) == round(next_y)
        path += f"H{next_x:.0f}" if level else f"C{half:.0f} {y:.0f} {half:.0f} {next_y:.0f} {next_x:.0f} {next_y:.0f}"
        x, y = next_x, next_y
    return path
