"""Partition patterns: matching, ranges, overlaps."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databuild.errors import InvalidPatternError, InvalidRequestError
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.patterns import PartitionPattern, check_ref, overlap


@pytest.mark.parametrize(
    ("pattern", "ref", "fields"),
    [
        ("daily/date={date:date}", "daily/date=2013-01-31", {"date": "2013-01-31"}),
        ("daily/date={date:date}", "daily/date=2013-02-30", None),
        ("daily/date={date:date}", "daily/date=2013-1-3", None),
        ("hourly/{hour:hour}", "hourly/2013-01-31T05", {"hour": "2013-01-31T05"}),
        ("hourly/{hour:hour}", "hourly/2013-01-31T24", None),
        ("report/{month:month}", "report/2013-12", {"month": "2013-12"}),
        ("report/{month:month}", "report/2013-13", None),
        ("sum/{names}", "sum/a_b", {"names": "a_b"}),
        ("sum/{names}", "sum/a/b", None),
        ("sum/{names}", "sum/", None),
        ("n/{n:int}", "n/-7", {"n": "-7"}),
        ("n/{n:int}", "n/007", None),
        ("w/{w:/[a-z]{2}/}", "w/ab", {"w": "ab"}),
        ("w/{w:/[a-z]{2}/}", "w/abc", None),
        ("a.b/{x}", "axb/1", None),
        ("all", "all", {}),
        ("all", "allx", None),
    ],
)
def test_a_pattern_matches_whole_refs_of_its_types(pattern, ref, fields):
    assert PartitionPattern(pattern).match(ref) == fields


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "empty"),
        ("a/{x", "is no field"),
        ("a/x}", "is no field"),
        ("a/{1x}", "is no field"),
        ("a/{x:date}/{x}", "twice"),
        ("a/{x:day}", "date, month, hour, int, str"),
        ("a/{x:/(/}", "regular expression"),
        ("a/{x:/a(?=b)/}", "a look-ahead"),
        ("a/{x:/(?P<y>a)/}", "write it as"),
    ],
)
def test_a_pattern_that_cannot_be_read_says_why(pattern, said):
    with pytest.raises(InvalidPatternError, match=said):
        PartitionPattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "refs"),
    [
        ("d/{d:date}", "d/2012-02-28..2012-03-01", ["d/2012-02-28", "d/2012-02-29", "d/2012-03-01"]),
        ("d/{d:month}", "d/2012-12..2013-01", ["d/2012-12", "d/2013-01"]),
        ("d/{d:hour}", "d/2012-12-31T23..2013-01-01T00", ["d/2012-12-31T23", "d/2013-01-01T00"]),
        ("n/{n:int}/{s}", "n/-1..1/x", ["n/-1/x", "n/0/x", "n/1/x"]),
        ("s/{s}", "s/a..b", ["s/a..b"]),
        ("d/{d:date}", "e/2012-02-28..2012-03-01", None),
        ("d/{d:date}", "d/2012-02-28", None),
    ],
)
def test_ranges_of_typed_fields_are_expanded(pattern, text, refs):
    assert PartitionPattern(pattern).expand(text) == refs


@pytest.mark.parametrize(
    ("text", "said"), [("d/2013-01-02..2013-01-01", "before it begins"), ("d/2013-02-30..2013-03-01", "does not exist")]
)
def test_a_range_that_makes_no_sense_is_refused(text, said):
    with pytest.raises(InvalidRequestError, match=said):
        PartitionPattern("d/{d:date}").expand(text)


@given(st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)), st.integers(0, 40))
def test_a_range_has_every_day_once_and_each_matches(first, days):
    pattern = PartitionPattern("d/date={date:date}")
    last = first + dt.timedelta(days=days)

    refs = pattern.expand(f"d/date={first}..{last}")

    assert len(refs) == len(set(refs)) == days + 1
    assert all(pattern.match(ref) for ref in refs)


@pytest.mark.parametrize(
    ("first", "second", "overlaps"),
    [
        ("a/{x}", "a/{y}", True),
        ("a/{x}", "a/{d:date}", True),
        ("a/{x}", "b/{x}", False),
        ("a/{x}", "a/b", True),
        ("a/{d:date}", "a/{m:month}", False),
        ("a/{x}/c", "a/b/{y}", True),
        ("a/{x}", "a/{x}/{y}", False),
        ("a/{n:int}", "a/{d:date}", False),
        ("a{x}b", "{y}", True),
        ("a{x}b", "{y}c", False),
        ("{x}-{n:int}", "{y:/[a-z]+/}", False),
        ("{x}-{n:int}", "{y:/[a-z-]+[0-9]/}", True),
        ("a/{x:/[a-c]+/}", "a/{y:/[c-e]+/}", True),
        ("a/{x:/[a-c]+/}", "a/{y:/[d-e]+/}", False),
        ("a/{x:/.*/}", "a/{y}/{z}/{n:int}", True),
        (r"{d:date}", r"{y:/\d{4}-02-29/}", True),
        (r"{d:date}", r"{y:/\d{4}-02-30/}", False),
        ("{d:date}", "{y:/2013-02-29/}", False),
        ("{d:date}", "{y:/1900-02-29|2000-02-29/}", True),
        ("{h:hour}", "{d:date}T05", True),
        ("{h:hour}", "{d:date}T24", False),
        ("{n:int}", "{x:/-.*/}", False),
    ],
)
def test_overlapping_patterns_are_found_with_an_example(first, second, overlaps):
    one, two = PartitionPattern(first), PartitionPattern(second)

    for left, right in ((one, two), (two, one)):
        example = overlap(left, right)
        assert (example is not None) == overlaps
        if example is not None:
            assert left.match(example) is not None
            assert right.match(example) is not None


@pytest.mark.parametrize(
    "ref", ["", "a b", "a\nb", "a\x00", "a\x7f", "a\u200b", "a\xa0b", "a\udcff", "-x", "x" * 1025, "é" * 513]
)
def test_a_text_that_cannot_be_a_ref_is_refused(ref):
    with pytest.raises(InvalidRequestError, match="no partition ref"):
        check_ref(ref)


@pytest.mark.parametrize("ref", ["a", "a-b", "a/b=c", "x" * 1024, "é" * 512])
def test_any_other_text_can_be_a_ref(ref):
    check_ref(ref)


@pytest.mark.parametrize("ref", ["a/\u200b", "a/\udcff", "a/" + "x" * 1023])
def test_a_text_that_cannot_be_a_ref_is_none_although_a_pattern_matches_it(ref):
    job = Job(label="//:a", executable="a", outputs=("a/{name}", "a/{name}/{day:date}"))
    catalog = JobCatalog(graph_label="//:g", jobs={job.label: job})

    assert PartitionPattern("a/{name}").match(ref) is not None
    for asked in (ref, f"{ref}/2013-01-01..2013-01-02"):
        with pytest.raises(InvalidRequestError, match="no partition ref"):
            catalog.expand([asked])
    with pytest.raises(InvalidRequestError, match="no partition ref"):
        catalog.owner(ref)


@given(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32))
def test_a_date_field_matches_the_days_that_there_are(year, month, day):
    text = f"{year:04}-{month:02}-{day:02}"
    try:
        dt.date(year, month, day)
    except ValueError:
        there_is = False
    else:
        there_is = True

    assert (PartitionPattern("{d:date}").match(text) is not None) == there_is
    assert (PartitionPattern("{h:hour}").match(f"{text}T23") is not None) == there_is
    assert (overlap(PartitionPattern("{d:date}"), PartitionPattern(text)) is not None) == there_is


def test_digits_are_those_of_ascii():
    assert PartitionPattern("{m:month}").match("\N{FULLWIDTH DIGIT TWO}013-01") is None
