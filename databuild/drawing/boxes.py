"""Graphs of boxes: each with a sign for its state and some lines of text, in layers from left to right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from databuild.drawing.layers import Edge
from databuild.drawing.layout import Layout, Place, Segment, Ways, lay_out
from databuild.drawing.states import glyph
from databuild.drawing.svg import MARGIN, group, label, number, rectangle

WIDTH: Final = 240.0
COLUMNS: Final = 30
"""How many columns of text a line of a box takes."""

_LINE: Final = 18.0


class Box(NamedTuple):
    """What is drawn as one node.

    Attributes:
        name: The first line.
        lines: The others.
        state: One of STATES.
        title: All of what it says, unshortened.
        link: Where it leads to.
        loop: Whether an edge leads from it to itself.
        asked: Whether it is what the drawing is about.
    """

    name: str
    lines: tuple[str, ...]
    state: str
    title: str
    link: str = ""
    loop: bool = False
    asked: bool = False


class Picture(NamedTuple):
    """Elements and the canvas that they take."""

    parts: tuple[str, ...]
    width: float
    height: float


def draw_boxes(
    boxes: Sequence[Box], edges: Iterable[Edge], *, top: float, faint: Collection[Edge] = frozenset()
) -> Picture:
    """Draws boxes and the edges between them, some of which may be faint, below `top`."""
    layout = lay_out([(WIDTH, 16 + _LINE * (1 + len(box.lines))) for box in boxes], edges, faint=faint)
    moved = _moved(layout, MARGIN, top)
    parts = [*_edges(moved), *(_box(box, place) for box, place in zip(boxes, moved.places, strict=True))]
    return Picture(tuple(parts), layout.width + 2 * MARGIN, layout.height + top + MARGIN)


def _moved(layout: Layout, x: float, y: float) -> Layout:
    places = tuple(place._replace(x=place.x + x, y=place.y + y) for place in layout.places)
    segments = tuple(
        segment._replace(
            start=(segment.start[0] + x, segment.start[1] + y), end=(segment.end[0] + x, segment.end[1] + y)
        )
        for segment in layout.segments
    )
    return layout._replace(places=places, segments=segments)


def _edges(layout: Layout) -> Iterable[str]:
    """Draws what leads from each node as one path, and one arrow at each end."""
    paths: dict[tuple[int, Ways], list[str]] = defaultdict(list)
    arrows: dict[tuple[float, float, bool], None] = {}
    for segment in layout.segments:
        paths[segment.source, segment.ways].append(_curve(segment))
        if segment.ways.onward and segment.target >= 0:
            arrows[*segment.end, True] = None
        if segment.ways.back:
            place = layout.places[segment.source]
            arrows[place.right, place.middle, False] = None
    for (_, ways), curves in paths.items():
        kind = f"edge{'' if ways.onward else ' back'}{' faint' if ways.faint else ''}"
        yield f'<path class="{kind}" d="{"".join(curves)}"/>'
    tips = "".join(f"M{number(x)} {number(y)}l{'-' if right else ''}7 -4v8Z" for x, y, right in arrows)
    if tips:
        yield f'<path class="arrow" d="{tips}"/>'


def _curve(segment: Segment) -> str:
    (x, y), (right, end) = segment.start, segment.end
    if abs(y - end) < 0.05:
        return f"M{number(x)} {number(y)}H{number(right)}"
    half = number((x + right) / 2)
    return f"M{number(x)} {number(y)}C{half} {number(y)} {half} {number(end)} {number(right)} {number(end)}"


def _box(box: Box, place: Place) -> str:
    x, y = place.x, place.y
    sign = glyph(box.state, x + 10, y + 10)
    parts = [
        rectangle("box", x, y, place.width, place.height, 7),
        sign,
        label("name", x + (30 if sign else 12), y + 20, box.name, COLUMNS - 7),
        *(label("quiet", x + 12, y + 20 + _LINE * line, text, COLUMNS) for line, text in enumerate(box.lines, 1)),
    ]
    if box.loop:
        parts.append(
            f'<path class="edge" d="M{number(place.right - 44)} {number(y)}c0 -13 24 -13 24 -3"/>'
            f'<path class="arrow" d="M{number(place.right - 20)} {number(y)}l-4 -6h8Z"/>'
        )
    return group(f"node state-{box.state}{' asked' if box.asked else ''}", box.title, parts, box.link)
