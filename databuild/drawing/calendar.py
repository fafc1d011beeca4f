"""Partitions by day: a block for each year, the newest first, in which weeks are columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from databuild.drawing.cells import LEGEND, STEP, WEEKDAYS, draw_cell, draw_empty, draw_legend, in_all
from databuild.drawing.svg import MARGIN, below_heading, document, heading, label

MAX_YEARS: Final = 50
"""How many years are drawn at most: the newest."""

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LEFT: Final = MARGIN + 38
_WIDTH: Final = _LEFT + 54 * STEP + MARGIN
_HEAD: Final = 44.0
_BLOCK: Final = _HEAD + 7 * STEP + 12


class Day(NamedTuple):
    """The partitions of one day.

    Attributes:
        date: The day.
        counts: How many are in which of STATES.
        link: Where its cell leads to.
    """

    date: dt.date
    counts: Mapping[str, int]
    link: str = ""


def draw_calendar(days: Iterable[Day], *, title: str = "Partitions by day", style: bool = False) -> str:
    """Draws the years of which any day is known.

    Args:
        days: Each day at most once.
        title: What they are the partitions of.
        style: Whether the style sheet is embedded.
    """
    known = {day.date: day for day in days}
    counts = [day.counts for day in known.values()]
    years = sorted({date.year for date in known}, reverse=True)
    said = [in_all(counts, "day")]
    if len(years) > MAX_YEARS:
        said.append(f"only the newest {MAX_YEARS} years are drawn")
        years = years[:MAX_YEARS]
    top = below_heading(said)
    parts = [*heading(title, said, _WIDTH)]
    for place, year in enumerate(years):
        parts += _year(year, known, top + _BLOCK * place)
    bottom = top + _BLOCK * len(years)
    parts += draw_legend(counts, bottom + 6)
    return document("calendar", title, "; ".join(said), parts, _WIDTH, bottom + LEGEND, style=style)


def _year(year: int, known: Mapping[dt.date, Day], top: float) -> Iterable[str]:
    yield label("name", MARGIN, top + 20, str(year))
    for weekday in range(0, 7, 2):
        yield label("small", MARGIN, top + _HEAD + STEP * weekday + 11, WEEKDAYS[weekday])
    first = dt.date(year, 1, 1)
    empty = []
    for ordinal in range((dt.date(year, 12, 31) - first).days + 1):
        date = dt.date.fromordinal(first.toordinal() + ordinal)
        weekday = date.weekday()
        x = _LEFT + STEP * ((ordinal + first.weekday()) // 7)
        y = top + _HEAD + STEP * weekday
        if date.day == 1:
            # Above the first column that holds days of this month only.
            yield label("small", x + (STEP if weekday else 0), top + _HEAD - 8, _MONTHS[date.month - 1])
        day = known.get(date)
        if day is None:
            empty.append((x, y))
        else:
            when = f"{WEEKDAYS[weekday]} {date.day} {_MONTHS[date.month - 1]} {year}"
            yield draw_cell(when, day.counts, day.link, x, y)
    yield draw_empty(empty)
