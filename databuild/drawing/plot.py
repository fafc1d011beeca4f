"""Plot of a number over dates: a line, a point for each partition, and outliers as diamonds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final, NamedTuple

from databuild.drawing.svg import MARGIN, document, group, label, number
from databuild.drawing.text import escape

_WIDTH: Final = 640.0
_HEIGHT: Final = 170.0
_TOP: Final = 44.0
_BOTTOM: Final = _HEIGHT - 30
_LEFT: Final = 96.0
_RIGHT: Final = _WIDTH - MARGIN
_RADIUS: Final = 3.0
_OUTLIER_RADIUS: Final = 6.0
_TARGET_RADIUS: Final = 12.0


class PlottedPoint(NamedTuple):
    """One point.

    Attributes:
        date: The date, as text.
        position: The date as a number.
        value: The value.
        text: The value as text.
        name: The partition.
        outlier: True to emphasise the point.
        link: The URL of the point; empty for none.
    """

    date: str
    position: int
    value: float
    text: str
    name: str
    outlier: bool = False
    link: str = ""


def draw_plot(title: str, points: Sequence[PlottedPoint]) -> str:
    """Draws points, which are in the order of their positions.

    Args:
        title: The title of the drawing.
        points: At least one point.
    """
    values = [point.value for point in points]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    first, last = points[0].position, points[-1].position
    width = (last - first) or 1

    def x_of(point: PlottedPoint) -> float:
        return _LEFT + (_RIGHT - _LEFT) * ((point.position - first) / width if last > first else 0.5)

    def y_of(value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (value - low) / span

    smallest, largest = min(points, key=_value), max(points, key=_value)
    middle = statistics.median(values)
    parts = [label("name", MARGIN, 24, title, 60), _rule(y_of(0.0))]
    extremes = (smallest, largest) if smallest.value != largest.value else (largest,)
    parts += [label("small end", _LEFT - 8, y_of(point.value) + 4, point.text, 14) for point in extremes]
    parts.append(_rule(y_of(middle), "rule back"))
    line = " ".join(f"{number(x_of(point))},{number(y_of(point.value))}" for point in points)
    parts.append(f'<polyline class="edge" points="{line}"/>')
    parts += [_point(point, x_of(point), y_of(point.value)) for point in points]
    parts.append(label("small", _LEFT, _HEIGHT - 8, points[0].date))
    if last > first:
        parts.append(label("small end", _RIGHT, _HEIGHT - 8, points[-1].date))
    outliers = sum(point.outlier for point in points)
    description = f"{len(points)} values from {points[0].date} to {points[-1].date}; outliers: {outliers}"
    return document("plot", title, description, parts, _WIDTH, _HEIGHT)


def _value(point: PlottedPoint) -> float:
    return point.value


def _rule(y: float, classes: str = "rule") -> str:
    return f'<line class="{classes}" x1="{number(_LEFT)}" x2="{number(_RIGHT)}" y1="{number(y)}" y2="{number(y)}"/>'


def _point(point: PlottedPoint, x: float, y: float) -> str:
    title = f"{point.name}: {point.text}{', an outlier' if point.outlier else ''}"
    if point.outlier:
        r = _OUTLIER_RADIUS
        corners = ((x, y - r), (x + r, y), (x, y + r), (x - r, y))
        shape = " ".join(f"{number(px)},{number(py)}" for px, py in corners)
        mark = f'<polygon class="box" points="{shape}"/>'
    else:
        mark = f'<circle class="box" cx="{number(x)}" cy="{number(y)}" r="{number(_RADIUS)}"/>'
    state = "state-stale" if point.outlier else "state-available"
    if not point.link:
        return f'<g class="{state}"><title>{escape(title)}</title>{mark}</g>'
    target = f'<circle fill="transparent" cx="{number(x)}" cy="{number(y)}" r="{number(_TARGET_RADIUS)}"/>'
    return group(state, title, [target, mark], point.link)
