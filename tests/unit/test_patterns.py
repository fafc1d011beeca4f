"""Partition patterns: matching, ranges and disjointness."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.errors import InvalidPatternError, InvalidRequestError, UnknownPartitionError
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.patterns import PartitionPattern
from databuild.graph.refs import check_ref, nfc, unsafe_segment


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
def test_a_pattern_matches_whole_refs_of_its_types(pattern: str, ref: str, fields: dict[str, str] | None) -> None:
    assert PartitionPattern(pattern).match(ref) == fields


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "empty"),
        ("a/{x", "is not a field"),
        ("a/x}", "is not a field"),
        ("a/{1x}", "is not a field"),
        ("a/{x:date}/{x}", "twice"),
        ("a/{x:day}", "year, quarter, month, week, date, hour, minute, int, str"),
        ("a/{x\u00e9}", "is not a field"),
        ("a/{x:/(/}", "the regular expression /./ is invalid"),
        ("a/{x}/{y:/(?P<x>b)/}", "a named group, 'x'"),
    ],
)
def test_a_pattern_that_cannot_be_read_says_why(pattern: str, said: str) -> None:
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
def test_ranges_of_typed_fields_are_expanded(pattern: str, text: str, refs: list[str] | None) -> None:
    assert PartitionPattern(pattern).expand(text) == refs


@pytest.mark.parametrize(
    ("text", "said"), [("d/2013-01-02..2013-01-01", "before it begins"), ("d/2013-02-30..2013-03-01", "does not exist")]
)
def test_a_range_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        PartitionPattern("d/{d:date}").expand(text)


@pytest.mark.parametrize(
    ("pattern", "ref", "fault"),
    [
        ("d/{d:date}", "d/2013-02-30", "the date 2013-02-30 does not exist"),
        ("{x}/{m:month}", "a/2013-13", "the month 2013-13 does not exist"),
        ("{h:hour}/z", "2013-01-31T25/z", "the hour 2013-01-31T25 does not exist"),
        ("{a:date}/{b:date}", "2013-02-28/2013-02-29", "the date 2013-02-29 does not exist"),
        ("d/{d:date}", "d/2013-02-28", ""),
        ("d/{d:date}", "d/yesterday", ""),
        ("{x}", "2013-02-30", ""),
    ],
)
def test_a_moment_that_does_not_exist_is_named(pattern: str, ref: str, fault: str) -> None:
    assert PartitionPattern(pattern).explain_mismatch(ref) == fault


def test_a_range_that_is_too_long_is_refused_before_it_is_made() -> None:
    with pytest.raises(InvalidRequestError, match=r"has at least 1,000,000,001 partitions, .* at most 1,000,000"):
        PartitionPattern("n/{n:int}").expand("n/0..1000000000")
    with pytest.raises(InvalidRequestError, match="has at least 1,002,001 partitions"):
        PartitionPattern("n/{n:int}/{m:int}").expand("n/0..1000/0..1000")


def test_a_range_of_months_has_an_end_that_exists() -> None:
    with pytest.raises(InvalidRequestError, match="a month that does not exist"):
        PartitionPattern("{m:month}").expand("2013-13..2014-02")


@given(st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)), st.integers(0, 40))
@settings(deadline=None)
def test_a_range_has_every_day_once_and_each_matches(first: dt.date, days: int) -> None:
    pattern = PartitionPattern("d/date={date:date}")
    last = first + dt.timedelta(days=days)

    refs = pattern.expand(f"d/date={first}..{last}")
    assert refs is not None

    assert len(refs) == len(set(refs)) == days + 1
    assert all(pattern.match(ref) for ref in refs)


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ("a/{x}", "a/{y}", False),
        ("a/{x}", "b/{x}", True),
        ("a/{x}", "{x}", True),
        ("{x}/raw", "{x}/clean", True),
        ("{x}/raw", "{x}/{y}", False),
        ("{x}/raw/{y}", "{x}/clean/{y}", True),
        ("{x}/1", "{x}/11", True),
        ("{x}/a{y}", "{x}/ab{y}", False),
        ("{x}_a_{d:date}", "{x}_b_{d:date}", True),
        ("a/{d:date}", "a/{m:month}", True),
        ("{x}_{d:date}", "{x}_{m:month}", True),
        ("{x}_{d:date}", "{x}.{m:month}", True),
        ("{x}{d:date}", "{x}{d:date}T", True),
        ("{x}/{d:date}x", "{x}/{y}1x", False),
        ("a/{d:date}", "a/2013-01-31", False),
        ("a/{d:date}", "a/2013-0x-31", True),
        ("a/{d:date}", "a/2013/01/31", True),
        ("a/{x:/.*/}", "a/b/c", False),
        ("a/{x:/.*/}/b", "a/{y}/c", True),
        ("a/{x:/[bc]/}", "a/b/c", True),
        ("a", "{x:/.*/}", False),
        ("a/b", "a/b/{x:/.*/}", False),
    ],
)
def test_a_glance_at_the_literals_tells_most_patterns_apart(first: str, second: str, apart: bool) -> None:
    one, two = PartitionPattern(first), PartitionPattern(second)

    assert one.is_disjoint(two) == two.is_disjoint(one) == apart


def test_a_date_that_does_not_exist_is_read_in_another_way_where_there_is_one() -> None:
    pattern = PartitionPattern("{before}{d:date}{after}")

    assert pattern.match("x2013-02-30y") is None
    assert pattern.match("x2013-01-2013-02-30y") == {"before": "x", "d": "2013-01-20", "after": "13-02-30y"}


@pytest.mark.parametrize("kind", ["date", "hour"])
@given(data=st.data())
@settings(deadline=None)
def test_the_regular_expression_of_a_pattern_knows_the_calendar(kind: str, data: st.DataObject) -> None:
    year = data.draw(st.integers(0, 9999) | st.sampled_from([0, 4, 100, 400, 1900, 1904, 2000, 2100]))
    month, day = data.draw(st.integers(0, 13)), data.draw(st.integers(0, 32))
    ref = f"{year:04}-{month:02}-{day:02}" + ("T05" if kind == "hour" else "")
    try:
        exists = dt.date(year, month, day) is not None
    except ValueError:
        exists = False
    pattern = PartitionPattern(f"{{x:{kind}}}")

    assert (pattern.match(ref) is not None) == exists
    assert (re.fullmatch("".join(pattern.regexes), ref) is not None) == exists


def test_only_ascii_digits_are_digits_of_a_type() -> None:
    assert PartitionPattern("{n:int}").match("1\u0663") is None
    assert PartitionPattern("{m:month}").match("201\u0663-01") is None


def test_groups_in_the_regular_expression_of_a_field_are_no_fields() -> None:
    pattern = PartitionPattern("{x:/(a|b)+(c)?/}/{y:/(d)|e/}")

    assert pattern.match("abc/e") == {"x": "abc", "y": "e"}


def test_ranges_know_fields_apart_that_are_named_after_one_another() -> None:
    pattern = PartitionPattern("{n:int}/{n_first}/{first_n:int}/{single_n}")

    assert pattern.expand("1..2/a/3/b") == ["1/a/3/b", "2/a/3/b"]


@pytest.mark.parametrize(
    "ref", ["", "a b", "a\nb", "a\x00", "a\x7f", "a\u200b", "a\xa0b", "a\udcff", "-x", "x" * 1025, "é" * 513]
)
def test_a_text_that_cannot_be_a_ref_is_refused(ref: str) -> None:
    with pytest.raises(InvalidRequestError, match="not a partition ref"):
        check_ref(ref)


@pytest.mark.parametrize("ref", ["a", "a-b", "a/b=c", "x" * 1024, "é" * 512])
def test_any_other_text_can_be_a_ref(ref: str) -> None:
    check_ref(ref)


@pytest.mark.parametrize("ref", ["a/\u200b", "a/\udcff", "a/" + "x" * 1023])
def test_a_text_that_cannot_be_a_ref_is_none_although_a_pattern_matches_it(ref: str) -> None:
    job = Job(label="//:a", executable="a", outputs=("a/{name}", "a/{name}/{day:date}"))
    catalog = JobCatalog(graph_label="//:g", jobs={job.label: job})

    assert PartitionPattern("a/{name}").match(ref) is not None
    for asked in (ref, f"{ref}/2013-01-01..2013-01-02"):
        with pytest.raises(InvalidRequestError, match="not a partition ref"):
            catalog.expand([asked])
    with pytest.raises(InvalidRequestError, match="not a partition ref"):
        catalog.owner(ref)


NFD = "caf" + "e\u0301"


@pytest.mark.parametrize("ref", [NFD, f"a/{NFD}/b", "\u212b", "\u1100\u1161"])
def test_a_ref_in_another_unicode_form_is_refused_with_the_form_that_it_must_have(ref: str) -> None:
    with pytest.raises(InvalidRequestError, match="not a partition ref") as refused:
        check_ref(ref)

    normal = unicodedata.normalize("NFC", ref)
    assert repr(normal) in str(refused.value)
    assert ascii(normal) in str(refused.value)
    check_ref(normal)
    assert nfc(ref) == normal


def test_a_pattern_in_another_unicode_form_is_refused() -> None:
    with pytest.raises(InvalidPatternError, match="normalization form C"):
        PartitionPattern(f"{NFD}/{{d:date}}")


@pytest.mark.parametrize(
    ("ref", "segment"),
    [
        *((ref, "..") for ref in ("..", "a/..", "../a", "a/../b")),
        *((ref, ".") for ref in (".", "a/.", "./a", "a/./b")),
        *((ref, "") for ref in ("/a", "a/", "a//b", "/")),
        *((ref, None) for ref in ("a", "a/b", "a.b/.c", "a/...", "a..b/c", "..a/b..", "1..3")),
    ],
)
def test_segments_that_a_path_would_not_keep_are_found(ref: str, segment: str | None) -> None:
    assert unsafe_segment(ref) == segment


@pytest.mark.parametrize(
    ("pattern", "ref", "allowed"),
    [
        ("a/{x}", "a/b", True),
        ("a/{x}", "a/..", False),
        ("a/{x}", "a/.", False),
        ("a/{x:/.+/}", "a/b/../c", False),
        ("a/{x:/[^x]+/}", "a/b//c", False),
        (r"a/{x:/[\w.\/]+/}", "a/../b", False),
        (r"a/{x:/\S+/}", "a/./b", False),
        (r"a/{x:/(\w+|\.\.)/}", "a/..", True),
        (r"a/{x:/\.{1,2}/}", "a/.", True),
        (r"a/{x:/\.{1,2}/}/{y}", "a/./..", False),
        (r"a/{x:/(\w+|[.][.])(\/\w+)*/}", "a/../b/c", True),
        ("s3://{x:/.+/}", "s3://b/c", True),
        ("s3://{x:/.+/}", "s3://b//c", False),
        ("/{x}/data/", "/b/data/", True),
        ("up/../{x}", "up/../b", True),
        ("up/../{x}", "up/../..", False),
    ],
)
def test_only_a_segment_that_a_pattern_writes_out_is_allowed(pattern: str, ref: str, allowed: bool) -> None:
    read = PartitionPattern(pattern)
    catalog = JobCatalog(graph_label="//:g", jobs={"//:j": Job(label="//:j", executable="j", outputs=(pattern,))})

    assert read.match(ref) is not None
    assert read.allows_unsafe_segments(ref) is allowed
    if allowed:
        assert catalog.expand([ref]) == (ref,)
        assert catalog.find_owner(ref) == "//:j"
    else:
        with pytest.raises(InvalidRequestError, match="segment"):
            catalog.expand([ref])


WILD = ["{a}/{b}", "x/{a:/.*/}", "{a:/[^a]+/}", "{a:/[.\\/x]+/}"]


@given(pattern=st.sampled_from(WILD), ref=st.text("./x", min_size=1))
@settings(deadline=None)
def test_wildcards_and_classes_never_allow_a_segment_that_leads_elsewhere(pattern: str, ref: str) -> None:
    read = PartitionPattern(pattern)

    if read.match(ref) is not None and read.allows_unsafe_segments(ref):
        assert not {".", ".."} & set(ref.split("/"))


@pytest.mark.parametrize(
    ("pattern", "ref", "said"),
    [
        ("d/{d:date}", "d/2024-01-01..", "'2024-01-01..' has no end; write both, such as 2024-01-01..2024-01-31"),
        ("d/{d:date}", "d/..2024-01-31", "'..2024-01-31' has no beginning; write both, such as 2024-01-01..2024-01-31"),
        ("d/{d:month}/{x}", "d/2024-01../x", "'2024-01..' has no end; write both, such as 2024-01..2024-12"),
        ("d/{d:hour}", "d/2024-01-01T00..", "2024-01-01T00..2024-01-01T23"),
        ("n/{n:int}", "n/-3..", "'-3..' has no end; write both, such as -3..6"),
        ("d/{d:date}", "d/9999-12-31..", "'9999-12-31..' has no end"),
        ("d/{d:date}/{n:int}", "d/2024-01-01..2024-01-02/7..", "'7..' has no end"),
        ("d/{d:date}", "d/2024-13-01..", "'2024-13-01..' has no end; write both, such as 2013-01-31"),
        (
            "d/{d:date}",
            "d/2024-01-01..x",
            "'x' in the range '2024-01-01..x' is not of the type 'date', such as 2013-01-31",
        ),
        ("d/{d:date}", "d/x..2024-01-01", "'x' in the range 'x..2024-01-01' is not of the type 'date'"),
        ("d/{d:date}", "d/..x", "'x' in the range '..x' is not of the type 'date'"),
        (
            "d/{d:date}/{n:int}",
            "d/2024-01-01/7..2024-01-01",
            "'2024-01-01' in the range '7..2024-01-01' is not of the type 'int'",
        ),
        (
            "d/{d:month}/{x}",
            "d/2024-01..2024-01-31/x",
            "'2024-01-31' in the range '2024-01..2024-01-31' is not of the type",
        ),
    ],
)
def test_a_range_with_a_wrong_end_or_none_is_named_with_how_to_write_one(pattern: str, ref: str, said: str) -> None:
    assert said in PartitionPattern(pattern).explain_mismatch(ref)
    catalog = JobCatalog(graph_label="//:g", jobs={"//:j": Job(label="//:j", executable="j", outputs=(pattern,))})
    with pytest.raises(UnknownPartitionError) as unknown:
        catalog.expand([ref])
    assert said in str(unknown.value)


def test_a_range_that_a_config_names_is_told_to_be_for_requests() -> None:
    assert "requests only" in PartitionPattern("d/{d:date}").explain_mismatch("d/2024-01-01..2024-01-02")


@pytest.mark.parametrize(
    ("pattern", "ref", "found"),
    [
        ("k/{k}", "k/1..3", ("k", "1..3", "int")),
        ("k/{k}", "k/1..", ("k", "1..", "int")),
        ("k/{k:/.+/}", "k/2024-01..2024-03", ("k", "2024-01..2024-03", "month")),
        ("k/{k}", "k/2024-01-01..2024-01-03", ("k", "2024-01-01..2024-01-03", "date")),
        ("k/{k}", "k/2024-01-01T00..2024-01-01T05", ("k", "2024-01-01T00..2024-01-01T05", "hour")),
        ("k/{k}", "k/a..b", None),
        ("k/{k}", "k/1..b", None),
        ("k/{k}", "k/13", None),
        ("k/{a:int}..{b:int}", "k/1..3", None),
    ],
)
def test_a_range_in_a_field_without_ranges_is_found_with_its_type(
    pattern: str, ref: str, found: tuple[str, str, str] | None
) -> None:
    assert PartitionPattern(pattern).range_lookalike(ref) == found
