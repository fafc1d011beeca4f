"""Job runs as bars on a time scale, and their distribution over rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

GLYPH_WIDTH: Final = 16.0
"""Width of the glyph of a state in a bar or after it, with its margin."""

_MIN_WIDTH: Final = 3.0
_GAP: Final = 2.0


class DrawnRun(NamedTuple):
    """A job run to draw.

    Attributes:
        run_id: Its id.
        task_id: The id of its task.
        job_label: The label of its job.
        name: A name for its outputs, such as the first of them.
        state: One of STATES.
        start: The start, in seconds since the epoch.
        end: The end, in seconds since the epoch; None while it runs.
        attempt: The number of the attempt at its task, from 1.
        link: The URL of its bar; empty for none.
        waited: The time from the start for which it waited for a machine of an engine, in seconds.
        machine: The machine or the engine that it waited for; empty if it did not wait.
    """

    run_id: str
    task_id: int
    job_label: str
    name: str
    state: str
    start: float
    end: float | None
    attempt: int = 1
    link: str = ""
    waited: float = 0.0
    machine: str = ""


class Span(NamedTuple):
    """A run with its end, which is the current time if it still runs."""

    run: DrawnRun
    end: float

    @property
    def seconds(self) -> float:
        """The duration."""
        return max(self.end - self.run.start, 0.0)


class Scale(NamedTuple):
    """Linear scale from times, in seconds since the epoch, to horizontal positions."""

    start: float
    seconds: float
    left: float
    width: float

    def x(self, time: float) -> float:
        return self.left + max(0.0, min(1.0, (time - self.start) / self.seconds)) * self.width


class Bar(NamedTuple):
    """The bar of a run."""

    span: Span
    row: int
    x: float
    width: float


def task_bars(spans: Iterable[Span], scale: Scale) -> list[Bar]:
    """Places the runs of each task in a row of their own; rows are in the order in which tasks started."""
    rows: dict[int, int] = {}
    return _bars(spans, scale, lambda span, _x, _right: rows.setdefault(span.run.task_id, len(rows)))


def lane_bars(spans: Iterable[Span], scale: Scale) -> list[Bar]:
    """Places each run in the first row that is free when it starts."""
    lane_ends: list[float] = []

    def row(span: Span, x: float, right: float) -> int:
        glyph_follows = span.run.state != "completed" and right - x < GLYPH_WIDTH
        end = right + (GLYPH_WIDTH if glyph_follows else _GAP)
        for lane, lane_end in enumerate(lane_ends):
            if lane_end <= x:
                lane_ends[lane] = end
                return lane
        lane_ends.append(end)
        return len(lane_ends) - 1

    return _bars(spans, scale, row)


def _bars(spans: Iterable[Span], scale: Scale, row: Callable[[Span, float, float], int]) -> list[Bar]:
    bars = []
    for span in sorted(spans, key=attrgetter("run.start", "run.run_id")):
        # A very short run is widened to the left, so that no bar extends beyond the scale.
        right = max(scale.x(span.end), scale.left + _MIN_WIDTH)
        x = min(scale.x(span.run.start), right - _MIN_WIDTH)
        bars.append(Bar(span, row(span, x, right), x, right - x))
    return bars


def free_widths(bars: Sequence[Bar], scale: Scale) -> dict[str, float]:
    """Returns the free width after the bar of each run, by the id of the run."""
    widths = {}
    next_x: dict[int, float] = {}
    for bar in sorted(bars, key=attrgetter("x"), reverse=True):
        right = next_x.get(bar.row, scale.left + scale.width + GLYPH_WIDTH)
        widths[bar.span.run.run_id] = right - bar.x - bar.width
        next_x[bar.row] = bar.x
    return widths
