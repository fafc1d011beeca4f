"""The calendar of the partitions of a pattern with a date."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Iterable
from typing import Final

from databuild.drawing.calendar import Day, draw_calendar
from databuild.graph.patterns import PartitionPattern
from databuild.service.dashboard.drawings import partition_state
from databuild.service.dashboard.formats import url_quoted
from databuild.service.dashboard.site import Visit
from databuild.tuples import NamedTuple
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import service_pb2 as sv

_MAX_YEARS: Final = 40
"""Number of years to search for partitions, back from next year."""

_MAX_RECORDS: Final = 20_000
"""Maximum number of records read for one calendar."""

_DATE_LENGTH: Final = len("2013-01-01")


class Calendar(NamedTuple):
    """A calendar as SVG.

    Attributes:
        drawing: The SVG.
        year: Year shown; 0 for all years.
        years: Years with partitions, newest first.
        complete: False if `_MAX_RECORDS` was reached.
    """

    drawing: str
    year: int
    years: tuple[int, ...]
    complete: bool


async def calendar(visit: Visit, text: str, year: int) -> Calendar | None:
    """Draws the partitions of a pattern by day; None if the pattern has no date or no partitions.

    If the date is the first field of the pattern, only one year is read, by a prefix search: the cost does not grow
    with the number of years.

    Args:
        visit: The request of the browser.
        text: The partition pattern.
        year: The year to draw; 0 for the newest with partitions.

    Raises:
        InvalidPatternError: The pattern is invalid.
    """
    pattern = PartitionPattern(text)
    field = date_field(pattern)
    if not field:
        return None
    first = field == next(iter(pattern.fields)) and bool(pattern.prefix)
    years = await _years(visit, pattern) if first else ()
    if first and not years:
        return None
    year = (year if year in years else years[0]) if first else 0
    prefix = f"{pattern.prefix}{year:04}-" if first else ""
    request = sv.ListPartitionsRequest(pattern=pattern.text, prefix=prefix)
    records, complete = await visit.rows("ListPartitions", request, lambda answer: answer.partitions, _MAX_RECORDS)
    if not records:
        return None
    days = _days(pattern, field, records, anywhere=not first)
    return Calendar(await asyncio.to_thread(draw_calendar, days), year, years, complete)


def date_field(pattern: PartitionPattern) -> str:
    """Returns the first field whose values begin with a date; empty if there is none."""
    return next((name for name, kind in pattern.fields.items() if kind in ("date", "hour", "minute")), "")


async def _years(visit: Visit, pattern: PartitionPattern) -> tuple[int, ...]:
    """Returns the years with partitions, newest first."""
    newest = dt.datetime.fromtimestamp(visit.site.clock(), dt.UTC).year + 1
    years = []
    for year in range(newest, newest - _MAX_YEARS, -1):
        request = sv.ListPartitionsRequest(prefix=f"{pattern.prefix}{year:04}-", page_size=1)
        if (await visit.call("ListPartitions", request)).partitions:
            years.append(year)
    return tuple(years)


def _days(pattern: PartitionPattern, field: str, records: Iterable[pt.PartitionRecord], *, anywhere: bool) -> list[Day]:
    counts: dict[str, Counter[str]] = {}
    for record in records:
        values = pattern.match(record.ref)
        if values is not None:
            counts.setdefault(values[field][:_DATE_LENGTH], Counter())[partition_state(record)] += 1
    search = f"anywhere=1&pattern={url_quoted(pattern.text)}&q=" if anywhere else f"q={url_quoted(pattern.prefix)}"
    return [Day(dt.date.fromisoformat(day), counted, f"/partitions?{search}{day}") for day, counted in counts.items()]
