"""Checks expressions against the datetime module, and their reverse against enumeration."""

import datetime as dt
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.errors import InvalidPatternError
from databuild.graph.declared.expressions import Expression, number_of
from databuild.graph.declared.templates import parse_template
from databuild.graph.periods import SUFFIXES, UNITS, can_move_by, has_parts

FIELDS = {name: name for name in UNITS} | {"n": "int", "name": "str", "code": "/[a-z]+/"}


def values(template: str, **fields: str) -> list[str]:
    return parse_template(template, FIELDS, formats=True).values(fields)


def expression_of(text: str) -> Expression:
    (expression,) = parse_template(text, FIELDS, formats=True).expressions
    return expression


@pytest.mark.parametrize(
    ("template", "fields", "expected"),
    [
        ("{date}", {"date": "2013-01-31"}, "2013-01-31"),
        ("{date-1}", {"date": "2013-01-01"}, "2012-12-31"),
        ("{month+2}", {"month": "2012-11"}, "2013-01"),
        ("{hour-36}", {"hour": "2013-01-02T05"}, "2012-12-31T17"),
        ("{minute+1}", {"minute": "2013-12-31T23:59"}, "2014-01-01T00:00"),
        ("{date-1w}", {"date": "2013-01-03"}, "2012-12-27"),
        ("{date-1mo}", {"date": "2013-03-31"}, "2013-02-28"),
        ("{date-1mo}", {"date": "2012-03-31"}, "2012-02-29"),
        ("{date+1y}", {"date": "2012-02-29"}, "2013-02-28"),
        ("{month-1y}", {"month": "2013-05"}, "2012-05"),
        ("{date-1q}", {"date": "2013-05-31"}, "2013-02-28"),
        ("{hour-1d}", {"hour": "2013-03-01T05"}, "2013-02-28T05"),
        ("{hour-1mo}", {"hour": "2013-03-31T05"}, "2013-02-28T05"),
        ("{quarter-1y}", {"quarter": "2013-Q2"}, "2012-Q2"),
        ("{week-1}", {"week": "2016-W01"}, "2015-W53"),
        ("{date.month}", {"date": "2013-05-31"}, "2013-05"),
        ("{hour.date}", {"hour": "2013-05-31T05"}, "2013-05-31"),
        ("{date.week}", {"date": "2012-12-31"}, "2013-W01"),
        ("{month.quarter}", {"month": "2013-05"}, "2013-Q2"),
        ("{date.year}", {"date": "2013-05-31"}, "2013"),
        ("{month.first_date}", {"month": "2013-05"}, "2013-05-01"),
        ("{month.last_date}", {"month": "2012-02"}, "2012-02-29"),
        ("{date.first_hour}", {"date": "2013-05-01"}, "2013-05-01T00"),
        ("{week.last_date}", {"week": "2013-W01"}, "2013-01-06"),
        ("{year.last_quarter}", {"year": "9999"}, "9999-Q4"),
        ("{date.month-1}", {"date": "2013-01-31"}, "2012-12"),
        ("{date.month-1.last_date}", {"date": "2013-03-15"}, "2013-02-28"),
        ("{n-1}", {"n": "0"}, "-1"),
        ("{name}", {"name": "x"}, "x"),
        ("{code}", {"code": "ab"}, "ab"),
        ("{{{n}}}", {"n": "7"}, "{7}"),
        ("{date:%Y%m%d}", {"date": "0099-01-31"}, "00990131"),
        ("{date:%d.%m.%y}", {"date": "2013-01-31"}, "31.01.13"),
        ("{date:%G-%V, day %j}", {"date": "2012-12-31"}, "2013-01, day 366"),
        ("{month.first_date:%d.%m.%Y}", {"month": "2013-05"}, "01.05.2013"),
        ("{minute:%H:%M %%}", {"minute": "2013-12-31T23:59"}, "23:59 %"),
    ],
)
def test_an_expression_yields_one_value(template: str, fields: dict[str, str], expected: str) -> None:
    assert values(template, **fields) == [expected]


def test_a_list_yields_all_parts_of_a_period() -> None:
    assert values("{month.dates}", month="2013-02") == [f"2013-02-{day:02}" for day in range(1, 29)]
    assert values("{year.quarters}", year="2013") == ["2013-Q1", "2013-Q2", "2013-Q3", "2013-Q4"]
    assert values("{date.month.dates}", date="2013-02-07")[-1] == "2013-02-28"
    assert len(values("{date.hours}", date="2013-02-07")) == 24
    assert len(values("{year.dates}", year="2012")) == 366
    assert len(values("{hour.minutes}", hour="2012-01-01T05")) == 60


def test_a_range_yields_every_value_between_its_ends() -> None:
    assert values("{date-2..date}", date="2013-03-01") == ["2013-02-27", "2013-02-28", "2013-03-01"]
    assert values("{n-1..n+1}", n="0") == ["-1", "0", "1"]
    assert len(values("{month.first_date-305..month.first_date-1}", month="2013-05")) == 305
    assert values("{date.month.first_date..date-1}", date="2013-03-01") == []


def test_several_lists_yield_all_combinations_the_last_one_varying_first() -> None:
    assert values("{n-1..n}/{year.quarters}", n="1", year="2013") == [
        f"{n}/2013-Q{quarter}" for n, quarter in itertools.product((0, 1), (1, 2, 3, 4))
    ]


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{dat}", "'dat' is no field of `outputs`; the fields are: minute, hour"),
        ("{}", "it is no expression"),
        ("{date -1}", "it is no expression"),
        ("{date-1x}", "a date cannot move by 'x'; its units are `d`, `w`, `mo`, `q`, `y`"),
        ("{date-1h}", "a date cannot move by 'h'"),
        ("{week-1mo}", "a week cannot move by 'mo'; its units are `w`"),
        ("{month-1w}", "a month cannot move by 'w'; its units are `mo`, `q`, `y`"),
        ("{n-1d}", "an int has no units"),
        ("{name-1}", "the field 'name' is a str, and only fields of the types int, minute"),
        ("{code.dates}", "the field 'code' is a regular expression, which has no part 'dates'"),
        ("{date.hour}", "a date has no 'hour'; it has `.week`, `.month`, `.quarter`, `.year`, `.minutes`"),
        ("{date.months}", "a date has no 'months'"),
        ("{year.weeks}", "a year has no 'weeks'"),
        ("{week.month}", "a week has no 'month'; it has `.minutes`"),
        ("{month.dates-1}", "nothing may follow a list, and '-1' does"),
        ("{month.dates..month.last_date}", "an end of a range is one value"),
        ("{month.first_date..date}", "both ends of a range are over one field, and these are over 'month' and 'date'"),
        ("{date..date.month}", "one end of the range is a date, the other a month"),
        ("{name..name}", "have ranges, and the field 'name' is a str"),
        ("{hour-1h-1mo}", "offsets in months, quarters and years come before offsets in hours and minutes"),
        ("{date:%H}", "a date has no %H; its directives are %Y, %y, %m, %d, %j, %G, %V, %%"),
        ("{month:%d}", "a month has no %d"),
        ("{date:%}", "a date has no %; its directives"),
        ("{n:%Y}", "only dates and times have formats, and this is an int"),
        ("{date:}", "the format after the colon is empty"),
        ("x{date", "the brace '{' at character 2 has no partner"),
        ("{date}}", "the brace '}' at character 7 has no partner"),
    ],
)
def test_a_mistake_is_an_error_with_the_expression_and_what_is_allowed(template: str, fault: str) -> None:
    with pytest.raises(InvalidPatternError) as caught:
        parse_template(template, FIELDS, formats=True)

    assert fault in str(caught.value)
    assert caught.value.pattern.strip("x{}") in template


def test_lists_and_formats_are_refused_where_they_make_no_sense() -> None:
    with pytest.raises(InvalidPatternError, match="it yields many values where one is needed"):
        parse_template("{month.dates}", FIELDS, lists=False)
    with pytest.raises(InvalidPatternError, match="a format is allowed in `args` and `env` only"):
        parse_template("{date:%Y}", FIELDS)


def test_values_that_leave_the_calendar_are_an_error_that_names_the_field() -> None:
    with pytest.raises(InvalidPatternError, match="for date = 0001-01-01 it yields a date before the year 1"):
        values("{date-1}", date="0001-01-01")
    with pytest.raises(InvalidPatternError, match="for week = 9999-W52 it yields a date after the year 9999"):
        values("{week.dates}", week="9999-W52")


def test_too_many_values_are_an_error_instead_of_a_full_memory() -> None:
    with pytest.raises(InvalidPatternError, match="it yields 5,256,000 values; at most 1,000,000 are allowed"):
        values("{minute-5255999..minute}", minute="2013-01-01T00:00")
    with pytest.raises(InvalidPatternError, match="it yields at least 3,650,000 combinations of values"):
        values("{year.dates}/{n..n+9999}", year="2013", n="1")


POINTS = st.sampled_from(
    [
        *(f"{{{name}{offset}}}" for name in UNITS for offset in ("", "-1", "+3")),
        *(
            f"{{{name}-2{suffix}}}"
            for name, unit in UNITS.items()
            for suffix, step in SUFFIXES.items()
            if can_move_by(unit, UNITS[step])
        ),
        *(f"{{{name}.{longer}}}" for name, unit in UNITS.items() for longer in unit.within),
        *(
            f"{{{name}.{form}}}"
            for name, unit in UNITS.items()
            for part in ("date", "month", "hour")
            if has_parts(unit, UNITS[part]) and (part != "hour" or name in {"date", "week"})
            for form in (f"{part}s", f"first_{part}", f"last_{part}")
        ),
        "{hour-1mo..hour}",
        "{hour-1mo-5h..hour}",
        "{minute-1mo..minute-1h}",
        "{date-1mo..date}",
        "{date.month-1.first_date..date}",
        "{n-2..n+1}",
        "{n}",
    ]
)
STARTS = st.dates(dt.date(3, 1, 1), dt.date(9998, 12, 1))


@settings(deadline=None)
@given(POINTS, STARTS, st.data())
def test_the_sources_of_a_value_are_those_that_enumeration_finds(
    text: str, start: dt.date, data: st.DataObject
) -> None:
    expression = expression_of(text)
    kind = expression.field_kind
    first = -20 if kind == "int" else UNITS[kind].of_minute((start.toordinal() - 1) * 24 * 60)
    last = first + data.draw(st.integers(0, 60))
    yielded: dict[str, list[int]] = {}
    for number in range(first, last + 1):
        field = str(number) if kind == "int" else UNITS[kind].format(number)
        for value in expression.values(field):
            yielded.setdefault(value, []).append(number)
    for value in data.draw(st.lists(st.sampled_from(sorted(yielded)), max_size=20)) if yielded else ():
        sources = expression.sources(number_of(expression.kind, value), first, last)

        assert [number for some in sources for number in some] == yielded[value]


@settings(deadline=None)
@given(POINTS, STARTS, st.data())
def test_the_sources_of_several_values_are_those_of_each_of_them(
    text: str, start: dt.date, data: st.DataObject
) -> None:
    expression = expression_of(text)
    kind = expression.field_kind
    first = -20 if kind == "int" else UNITS[kind].of_minute((start.toordinal() - 1) * 24 * 60)
    last = first + data.draw(st.integers(0, 2000 if kind in {"hour", "minute"} else 60))
    number = data.draw(st.integers(first, last))
    field = str(number) if kind == "int" else UNITS[kind].format(number)
    values = expression.values(field) or [field]
    value = number_of(expression.kind, values[0])
    until = value + data.draw(st.integers(0, 50))

    sources = expression.sources(value, first, last, until=until)

    of_each = [expression.sources(one, first, last) for one in range(value, until + 1)]
    each = {source for some in of_each for numbers in some for source in numbers}
    found = [source for numbers in sources for source in numbers]
    assert found == sorted(set(found))
    assert each <= set(found)
    # A range that ends before it begins yields nothing, although its ends are on both sides of the values.
    empty = {source for source in set(found) - each if expression.low(source) > expression.high(source)}  # type: ignore[misc]
    assert set(found) - each == empty


@settings(deadline=None)
@given(st.datetimes(dt.datetime(2012, 1, 27), dt.datetime(2012, 4, 2)), st.sampled_from(["hour", "minute"]))  # noqa: DTZ001
def test_hours_that_change_places_when_they_move_by_months_are_all_found(time: dt.datetime, kind: str) -> None:
    unit = UNITS[kind]
    expression = expression_of(f"{{{kind}-1mo..{kind}-20d}}")
    value = unit.parse(time.isoformat(timespec="hours" if kind == "hour" else "minutes"))
    per_day = 24 if kind == "hour" else 24 * 60
    candidates = range(value - per_day, value + 40 * per_day)
    found = [
        number
        for number in (candidates if kind == "hour" else candidates[::41])
        if expression.low(number) <= value <= expression.high(number)  # type: ignore[misc]
    ]
    sources = expression.sources(value, unit.minimum, unit.maximum)

    assert all(any(number in some for some in sources) for number in found)
    assert kind == "minute" or sum(map(len, sources)) == len(found)


def test_the_sources_at_the_ends_of_the_calendar_are_found() -> None:
    date = UNITS["date"]
    expression = expression_of("{date-6..date}")

    assert expression.sources(date.minimum, date.minimum, date.maximum) == (range(6, 7),)
    assert expression.sources(date.maximum, date.minimum, date.maximum) == (range(date.maximum, date.maximum + 1),)
