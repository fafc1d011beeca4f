"""Graphs of boxes in layers from left to right. A box has a glyph for its state and some lines of text."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from databuild.drawing.layers import Edge
from databuild.drawing.layout import Direction, Frame, Layout, Segment, lay_out
from databuild.drawing.states import glyph
from databuild.drawing.svg import COLUMN_WIDTH, MARGIN, group, label, number, rectangle
from databuild.drawing.text import text_columns

BOX_WIDTH: Final = 240.0
COLUMNS: Final = 30
"""Columns of text in a line of a box; a wide character takes two."""

COUNT_COLUMNS: Final = 36
"""Columns of text in a line of counts."""

_LINE_HEIGHT: Final = 18.0


class Box(NamedTuple):
    """One node.

    Attributes:
        name: The first line.
        lines: The other lines.
        counts: Further lines, of counts by state: digits and short words, of which more fit than of other texts.
        state: One of STATES.
        title: The complete text, shown as a tooltip.
        link: The URL of the node; empty for none.
        loop: True if an edge leads from the node to itself.
        subject: True if the node is the subject of the drawing.
        external: True if the node stands for data from outside.
        bare: True for a text on an edge, which has no border, no state and no arrow.
    """

    name: str
    lines: tuple[str, ...]
    state: str
    title: str
    link: str = ""
    loop: bool = False
    counts: tuple[str, ...] = ()
    subject: bool = False
    external: bool = False
    bare: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """The width and the height."""
        if self.bare:
            return COLUMN_WIDTH * min(text_columns(self.name), COLUMNS) + 12, _LINE_HEIGHT + 4
        return BOX_WIDTH, 16 + _LINE_HEIGHT * (1 + len(self.lines) + len(self.counts))


class Picture(NamedTuple):
    """SVG elements, and the size of the canvas that they need."""

    parts: tuple[str, ...]
    width: float
    height: float


def draw_boxes(
    boxes: Sequence[Box], edges: Iterable[Edge], *, top: float, faint: Collection[Edge] = frozenset()
) -> Picture:
    """Draws boxes and edges below the height `top`; edges are pairs of indices of boxes."""
    layout = _layout(tuple(box.size for box in boxes), frozenset(edges), frozenset(faint))
    moved = _moved(layout, MARGIN, top)
    bare = {index for index, box in enumerate(boxes) if box.bare}
    # SVG paints in document order: edges first, so that boxes cover their ends.
    parts = [*_edges(moved, bare), *(_box(box, frame) for box, frame in zip(boxes, moved.frames, strict=True))]
    return Picture(tuple(parts), layout.width + 2 * MARGIN, layout.height + top + MARGIN)


@functools.lru_cache(maxsize=8)
def _layout(sizes: tuple[tuple[float, float], ...], edges: frozenset[Edge], faint: frozenset[Edge]) -> Layout:
    """Returns a layout, which is kept: a page that follows a build draws the same boxes again and again."""
    return lay_out(sizes, edges, faint=faint)


def _moved(layout: Layout, x: float, y: float) -> Layout:
    frames = tuple(frame._replace(x=frame.x + x, y=frame.y + y) for frame in layout.frames)
    segments = tuple(
        segment._replace(
            start=(segment.start[0] + x, segment.start[1] + y), end=(segment.end[0] + x, segment.end[1] + y)
        )
        for segment in layout.segments
    )
    return layout._replace(frames=frames, segments=segments)


def _edges(layout: Layout, bare: Collection[int]) -> Iterable[str]:
    """Draws the edges from each node as one path, and all arrows as another, which keeps the file small.

    An edge to a bare node continues after it, and has its arrow at its end.
    """
    paths: dict[tuple[int, Direction], list[str]] = defaultdict(list)
    arrows: dict[tuple[float, float, bool], None] = {}
    for segment in layout.segments:
        paths[segment.source, segment.direction].append(_curve(segment))
        if segment.direction.forward and segment.target >= 0 and segment.target not in bare:
            arrows[*segment.end, True] = None
        if segment.direction.back and segment.source not in bare:
            frame = layout.frames[segment.source]
            arrows[frame.right, frame.middle, False] = None
    for (_, direction), curves in paths.items():
        classes = f"edge{'' if direction.forward else ' back'}{' faint' if direction.faint else ''}"
        yield f'<path class="{classes}" d="{"".join(curves)}"/>'
    triangles = "".join(f"M{number(x)} {number(y)}l{'-' if right else ''}7 -4v8Z" for x, y, right in arrows)
    if triangles:
        yield f'<path class="arrow" d="{triangles}"/>'


def _curve(segment: Segment) -> str:
    (left, start), (right, end) = segment.start, segment.end
    if abs(start - end) < 0.05:  # less than the precision of `number`
        return f"M{number(left)} {number(start)}H{number(right)}"
    middle = number((left + right) / 2)
    return (
        f"M{number(left)} {number(start)}C{middle} {number(start)} {middle} {number(end)} {number(right)} {number(end)}"
    )


def _box(box: Box, frame: Frame) -> str:
    x, y = frame.x, frame.y
    if box.bare:
        return group("mapping", box.title, [label("small", x + 6, y + 15, box.name, COLUMNS)])
    state_glyph = glyph(box.state, x + 10, y + 10)
    parts = [
        rectangle("box", x, y, frame.width, frame.height, 7),
        state_glyph,
        label("name", x + (30 if state_glyph else 12), y + 20, box.name, COLUMNS - 7),
        *(
            label("quiet", x + 12, y + 20 + _LINE_HEIGHT * line, text, COLUMNS if line <= len(box.lines) else 0)
            for line, text in enumerate((*box.lines, *box.counts), 1)
        ),
    ]
    if box.loop:
        parts.append(
            f'<path class="edge" d="M{number(frame.right - 44)} {number(y)}c0 -13 24 -13 24 -3"/>'
            f'<path class="arrow" d="M{number(frame.right - 20)} {number(y)}l-4 -6h8Z"/>'
        )
    more = f"{' subject' if box.subject else ''}{' external' if box.external else ''}"
    return group(f"node state-{box.state}{more}", box.title, parts, box.link)
