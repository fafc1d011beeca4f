"""Partitions by day and hour: days as rows, the newest first, and hours as columns."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from databuild.drawing.cells import CELL, LEGEND, STEP, WEEKDAYS, draw_cell, draw_empty, draw_legend, in_all
from databuild.drawing.svg import MARGIN, below_heading, document, heading, label

MOST_DAYS: Final = 400
"""How many days are drawn at most: the newest."""

_LEFT: Final = MARGIN + 104
_WIDTH: Final = 640.0


class Hour(NamedTuple):
    """The partitions of one hour.

    Attributes:
        date: Its day.
        hour: 0 to 23.
        counts: How many are in which of STATES.
        link: Where its cell leads to.
    """

    date: dt.date
    hour: int
    counts: Mapping[str, int]
    link: str = ""


def draw_hours(hours: Iterable[Hour], *, title: str = "Partitions by hour", style: bool = False) -> str:
    """Draws the days of which any hour is known.

    Args:
        hours: Each hour at most once.
        title: What they are the partitions of.
        style: Whether the style sheet is embedded.
    """
    by_day: dict[dt.date, dict[int, Hour]] = defaultdict(dict)
    for hour in hours:
        by_day[hour.date][hour.hour] = hour
    counts = [hour.counts for of_day in by_day.values() for hour in of_day.values()]
    said = [in_all(counts, "hour")]
    if len(by_day) > MOST_DAYS:
        said.append(f"only the newest {MOST_DAYS} days are drawn")
    top = below_heading(said) + 22
    parts = [*heading(title, said, _WIDTH)]
    parts += (label("small middle", _LEFT + STEP * hour + CELL / 2, top - 6, str(hour)) for hour in range(0, 24, 3))
    dates = sorted(by_day, reverse=True)[:MOST_DAYS]
    for row, date in enumerate(dates):
        parts += _row(date, by_day[date], top + STEP * row)
    bottom = top + STEP * len(dates)
    parts += draw_legend(counts, bottom + 14)
    return document("hours", title, "; ".join(said), parts, _WIDTH, bottom + LEGEND, style=style)


def _row(date: dt.date, known: Mapping[int, Hour], y: float) -> Iterable[str]:
    day = f"{WEEKDAYS[date.weekday()]} {date}"
    yield label("small", MARGIN, y + 11, day)
    yield draw_empty((_LEFT + STEP * hour, y) for hour in range(24) if hour not in known)
    for hour, found in sorted(known.items()):
        yield draw_cell(f"{day} {hour:02}:00", found.counts, found.link, _LEFT + STEP * hour, y)
