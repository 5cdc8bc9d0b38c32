"""Where the parts of a cell's picture stand.

A cell reads from left to right. Every operation has a row of its own, its *lane*, and stands on it directly left of
its target node. A wire leaves its source, bends to its lane inside the gap behind the source's column, where nothing
else stands, and then runs straight on to its operation. What goes to the output runs on in the middle of the lanes
that end at its node, which are free from there on. So no wire can meet a box that is not its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_cli.architecture import CellGraph

# Lengths are in units of the picture's own grid, of which a page is PAGE wide.
PAGE = 1000.0
MARGIN = 24.0
LANE = 36.0  # from lane to lane; more than the height of a node, so a lane passes beside every foreign node
GROUP = 14.0  # between the lanes of two nodes
OPERATION_HEIGHT, NODE_HEIGHT, INPUT_HEIGHT = 26.0, 30.0, 32.0
GAP, WIDEST_GAP = 35.0, 230.0  # where wires bend behind a column
ENTRY, WIDEST_ENTRY = 22.0, 70.0  # between an operation and its node
FONT = 13.0


@dataclass(frozen=True)
class Box:
    """A labelled box; `x`, `y` is its centre. `kind` is ``input``, ``node``, ``operation`` or ``output``.

    It is faint where nothing flows through it in this picture.
    """

    kind: str
    label: str
    x: float
    y: float
    width: float
    height: float
    faint: bool = False

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True)
class Wire:
    """A line through `points`: straight between two of equal height, else an S that starts and ends level.

    Args:
        start: number of the node that it comes from; -1 for the piece from an operation to its node.
        points: (x, y), from left to right.
        faint: it belongs to a `none` operation or to a dropped edge, through which nothing flows.
    """

    start: int
    points: tuple[tuple[float, float], ...]
    faint: bool = False


@dataclass(frozen=True)
class Layout:
    """Where the parts of one cell stand, in a frame of `width` x `height` that starts at (0, 0)."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]


def is_none(operation: str) -> bool:
    """Whether an operation is the one through which nothing flows."""
    return operation.lower() in ("none", "zero", "zeroize")


def text_width(text: str, size: float = FONT) -> float:
    """An upper estimate of a text's width, which holds for the wider ones of the usual sans-serif fonts."""
    narrow = sum(letter in "iljtfr.,:;|!'()[] " for letter in text)
    wide = sum(letter in "mw@%" or letter.isupper() or letter > "\u0250" for letter in text)
    return size * (0.42 * narrow + 1.0 * wide + 0.66 * (len(text) - narrow - wide))


def layout(graph: CellGraph, width: float = PAGE) -> Layout:
    """Place a cell's parts.

    Args:
        graph: the cell; an edge must end at an inner node and start at an input or at an earlier node.
        width: of the frame; a cell that needs more gets more.

    Raises:
        ValueError: an edge or an output that does not fit the cell's nodes.
    """
    _check(graph)
    inputs = len(graph.inputs)
    depth, rows = _depths(graph), _rows(graph)
    columns = _columns(graph, depth, rows, width)
    boxes: list[Box] = []
    wires: list[Wire] = []
    fed = {target for place, (_, target, _) in enumerate(graph.edges) if place not in graph.dropped}
    starved = {target for _, target, _ in graph.edges} - fed
    for number, label in enumerate((*graph.inputs, *graph.nodes)):
        is_input, column = number < inputs, columns[depth[number]]
        kind, tall = ("input", INPUT_HEIGHT) if is_input else ("node", NODE_HEIGHT)
        centre = column.end - column.nodes / 2
        is_faint = number in starved
        boxes.append(Box(kind, label, centre, rows.nodes[number], _node_width(label, is_input), tall, is_faint))
    for place, ((source, target, operation), lane) in enumerate(zip(graph.edges, rows.lanes, strict=True)):
        is_dropped = place in graph.dropped
        column, faint = columns[depth[target]], is_dropped or is_none(operation)
        right = column.end - column.nodes - column.entry
        middle = right - column.operations / 2
        box = Box("operation", operation, middle, lane, column.operations, OPERATION_HEIGHT, is_dropped)
        wires.append(_way(source, boxes[source], columns[depth[source]], lane, box.left, faint))
        start, end = (box.right, lane), boxes[target]
        wires.append(Wire(-1, (start, (right + column.entry, end.y), (end.left, end.y)), faint))
        boxes.append(box)

    left, arrivals = columns[-1].end + columns[-1].gap, []
    for number in graph.outputs:
        # An input's own height is no lane: what goes from it straight to the output has one below all others.
        arrival = rows.nodes[number] if number >= inputs else rows.passing[sorted(graph.outputs).index(number)]
        wires.append(_way(number, boxes[number], columns[depth[number]], arrival, left))
        arrivals.append(arrival)
    low, high = (min(arrivals), max(arrivals)) if arrivals else (rows.height / 2, rows.height / 2)
    output_width, tall = _output_width(graph), high - low + INPUT_HEIGHT
    boxes.append(Box("output", graph.output, left + output_width / 2, (low + high) / 2, output_width, tall))
    frame = max(width, round(boxes[-1].right + MARGIN, 3))
    return Layout(frame, rows.height, tuple(boxes), tuple(wires))


def _way(number: int, start: Box, column: _Column, lane: float, stop: float, faint: bool = False) -> Wire:
    """From a node to its column's edge, in the gap to the lane, and along it."""
    end = column.end
    return Wire(number, ((start.right, start.y), (end, start.y), (end + column.gap, lane), (stop, lane)), faint)


def _check(graph: CellGraph) -> None:
    inputs, count = len(graph.inputs), len(graph.inputs) + len(graph.nodes)
    for source, target, operation in graph.edges:
        if not (0 <= source < target and inputs <= target < count):
            raise ValueError(f"{graph.title}: edge {source} -> {target} ({operation}) must go forward to an inner node")
    for number in graph.outputs:
        if not 0 <= number < count:
            raise ValueError(f"{graph.title}: output {number} is no node, there are {count}")


def _depths(graph: CellGraph) -> list[int]:
    """The column of every node: inputs 0, an inner node one more than the deepest of its sources."""
    inputs = len(graph.inputs)
    depth = [0] * inputs + [1] * len(graph.nodes)
    for source, target, _ in sorted(graph.edges, key=lambda edge: edge[1]):
        depth[target] = max(depth[target], depth[source] + 1)
    return depth


@dataclass(frozen=True)
class _Rows:
    """Heights: of the edges' lanes, of all nodes, of the lanes from inputs to the output, and of the frame."""

    lanes: list[float]
    nodes: list[float]
    passing: list[float]
    height: float


def _rows(graph: CellGraph) -> _Rows:
    inputs = len(graph.inputs)
    feeds: dict[int, list[int]] = {inputs + index: [] for index in range(len(graph.nodes))}
    for index, (_, target, _) in enumerate(graph.edges):
        feeds[target].append(index)
    passing_count = sum(number < inputs for number in graph.outputs)
    # A node without an edge has a lane of its own too.
    groups = [max(1, len(edges)) for edges in feeds.values()] + ([passing_count] if passing_count else [])
    inner = max(sum(groups) * LANE + (len(groups) - 1) * GROUP, inputs * (INPUT_HEIGHT + GROUP))
    nodes = [MARGIN + inner * (number + 0.5) / inputs for number in range(inputs)]
    lanes, top = [0.0] * len(graph.edges), MARGIN
    for edges in feeds.values():
        # The higher the source, the higher the lane: the wires of one node do not cross each other.
        for row, index in enumerate(sorted(edges, key=lambda index: nodes[graph.edges[index][0]])):
            lanes[index] = top + (row + 0.5) * LANE
        nodes.append(top + max(1, len(edges)) * LANE / 2)
        top += max(1, len(edges)) * LANE + GROUP
    passing = [top + (row + 0.5) * LANE for row in range(passing_count)]
    fed = [lane for lane, edge in zip(lanes, graph.edges, strict=True) if edge[0] == 0]
    if inputs == 1 and fed:
        nodes[0] = sum(fed) / len(fed)
    return _Rows(lanes, nodes, passing, inner + 2 * MARGIN)


@dataclass(frozen=True)
class _Column:
    """From left to right: operations, the entry into their nodes, nodes up to x = `end`, and the gap behind them."""

    operations: float
    entry: float
    nodes: float
    end: float
    gap: float


def _columns(graph: CellGraph, depth: Sequence[int], rows: _Rows, width: float) -> list[_Column]:
    """The columns by depth: 0 has the inputs only. What `width` leaves over goes to where wires bend."""
    inputs, count = len(graph.inputs), max(depth, default=0) + 1
    operations, nodes, bends = [0.0] * count, [0.0] * count, [0.0] * count
    for (source, target, operation), lane in zip(graph.edges, rows.lanes, strict=True):
        operations[depth[target]] = max(operations[depth[target]], text_width(operation) + 12)
        bends[depth[source]] = max(bends[depth[source]], abs(lane - rows.nodes[source]))
    for number, label in enumerate((*graph.inputs, *graph.nodes)):
        nodes[depth[number]] = max(nodes[depth[number]], _node_width(label, number < inputs))
    fixed = 2 * MARGIN + sum(operations) + sum(nodes) + _output_width(graph)
    spare = max(0.0, width - fixed - count * GAP - (count - 1) * ENTRY)
    entry = min(WIDEST_ENTRY, ENTRY + spare / (6 * count))
    spare = max(0.0, spare - (count - 1) * (entry - ENTRY))
    # The further the wires of a gap go up or down, the wider it is; what is over stays at the sides.
    shares = [bend + LANE for bend in bends]
    gaps = [min(WIDEST_GAP, GAP + spare * share / sum(shares)) for share in shares]
    used = fixed + sum(gaps) + (count - 1) * entry
    columns = [_Column(0.0, 0.0, nodes[0], MARGIN + max(0.0, width - used) / 2 + nodes[0], gaps[0])]
    for index in range(1, count):
        end = columns[-1].end + columns[-1].gap + operations[index] + entry + nodes[index]
        columns.append(_Column(operations[index], entry, nodes[index], end, gaps[index]))
    return columns


def _output_width(graph: CellGraph) -> float:
    return text_width(graph.output) + 28


def _node_width(label: str, is_input: bool) -> float:
    return max(NODE_HEIGHT, text_width(label) + (24 if is_input else 16))
