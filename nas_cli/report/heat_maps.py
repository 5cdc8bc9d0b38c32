"""Functions of two numbers as heat maps with contours: SVG elements for a page."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from nas_cli.report.chart import Point
from nas_cli.report.curves import text, ticks

WIDTH, HEIGHT = 300.0, 290.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 10.0, 8.0, 40.0
CONTOURS = 9
#: From low to high, the same on light and dark pages: lightness alone tells them apart.
COLOURS = ((29, 34, 72), (38, 84, 124), (42, 138, 140), (122, 190, 120), (246, 232, 150))


@dataclass(frozen=True)
class Map:
    """A function on a rectangle.

    Args:
        title: what is shown.
        x, y: (name, low, high) of the axes.
        values: rows of a regular grid over the rectangle, y ascending; in a row x ascending.
        dots: places to mark, the newest last.
        star: a place to mark beside them.
        looked: places to mark faintly.
        note: how to read it.
    """

    title: str
    x: tuple[str, float, float]
    y: tuple[str, float, float]
    values: Sequence[Sequence[float]]
    dots: Sequence[Point] = ()
    star: Point | None = None
    looked: Sequence[Point] = ()
    note: str = ""


def draw_map(shown: Map) -> str:
    """A map as a figure with its title and its note."""
    note = f'<p class="note">{escape(shown.note)}</p>' if shown.note else ""
    return f'<figure class="chart"><figcaption>{escape(shown.title)}</figcaption>{map_svg(shown)}{note}</figure>'


def map_svg(shown: Map) -> str:
    """The picture of a map alone."""
    low, high = min(map(min, shown.values)), max(map(max, shown.values))
    (x_name, x_low, x_high), (y_name, y_low, y_high) = shown.x, shown.y
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def across(x: float) -> float:
        return LEFT + (x - x_low) / (x_high - x_low) * wide

    def up(y: float) -> float:
        return TOP + tall - (y - y_low) / (y_high - y_low) * tall

    encoded = base64.b64encode(_png(shown.values, low, high)).decode()
    said = f"{shown.title}: from {low:.4g} (dark) to {high:.4g} (light)"
    parts = [
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img"><title>{escape(said)}</title>',
        f'<image x="{LEFT:g}" y="{TOP:g}" width="{wide:g}" height="{tall:g}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{encoded}"/>',
    ]
    if high > low:
        rows, columns = len(shown.values) - 1, len(shown.values[0]) - 1
        ways = (
            f"M{LEFT + a / columns * wide:.1f} {TOP + tall - b / rows * tall:.1f}"
            f"L{LEFT + c / columns * wide:.1f} {TOP + tall - d / rows * tall:.1f}"
            for level in ticks(low, high, CONTOURS)
            if low < level < high
            for (a, b), (c, d) in contour(shown.values, level)
        )
        parts.append(f'<path d="{"".join(ways)}" fill="none" stroke="#fff" stroke-width=".8" opacity=".45"/>')
    parts += (f'<path d="M{across(x) - 1:.1f} {up(y):.1f}h2" stroke="#fff" opacity=".7"/>' for x, y in shown.looked)
    for x, y in shown.dots:
        parts.append(f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3.4" fill="#fff" stroke="#1b1f27"/>')
    if shown.star is not None:
        parts.append(f'<path d="{_star(across(shown.star[0]), up(shown.star[1]))}" fill="#ff5a36" stroke="#fff"/>')
    foot = TOP + tall
    for x in (x for x in ticks(x_low, x_high, 4) if x_low <= x <= x_high):
        parts.append(text(f"{x:.6g}", across(x), foot + 16, "middle"))
    for y in (y for y in ticks(y_low, y_high, 4) if y_low <= y <= y_high):
        parts.append(text(f"{y:.6g}", LEFT - 6, up(y) + 4, "end"))
    parts.append(text(x_name, LEFT + wide / 2, HEIGHT - 7, "middle", "label"))
    parts.append(
        f'<text class="label" text-anchor="middle" transform="translate(12 {TOP + tall / 2:g}) rotate(-90)">'
        f"{escape(y_name)}</text></svg>"
    )
    return "".join(parts)


def contour(values: Sequence[Sequence[float]], level: float) -> Iterator[tuple[Point, Point]]:
    """Straight pieces of the line at which a function has a value, in units of the grid (column, row).

    By marching squares; in a saddle the pieces keep the two corners above the level together.
    """
    for row in range(len(values) - 1):
        for column in range(len(values[0]) - 1):
            corners = [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)]
            heights = [values[y][x] - level for x, y in corners]
            if all(height > 0 for height in heights) or all(height <= 0 for height in heights):
                continue
            crossed: list[Point] = []
            for one in range(4):
                a, b = heights[one], heights[(one + 1) % 4]
                if (a > 0) != (b > 0):
                    (x, y), (to_x, to_y) = corners[one], corners[(one + 1) % 4]
                    share = a / (a - b)
                    crossed.append((x + share * (to_x - x), y + share * (to_y - y)))
            if len(crossed) == 4 and heights[0] <= 0:  # a saddle whose first corner lies below
                crossed = [*crossed[3:], *crossed[:3]]
            yield from zip(crossed[::2], crossed[1::2], strict=True)


def _png(values: Sequence[Sequence[float]], low: float, high: float) -> bytes:
    """The values as an image, y upwards, a pixel each; whoever shows it larger blends between pixels."""
    span = high - low or 1.0
    lines = b"".join(b"\0" + b"".join(bytes(colour((value - low) / span)) for value in row) for row in reversed(values))
    header = struct.pack(">IIBBBBB", len(values[0]), len(values), 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def colour(share: float) -> tuple[int, int, int]:
    """The colour of a value that is so far from the lowest to the highest."""
    place = min(max(share, 0.0), 1.0) * (len(COLOURS) - 1)
    first = min(int(place), len(COLOURS) - 2)
    one, other = COLOURS[first], COLOURS[first + 1]
    red, green, blue = (round(a + (b - a) * (place - first)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _star(x: float, y: float) -> str:
    corners = (
        f"{x + radius * math.sin(math.pi * k / 5):.1f} {y - radius * math.cos(math.pi * k / 5):.1f}"
        for k, radius in enumerate((7.0, 3.0) * 5)
    )
    return f"M{'L'.join(corners)}Z"
