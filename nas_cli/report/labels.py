"""Where the names of points stand in a picture, so that they cover neither each other nor other points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas_cli.report.layout import text_width

FONT, HEIGHT, DOT = 10.0, 11.0, 6.0

Place = tuple[float, float, str]
_Box = tuple[float, float, float, float]


def places(points: Sequence[tuple[float, float]], names: Sequence[str], frame: _Box) -> list[Place]:
    """For each name (x, y of its base line, anchor): right, left, above or below its point, wherever there is room.

    Args:
        points: (x, y) in the picture's units.
        names: one for each; empty: none is written, but the point is kept free.
        frame: (left, top, right, bottom) in which names should stay.
    """
    taken: list[_Box] = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in points]
    found: list[Place] = []
    for (x, y), name in zip(points, names, strict=True):
        options = [(place, box) for place, box in _options(x, y, text_width(name, FONT))]
        place, box = min(options, key=lambda option: _cost(option[1], taken, frame))  # the first of equals
        found.append(place)
        if name:
            taken.append(box)
    return found


def _options(x: float, y: float, width: float) -> Iterator[tuple[Place, _Box]]:
    base = 3.5  # from the middle of a text to its base line
    near, far = DOT + HEIGHT / 2, DOT + 3 * HEIGHT / 2
    sides = [(x + DOT, y, "start"), (x - DOT - width, y, "end")]
    for down in (-near, near, -far, far):
        sides += [
            (x - width / 2, y + down, "middle"),
            (x + DOT / 2, y + down, "start"),
            (x - DOT / 2 - width, y + down, "end"),
        ]
    for left, middle, anchor in sides:
        at = {"start": left, "end": left + width, "middle": left + width / 2}[anchor]
        yield (at, middle + base, anchor), (left, middle - HEIGHT / 2, left + width, middle + HEIGHT / 2)


def _cost(box: _Box, taken: Sequence[_Box], frame: _Box) -> float:
    """The area that is covered or out of the frame."""
    inside = _shared(box, frame)
    area = (box[2] - box[0]) * (box[3] - box[1])
    return sum(_shared(box, other) for other in taken) + 4 * (area - inside)


def _shared(one: _Box, other: _Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)
