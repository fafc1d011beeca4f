"""Checks the calendar against the datetime module and against brute force."""

import calendar
import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.graph.periods import (
    UNITS,
    CalendarRangeError,
    can_move_by,
    containing,
    first_part,
    has_parts,
    last_part,
    moved,
)

DATES = st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))
TIMES = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59))  # noqa: DTZ001 - the calendar has no zones


def text_of(unit: str, time: dt.datetime) -> str:
    """Returns the period of a unit that a time lies in, by the datetime module."""
    year, week, _ = time.isocalendar()
    return {
        "minute": time.isoformat(timespec="minutes"),
        "hour": time.isoformat(timespec="hours"),
        "date": time.date().isoformat(),
        "week": f"{year:04}-W{week:02}",
        "month": f"{time.year:04}-{time.month:02}",
        "quarter": f"{time.year:04}-Q{(time.month + 2) // 3}",
        "year": f"{time.year:04}",
    }[unit]


@given(TIMES)
@settings(deadline=None)
def test_a_period_has_the_text_that_datetime_gives_it(time: dt.datetime) -> None:
    minute = UNITS["minute"].parse(time.isoformat(timespec="minutes"))
    for unit in UNITS.values():
        period = unit.of_minute(minute)

        assert unit.format(period) == text_of(unit.name, time)
        assert unit.parse(unit.format(period)) == period
        for longer in unit.within:
            assert UNITS[longer].format(containing(unit, period, UNITS[longer])) == text_of(longer, time)


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("date", "2013-02-29"),
        ("date", "20130228"),
        ("date", "0000-01-01"),
        ("month", "2013-13"),
        ("month", "2013-1"),
        ("hour", "2013-01-01T24"),
        ("hour", "2013-01-01 05"),
        ("minute", "2013-01-01T05:60"),
        ("minute", "2013-01-01T05"),
        ("week", "2014-W53"),
        ("week", "2013-W00"),
        ("week", "2013-W5"),
        ("quarter", "2013-Q5"),
        ("quarter", "0000-Q1"),
        ("year", "0000"),
        ("year", "13"),
        ("year", "\u0661\u0661\u0661\u0661"),
    ],
)
def test_a_text_that_is_no_period_is_refused(unit: str, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is in it, or datetime's own message
        UNITS[unit].parse(text)


def test_weeks_of_leap_years_and_of_long_years_agree_with_datetime_for_all_years() -> None:
    week = UNITS["week"]
    for year in range(1, 9999):
        last = dt.date(year, 12, 28).isocalendar().week  # always in the last week of its year

        assert week.parse(f"{year:04}-W{last}") + 1 == week.parse(f"{year + 1:04}-W01")
        if last == 52:
            with pytest.raises(ValueError, match="53"):
                week.parse(f"{year:04}-W53")


@given(DATES, st.sampled_from(["week", "month", "quarter", "year"]))
@settings(deadline=None)
def test_the_parts_of_a_period_are_the_dates_that_lie_in_it(date: dt.date, name: str) -> None:
    unit, day = UNITS[name], UNITS["date"]
    period = containing(day, day.parse(date.isoformat()), unit)
    if name == "week" and period == unit.maximum:
        with pytest.raises(CalendarRangeError):
            last_part(unit, period, day)
        return
    first, last = first_part(unit, period, day), last_part(unit, period, day)

    assert all(containing(day, n, unit) == period for n in range(first, last + 1))
    assert first == day.minimum or containing(day, first - 1, unit) == period - 1
    assert last == day.maximum or containing(day, last + 1, unit) == period + 1


@given(TIMES, st.sampled_from(sorted(UNITS)), st.sampled_from(["month", "quarter", "year"]), st.integers(-40, 40))
@settings(deadline=None)
def test_moving_by_months_keeps_the_day_or_takes_the_last_one(
    time: dt.datetime, name: str, step: str, count: int
) -> None:
    unit = UNITS[name]
    if not can_move_by(unit, UNITS[step]):
        return
    period = unit.parse(text_of(name, time))
    months = {"month": 1, "quarter": 3, "year": 12}[step] * count
    year, month = divmod(time.year * 12 + time.month - 1 + months, 12)
    if not dt.MINYEAR <= year <= dt.MAXYEAR:
        with pytest.raises(CalendarRangeError) as caught:
            moved(unit, period, count, UNITS[step])
        assert caught.value.early == (count < 0)
        return
    day = min(time.day, calendar.monthrange(year, month + 1)[1])

    assert unit.format(moved(unit, period, count, UNITS[step])) == text_of(
        name, time.replace(year=year, month=month + 1, day=day)
    )


@given(TIMES, st.sampled_from(["minute", "hour", "date", "week"]), st.sampled_from(["hour", "date", "week"]))
@settings(deadline=None)
def test_moving_by_days_and_shorter_units_is_what_timedelta_does(time: dt.datetime, name: str, step: str) -> None:
    unit = UNITS[name]
    if not can_move_by(unit, UNITS[step]):
        return
    delta = {"hour": dt.timedelta(hours=5), "date": dt.timedelta(days=5), "week": dt.timedelta(weeks=5)}[step]
    period = unit.parse(text_of(name, time))
    try:
        expected = text_of(name, time + delta)
    except OverflowError:
        with pytest.raises(CalendarRangeError):
            moved(unit, period, 5, UNITS[step])
        return

    assert unit.format(moved(unit, period, 5, UNITS[step])) == expected


def test_weeks_divide_into_days_and_nothing_longer_divides_into_weeks() -> None:
    assert has_parts(UNITS["week"], UNITS["date"])
    assert not any(has_parts(UNITS[name], UNITS["week"]) for name in ("month", "quarter", "year"))
    assert [name for name in UNITS if can_move_by(UNITS["week"], UNITS[name])] == ["week"]
