"""Bounds of fields: their syntax, and their effect on patterns and ranges."""

import pytest

from databuild.errors import InvalidPatternError, InvalidRequestError
from databuild.graph.bounds import parse_bounds
from databuild.graph.patterns import PartitionPattern

FIELDS = {"date": "date", "week": "week", "n": "int", "name": "str", "code": "/[a-z]+/"}


@pytest.mark.parametrize(
    ("field", "text", "inside", "outside"),
    [
        ("date", "2013-01-01..2013-01-31", ["2013-01-01", "2013-01-31"], ["2012-12-31", "2013-02-01", "2013-01-32"]),
        ("date", "2013-01-01..", ["2013-01-01", "9999-12-31"], ["2012-12-31"]),
        ("date", "..2013-01-31", ["0001-01-01", "2013-01-31"], ["2013-02-01"]),
        ("week", "2012-W52..2013-W01", ["2012-W52", "2013-W01"], ["2012-W51", "2013-W02"]),
        ("n", "-3..3", ["-3", "0", "3"], ["-4", "4"]),
    ],
)
def test_both_ends_are_inside(field: str, text: str, inside: list[str], outside: list[str]) -> None:
    bounds = parse_bounds(field, text, FIELDS)

    assert [bounds.contains(value) for value in inside] == [True] * len(inside)
    assert [bounds.contains(value) for value in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("field", "text", "fault"),
    [
        ("day", "2013-01-01..", "'day', which is no field of `outputs`; the fields are: date, week, n, name, code"),
        ("name", "a..z", "'name' is a str, and has no order"),
        ("code", "a..z", "'code' is a regular expression, and has no order"),
        ("date", "2013-01-01", "a first value, `..` and a last value, such as '2013-01-31..'"),
        ("date", "..", "a first value, `..` and a last value"),
        ("date", "2013-01-32..", "'2013-01-32' is not a date such as 2013-01-31"),
        ("date", "2013-1-1..", "'2013-1-1' is not a date"),
        ("n", "007..", "'007' is not an int such as 7"),
        ("n", "3..2", "the bounds of 'n' end before they begin"),
    ],
)
def test_invalid_bounds_name_the_fault(field: str, text: str, fault: str) -> None:
    with pytest.raises(InvalidPatternError) as caught:
        parse_bounds(field, text, FIELDS)

    assert fault in str(caught.value)
    assert repr(text) in str(caught.value)


DAILY = PartitionPattern("day/{name}/date={date:date}", {"date": "2013-01-01..2013-01-31"})


def test_a_ref_out_of_bounds_does_not_match_and_is_explained() -> None:
    assert DAILY.match("day/x/date=2013-01-31") == {"name": "x", "date": "2013-01-31"}
    assert DAILY.match("day/x/date=2013-02-01") is None
    assert DAILY.explain_mismatch("day/x/date=2013-02-01") == (
        "date = 2013-02-01 is outside the bounds '2013-01-01..2013-01-31' of the pattern 'day/{name}/date={date:date}'"
    )
    assert DAILY.explain_mismatch("day/x/date=2013-01-31") == ""


@pytest.mark.parametrize(
    ("text", "first", "last", "count"),
    [
        ("day/x/date=2013-01-30..", "day/x/date=2013-01-30", "day/x/date=2013-01-31", 2),
        ("day/x/date=..2013-01-02", "day/x/date=2013-01-01", "day/x/date=2013-01-02", 2),
        ("day/x/date=..", "day/x/date=2013-01-01", "day/x/date=2013-01-31", 31),
        ("day/x/date=2013-01-05..2013-01-06", "day/x/date=2013-01-05", "day/x/date=2013-01-06", 2),
    ],
)
def test_bounds_close_an_open_end_of_a_range(text: str, first: str, last: str, count: int) -> None:
    refs = DAILY.expand(text)

    assert refs is not None
    assert (refs[0], refs[-1], len(refs)) == (first, last, count)


@pytest.mark.parametrize("text", ["day/x/date=2012-12-31..2013-01-02", "day/x/date=2013-01-30..2013-02-02"])
def test_a_range_that_leaves_the_bounds_is_refused_with_the_bounds(text: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"is outside the bounds '2013-01-01\.\.2013-01-31'"):
        DAILY.expand(text)


def test_an_end_that_no_bound_closes_is_still_missing() -> None:
    pattern = PartitionPattern("daily/date={date:date}", {"date": "2013-01-01.."})

    assert pattern.expand("daily/date=2013-01-05..") is None
    assert "has no end" in pattern.explain_mismatch("daily/date=2013-01-05..")
    assert "has no end" in pattern.explain_mismatch("daily/date=..")
    assert len(pattern.expand("daily/date=..2013-01-05") or ()) == 5


def test_a_single_value_out_of_bounds_beside_a_range_is_refused() -> None:
    pattern = PartitionPattern("p/{n:int}/{m:int}", {"n": "0.."})

    with pytest.raises(InvalidRequestError, match=r"n = -1 in 'p/-1/1\.\.2' is outside the bounds '0\.\.'"):
        pattern.expand("p/-1/1..2")
