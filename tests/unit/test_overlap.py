"""Overlaps of patterns: found exactly, each with a ref that both match."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.errors import InvalidRequestError
from databuild.graph.overlap import shortest_common_ref
from databuild.graph.patterns import PartitionPattern
from databuild.graph.refs import check_ref
from tests.support.present import present


def checked_overlap(first: str, second: str) -> str | None:
    """Returns the common ref. It matches both patterns, and its length does not depend on their order."""
    one, two = PartitionPattern(first), PartitionPattern(second)
    witness, mirrored = shortest_common_ref(one, two), shortest_common_ref(two, one)
    assert (witness is None) == (mirrored is None)
    for ref in (witness, mirrored):
        if ref is not None:
            check_ref(ref)
            assert one.match(ref) is not None
            assert two.match(ref) is not None
            assert not one.is_disjoint(two)
            assert not two.is_disjoint(one)
            assert len(ref.encode()) == len(present(witness).encode())
    return witness


@pytest.mark.parametrize(
    ("first", "second", "witness"),
    [
        ("all", "all", "all"),
        ("a/{x}", "a/{y}", "a/a"),
        ("a/{x}", "a/b", "a/b"),
        ("a/{x}/c", "a/b/{y}", "a/b/c"),
        ("a/{x}", "a/{d:date}", "a/1111-01-01"),
        ("a/{x}", "a/{h:hour}", "a/1111-01-01T11"),
        ("a/{m:month}", "a/{x}", "a/1111-01"),
        ("a/{d:date}", "a/{m:month}-{n:/[0-9]+/}", "a/1111-01-01"),
        ("a/{h:hour}", "a/{d:date}T{n}", "a/1111-01-01T11"),
        ("{n:int}", "{x}", "0"),
        ("{n:int}", "1{x}", "11"),
        ("n/{n:int}", "n/-{x}", "n/-1"),
        ("{n:int}", "{m:month}", None),
        ("{n:int}", "{x:/-.*/}", None),  # a ref does not begin with a dash
        ("a{x}b", "{y}", "aab"),
        ("a{x}b", "{y}a{z}", "aab"),
        ("{x}{y}", "ab", "ab"),
        ("{x}{y}", "a", None),
        ("{x}{d:date}{y}", "{a:/.*/}2013-02-30{b:/.*/}", "a1111-01-2013-02-30"),
        ("{x:/a*/}", "{y:/(b|)+/}", None),  # only the empty text matches both, and that is no ref
        ("x{x:/a*/}", "x{y:/b*/}", "x"),
        ("x{x://}", "{y}", "x"),
        ("{x:/(a|b)*c?/}", "{y:/b+/}", "b"),
        ("{x:/(a?b?){3}/}", "{y:/bb+/}", "bb"),
        ("{x:/(ab)*/}", "{y:/(aba)*/}", None),
        ("{x:/(ab)*/}", "{y:/((aba)|(b))*/}", "abab"),
        ("{x:/a{3,5}/}", "{y:/(aa)*/}", "aaaa"),
        ("{x:/a{3,}/}", "{y:/a{2}/}", None),
        ("{x:/(?:eu|us)/}/t", "{y}/t", "eu/t"),
        ("d/{x:/[a-z]+/}", "d/{y:/[0-9]+/}", None),
        ("d/{x:/.*/}", "d/e/{y}/{z}", "d/e/a/a"),
        ("d/{d:date}", "d/{x:/2013-02-(28|29)/}", "d/2013-02-28"),
        ("d/{d:date}", "d/{x:/2012-02-(29|30)/}", "d/2012-02-29"),
        ("d/{d:date}", "d/{x:/0000-.*/}", None),
        ("d/{d:date}", "d/{x:/....-02-29/}", "d/1104-02-29"),
        ("d/{d:date}", "d/1900-02-29", None),
        ("d/{d:date}", "d/2000-02-29", "d/2000-02-29"),
        ("d/{h:hour}", "d/2013-04-31T{x}", None),
        ("d/{h:hour}", "d/2013-04-30T{x}", "d/2013-04-30T11"),
        ("é/{x}", "{y}/ü", "é/ü"),
        ("é/{x}", "e/{x}", None),
        (r"{x:/\d+/}", "{y:/[^0-9]+/}", None),
        (r"{x:/\d/}", "\u0663", None),
        (r"{x:/\D/}", "\u0663", "\u0663"),
        (r"{x:/\w/}", "{y:/[^a-zA-Z0-9_]/}", None),
        (r"{x:/\W/}", "{y:/[\u0430-\u044f]/}", "\u0430"),
        (r"{x:/[\W\d]/}", "{y:/[^\x00-\u042f]/}", "\u0430"),
        ("{x:/[\U0001f600-\U0001f64f]/}", "{y}", "\U0001f600"),
        (r"{x:/[^\x00-\x7f]/}", "{y}", "\u00a1"),  # the characters before it are not printable
        ("{x:/\u200b|\x80/}", "{y}", None),
        (r"{x:/\s/}", "{y:/./}", None),
        ("{x:/[ \\n]/}", "{y:/.|\\n/}", None),  # matches both patterns, but is no ref
        ("a b", "{x:/.*/}", None),
        ("x{x:/.{1022}/}", "{y}", "x" + "a" * 1022),
        ("x{x:/.{1024}/}", "{y}", None),  # longer than a ref may be
        ("{x:/é{512}/}", "{y}", "é" * 512),
        ("{x:/é{513}/}", "{y}", None),
        ("a", "a{x:/b{5000}/}", None),
    ],
)
def test_patterns_overlap_where_they_have_a_ref_in_common(first: str, second: str, witness: str | None) -> None:
    assert checked_overlap(first, second) == witness


def test_long_ambiguous_repetitions_are_compared_in_good_time() -> None:
    assert checked_overlap("{x:/(a|aa){1,200}/}", "{y:/(a|aa){1,200}b/}") is None
    assert checked_overlap("{x:/(a|b)*a(a|b){100}/}", "{y:/(a|b)*b(a|b){100}/}") is None


ALPHABET = "ab-1/é"
LONGEST = 4
REFS = [
    "".join(characters)
    for length in range(1, LONGEST + 1)
    for characters in itertools.product(ALPHABET, repeat=length)
    if characters[0] != "-"
]

ATOMS = st.sampled_from(["a", "b", "1", "é", "-", r"\/", ".", "[ab]", "[^a]", r"\d", r"\W", "[^é1]", "[b-é]"])
REGEXES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: f"({'|'.join(options)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{2}", "{0,2}", "{1,3}", "{2,}"])).map(
            lambda of: f"(?:{of[0]}){of[1]}"
        ),
        inner.map(lambda option: f"(?:{option}|)"),
    ),
    max_leaves=5,
)
KINDS = st.one_of(st.sampled_from(["", ":int", ":str"]), REGEXES.map(lambda regex: f":/{regex}/"))


@st.composite
def patterns(draw: st.DrawFn) -> str:
    parts = draw(
        st.lists(st.one_of(st.sampled_from(ALPHABET), KINDS.map(lambda kind: (kind,))), min_size=1, max_size=4)
    )
    return "".join(part if isinstance(part, str) else f"{{x{n}{part[0]}}}" for n, part in enumerate(parts))


@settings(max_examples=300, deadline=None)
@given(patterns(), patterns())
def test_an_overlap_is_what_trying_all_short_refs_finds(first: str, second: str) -> None:
    one, two = PartitionPattern(first), PartitionPattern(second)
    sizes = [len(ref.encode()) for ref in REFS if one.match(ref) is not None and two.match(ref) is not None]

    witness = checked_overlap(first, second)

    if sizes:
        assert witness is not None
        assert len(witness.encode()) <= min(sizes)


DATED = st.lists(
    st.sampled_from(
        ["{date}", "{hour}", "{month}", "{int}", "{str}", "{/[0-9]*/}", "-", "/", "T", "2013-02-", "29", "30"]
    ),
    min_size=1,
    max_size=4,
).map(lambda parts: "".join(part.replace("{", f"{{x{n}:") for n, part in enumerate(parts)))


@settings(max_examples=300, deadline=None)
@given(DATED, DATED, st.text("0123456789-T/", max_size=6))
def test_an_example_of_one_pattern_that_the_other_matches_is_an_overlap(first: str, second: str, tail: str) -> None:
    one, two = PartitionPattern(first), PartitionPattern(second)
    witness = checked_overlap(first, second)

    for ref in (one.example(), two.example(), one.example() + tail, two.example() + tail):
        try:
            check_ref(ref)
        except InvalidRequestError:
            continue
        if one.match(ref) is not None and two.match(ref) is not None:
            assert witness is not None
            assert len(witness) <= len(ref)
