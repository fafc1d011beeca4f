"""Calendar of partitions by day: a block for each year, the newest first, with weeks as columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from databuild.drawing.cells import (
    LEGEND_HEIGHT,
    STEP,
    WEEKDAYS,
    draw_cell,
    draw_legend,
    draw_unknown_cells,
    summary_text,
)
from databuild.drawing.svg import MARGIN, document, heading, heading_bottom, label

MAX_YEARS: Final = 50
"""Maximum number of years; the newest are drawn."""

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LEFT: Final = MARGIN + 38
_WIDTH: Final = _LEFT + 54 * STEP + MARGIN
"""A year touches up to 54 weeks."""

_HEAD_HEIGHT: Final = 44.0
_BLOCK_HEIGHT: Final = _HEAD_HEIGHT + 7 * STEP + 12


class Day(NamedTuple):
    """The partitions of one day.

    Attributes:
        date: The day.
        counts: The number of partitions by state, one of STATES.
        link: The URL of the cell; empty for none.
    """

    date: dt.date
    counts: Mapping[str, int]
    link: str = ""


def draw_calendar(days: Iterable[Day], *, title: str = "Partitions by day") -> str:
    """Draws the years that have a day with partitions.

    Args:
        days: Each day at most once.
        title: The title of the drawing.
    """
    by_date = {day.date: day for day in days}
    counts = [day.counts for day in by_date.values()]
    years = sorted({date.year for date in by_date}, reverse=True)
    summary = [summary_text(counts, "day")]
    if len(years) > MAX_YEARS:
        summary.append(f"only the newest {MAX_YEARS} years are drawn")
        years = years[:MAX_YEARS]
    top = heading_bottom(summary)
    parts = [*heading(title, summary, _WIDTH)]
    for block, year in enumerate(years):
        parts += _year(year, by_date, top + _BLOCK_HEIGHT * block)
    bottom = top + _BLOCK_HEIGHT * len(years)
    parts += draw_legend(counts, bottom + 6)
    return document("calendar", title, "; ".join(summary), parts, _WIDTH, bottom + LEGEND_HEIGHT)


def _year(year: int, days: Mapping[dt.date, Day], top: float) -> Iterable[str]:
    yield label("name", MARGIN, top + 20, str(year))
    for weekday in range(0, 7, 2):
        yield label("small", MARGIN, top + _HEAD_HEIGHT + STEP * weekday + 11, WEEKDAYS[weekday])
    first = dt.date(year, 1, 1)
    unknown = []
    for ordinal in range((dt.date(year, 12, 31) - first).days + 1):
        date = dt.date.fromordinal(first.toordinal() + ordinal)
        weekday = date.weekday()
        x = _LEFT + STEP * ((ordinal + first.weekday()) // 7)
        y = top + _HEAD_HEIGHT + STEP * weekday
        if date.day == 1:
            # The label of a month stands above the first column that has no days of the month before.
            yield label("small", x + (STEP if weekday else 0), top + _HEAD_HEIGHT - 8, _MONTHS[date.month - 1])
        day = days.get(date)
        if day is None:
            unknown.append((x, y))
        else:
            date_text = f"{WEEKDAYS[weekday]} {date.day} {_MONTHS[date.month - 1]} {year}"
            yield draw_cell(date_text, day.counts, day.link, x, y)
    yield draw_unknown_cells(unknown)
