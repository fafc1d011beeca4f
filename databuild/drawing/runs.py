"""Job runs on a scale of time: which row the bar of each stands in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

GLYPH_ROOM: Final = 16.0
"""How much room the sign of a state needs in a bar, or after it."""

_NARROWEST: Final = 3.0
_APART: Final = 2.0


class DrawnRun(NamedTuple):
    """A job run as it is drawn.

    Attributes:
        run_id: Its id.
        task_id: The task that it ran.
        job_label: The label of its job.
        name: What it produces, such as its first output.
        state: One of STATES.
        start: When it started, in seconds since the epoch.
        end: When it ended; None while it runs.
        attempt: 1, 2, 3 for the runs of one task.
        link: Where its bar leads to.
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


class Span(NamedTuple):
    """A run with its end, which is now where it still runs."""

    run: DrawnRun
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(self.end - self.run.start, 0.0)


class Scale(NamedTuple):
    """Where times are drawn."""

    start: float
    seconds: float
    left: float
    width: float

    def x(self, time: float) -> float:
        """Returns where a time is drawn."""
        return self.left + max(0.0, min(1.0, (time - self.start) / self.seconds)) * self.width


class Bar(NamedTuple):
    """A run as a bar: its row, where it begins and how wide it is."""

    span: Span
    row: int
    x: float
    width: float


def by_task(spans: Iterable[Span], scale: Scale) -> list[Bar]:
    """Gives each task a row, in the order in which they started."""
    rows: dict[int, int] = {}
    return _bars(spans, scale, lambda span, _x, _right: rows.setdefault(span.run.task_id, len(rows)))


def by_lane(spans: Iterable[Span], scale: Scale) -> list[Bar]:
    """Puts each run into the first row that is free when it starts."""
    taken: list[float] = []

    def row(span: Span, x: float, right: float) -> int:
        signed = span.run.state != "completed" and right - x < GLYPH_ROOM
        end = right + (GLYPH_ROOM if signed else _APART)
        for lane, until in enumerate(taken):
            if until <= x:
                taken[lane] = end
                return lane
        taken.append(end)
        return len(taken) - 1

    return _bars(spans, scale, row)


def _bars(spans: Iterable[Span], scale: Scale, row: Callable[[Span, float, float], int]) -> list[Bar]:
    bars = []
    for span in sorted(spans, key=attrgetter("run.start", "run.run_id")):
        right = max(scale.x(span.end), scale.left + _NARROWEST)
        x = min(scale.x(span.run.start), right - _NARROWEST)
        bars.append(Bar(span, row(span, x, right), x, right - x))
    return bars


def room_after(bars: Sequence[Bar], scale: Scale) -> dict[str, float]:
    """Returns how much room is free after the bar of each run, by its id."""
    room = {}
    following: dict[int, float] = {}
    for bar in sorted(bars, key=attrgetter("x"), reverse=True):
        right = following.get(bar.row, scale.left + scale.width + GLYPH_ROOM)
        room[bar.span.run.run_id] = right - bar.x - bar.width
        following[bar.row] = bar.x
    return room
