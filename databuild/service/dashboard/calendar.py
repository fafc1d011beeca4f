"""The calendar of partitions whose refs have a date."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from databuild.drawing.calendar import Day, draw_calendar
from databuild.graph.patterns import PartitionPattern
from databuild.service.dashboard.drawings import partition_state
from databuild.service.dashboard.formats import in_address
from databuild.service.dashboard.site import Visit
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import service_pb2 as sv

_YEARS: Final = 40
"""How many years back are looked for."""

_MAX_RECORDS: Final = 20_000
"""How many partitions are looked through at most."""

_DATE_LENGTH: Final = len("2013-01-01")


class Calendar(NamedTuple):
    """A calendar, drawn.

    Attributes:
        drawing: The drawing.
        year: The year that it is of; 0 where it is of all that was looked through.
        years: The years that there are, newest first.
        complete: Whether everything was looked through.
    """

    drawing: str
    year: int
    years: tuple[int, ...]
    complete: bool


async def calendar(visit: Visit, text: str, year: int) -> Calendar | None:
    """Draws the partitions of a pattern by day; None where it has no date, or there are none.

    Where refs begin with their date, one year is drawn, which takes no longer the more years there are.

    Args:
        visit: Who asks.
        text: The pattern.
        year: The year; 0 for the newest.

    Raises:
        InvalidPatternError: The pattern cannot be read.
    """
    pattern = PartitionPattern(text)
    field = next((name for name, kind in pattern.fields.items() if kind in ("date", "hour")), "")
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


async def _years(visit: Visit, pattern: PartitionPattern) -> tuple[int, ...]:
    """Returns the years of which there are partitions, newest first."""
    newest = dt.datetime.fromtimestamp(visit.site.clock(), dt.UTC).year + 1
    found = []
    for year in range(newest, newest - _YEARS, -1):
        request = sv.ListPartitionsRequest(prefix=f"{pattern.prefix}{year:04}-", limit=1)
        if (await visit.ask("ListPartitions", request)).partitions:
            found.append(year)
    return tuple(found)


def _days(pattern: PartitionPattern, field: str, records: Iterable[pt.PartitionRecord], *, anywhere: bool) -> list[Day]:
    counts: dict[str, Counter[str]] = {}
    for record in records:
        values = pattern.match(record.ref)
        if values is not None:
            counts.setdefault(values[field][:_DATE_LENGTH], Counter())[partition_state(record)] += 1
    search = f"anywhere=1&pattern={in_address(pattern.text)}&q=" if anywhere else f"q={in_address(pattern.prefix)}"
    return [Day(dt.date.fromisoformat(day), counted, f"/partitions?{search}{day}") for day, counted in counts.items()]
