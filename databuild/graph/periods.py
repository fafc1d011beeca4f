"""Periods of the calendar as whole numbers: parsing, formatting, containment and arithmetic.

The calendar is the proleptic Gregorian one, without time zones, for the years 1 to 9999; weeks are those of ISO 8601.
Each unit counts its periods in order, so that `n + 1` is the period after `n`. Every conversion here is monotonic.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Final

from databuild.tuples import NamedTuple

MINUTES_PER_DAY: Final = 24 * 60
HOURS_PER_DAY: Final = 24
DAYS_PER_WEEK: Final = 7

SUFFIXES: Final = {"h": "hour", "d": "date", "w": "week", "mo": "month", "q": "quarter", "y": "year"}
"""The units that an offset may name."""

_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
"""The length, in months, of the units that are longer than a day and no weeks."""

_MINUTES: Final = {"minute": 1, "hour": 60, "date": MINUTES_PER_DAY, "week": DAYS_PER_WEEK * MINUTES_PER_DAY}
"""The length, in minutes, of the units that are always equally long."""

_HOUR_TEXTS: Final = frozenset(f"{hour:02}" for hour in range(HOURS_PER_DAY))
_MINUTE_TEXTS: Final = frozenset(f"{minute:02}" for minute in range(60))


class CalendarRangeError(ValueError):
    """A period lies outside the years 1 to 9999.

    Args:
        early: True if it lies before them.
    """

    def __init__(self, *, early: bool) -> None:
        self.early = early
        super().__init__("before the year 1" if early else "after the year 9999")


class Unit(NamedTuple):
    """A unit of the calendar.

    Attributes:
        name: The type of a field, such as `date`.
        parse: Returns the number of a period; raises ValueError for a text that is none.
        format: Returns the text of a period.
        start: Returns the first minute of a period, counted from 0001-01-01T00:00; so does `end` for the last one.
        of_minute: Returns the period that a minute lies in.
        minimum: The first period that lies in the years 1 to 9999.
        maximum: The last one.
        within: The units that every period of this one lies in, the shortest first.
    """

    name: str
    parse: Callable[[str], int]
    format: Callable[[int], str]
    start: Callable[[int], int]
    of_minute: Callable[[int], int]
    minimum: int
    maximum: int
    within: tuple[str, ...]


def _parse_date(text: str) -> int:
    if len(text) != len("2013-01-31"):
        raise ValueError(text)
    return dt.date.fromisoformat(text).toordinal() - 1


def _format_date(day: int) -> str:
    return dt.date.fromordinal(day + 1).isoformat()


def _parse_hour(text: str) -> int:
    date, separator, hour = text.partition("T")
    if not separator or hour not in _HOUR_TEXTS:
        raise ValueError(text)
    return _parse_date(date) * HOURS_PER_DAY + int(hour)


def _format_hour(hour: int) -> str:
    day, hour = divmod(hour, HOURS_PER_DAY)
    return f"{_format_date(day)}T{hour:02}"


def _parse_minute(text: str) -> int:
    hour, separator, minute = text.partition(":")
    if not separator or minute not in _MINUTE_TEXTS:
        raise ValueError(text)
    return _parse_hour(hour) * 60 + int(minute)


def _format_minute(minute: int) -> str:
    hour, minute = divmod(minute, 60)
    return f"{_format_hour(hour)}:{minute:02}"


def _parse_week(text: str) -> int:
    match = re.fullmatch("([0-9]{4})-W([0-9]{2})", text)
    if match is None:
        raise ValueError(text)
    return (dt.date.fromisocalendar(int(match[1]), int(match[2]), 1).toordinal() - 1) // DAYS_PER_WEEK


def _format_week(week: int) -> str:
    year, number, _ = dt.date.fromordinal(week * DAYS_PER_WEEK + 1).isocalendar()
    return f"{year:04}-W{number:02}"


def _parse_month(text: str) -> int:
    return _month_of_day(_parse_date(f"{text}-01"))


def _format_month(month: int) -> str:
    year, month = divmod(month, 12)
    return f"{year + 1:04}-{month + 1:02}"


def _parse_quarter(text: str) -> int:
    match = re.fullmatch("([0-9]{4})-Q([1-4])", text)
    if match is None or match[1] == "0000":
        raise ValueError(text)
    return (int(match[1]) - 1) * 4 + int(match[2]) - 1


def _format_quarter(quarter: int) -> str:
    year, quarter = divmod(quarter, 4)
    return f"{year + 1:04}-Q{quarter + 1}"


def _parse_year(text: str) -> int:
    if re.fullmatch("[0-9]{4}", text) is None or text == "0000":
        raise ValueError(text)
    return int(text) - 1


def _format_year(year: int) -> str:
    return f"{year + 1:04}"


def _day_of_month(month: int) -> int:
    """Returns the first day of a month."""
    year, month = divmod(month, 12)
    try:
        return dt.date(year + 1, month + 1, 1).toordinal() - 1
    except ValueError:
        raise CalendarRangeError(early=month < 0) from None


def _month_of_day(day: int) -> int:
    try:
        date = dt.date.fromordinal(day + 1)
    except (ValueError, OverflowError):
        raise CalendarRangeError(early=day < 0) from None
    return (date.year - 1) * 12 + date.month - 1


def _even(name: str, parse: Callable[[str], int], form: Callable[[int], str], within: tuple[str, ...]) -> Unit:
    """Returns a unit whose periods are all equally long."""
    length = _MINUTES[name]
    last = dt.date.max.toordinal() * MINUTES_PER_DAY
    return Unit(
        name, parse, form, lambda n: n * length, lambda minute: minute // length, 0, (last - 1) // length, within
    )


def _uneven(name: str, parse: Callable[[str], int], form: Callable[[int], str], within: tuple[str, ...]) -> Unit:
    """Returns a unit of whole months."""
    months = _MONTHS[name]
    return Unit(
        name,
        parse,
        form,
        lambda n: _day_of_month(n * months) * MINUTES_PER_DAY,
        lambda minute: _month_of_day(minute // MINUTES_PER_DAY) // months,
        0,
        dt.MAXYEAR * 12 // months - 1,
        within,
    )


UNITS: Final = {
    unit.name: unit
    for unit in (
        _even("minute", _parse_minute, _format_minute, ("hour", "date", "week", "month", "quarter", "year")),
        _even("hour", _parse_hour, _format_hour, ("date", "week", "month", "quarter", "year")),
        _even("date", _parse_date, _format_date, ("week", "month", "quarter", "year")),
        _even("week", _parse_week, _format_week, ()),
        _uneven("month", _parse_month, _format_month, ("quarter", "year")),
        _uneven("quarter", _parse_quarter, _format_quarter, ("year",)),
        _uneven("year", _parse_year, _format_year, ()),
    )
}
"""The units by name, the shortest first."""


def check(unit: Unit, period: int) -> int:
    """Returns a period that lies in the years 1 to 9999.

    Raises:
        CalendarRangeError: It does not.
    """
    if not unit.minimum <= period <= unit.maximum:
        raise CalendarRangeError(early=period < unit.minimum)
    return period


def containing(unit: Unit, period: int, longer: Unit) -> int:
    """Returns the period of a longer unit that a period lies in."""
    return longer.of_minute(unit.start(period))


def first_part(unit: Unit, period: int, shorter: Unit) -> int:
    """Returns the first of the parts of a period, in a shorter unit."""
    return shorter.of_minute(unit.start(period))


def last_part(unit: Unit, period: int, shorter: Unit) -> int:
    """Returns the last of the parts of a period, in a shorter unit.

    Raises:
        CalendarRangeError: The period ends after the year 9999, as the week 9999-W52 does.
    """
    if period == unit.maximum and unit.name in _MONTHS:
        return shorter.maximum
    return check(shorter, shorter.of_minute(unit.start(period + 1) - 1))


def has_parts(unit: Unit, shorter: Unit) -> bool:
    """Returns True if the periods of one unit divide into those of another without a remainder."""
    return unit.name in shorter.within


def can_move_by(unit: Unit, step: Unit) -> bool:
    """Returns True if periods of a unit can be moved by another: by their own, or by a longer one that they lie in.

    A week has no place in a month, so weeks move by weeks only.
    """
    return step.name == unit.name or step.name in unit.within


def moved(unit: Unit, period: int, count: int, step: Unit) -> int:
    """Returns the period that lies a number of steps after another, or before it where the number is negative.

    If the day does not exist in the month that it moves to, it is that month's last day, as in SQL.

    Raises:
        CalendarRangeError: It lies outside the years 1 to 9999.
    """
    if step.name == unit.name:
        return check(unit, period + count)
    if step.name in _MINUTES:
        return check(unit, period + count * (_MINUTES[step.name] // _MINUTES[unit.name]))
    months = count * _MONTHS[step.name]
    if unit.name in _MONTHS:
        return check(unit, period + months // _MONTHS[unit.name])
    per_day = MINUTES_PER_DAY // _MINUTES[unit.name]
    day, rest = divmod(period, per_day)
    date = dt.date.fromordinal(day + 1)
    month = check(UNITS["month"], (date.year - 1) * 12 + date.month - 1 + months)
    first = _day_of_month(month)
    length = _length_of_month(month)
    return (first + min(date.day, length) - 1) * per_day + rest


def _length_of_month(month: int) -> int:
    """Returns the number of days of a month."""
    last = month == UNITS["month"].maximum
    return 31 if last else _day_of_month(month + 1) - _day_of_month(month)
