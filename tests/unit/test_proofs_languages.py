"""Automata of values between bounds, and the search for refs that other automata do not accept."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.graph.automaton import Automaton, automaton
from databuild.graph.patterns import PartitionPattern
from databuild.graph.periods import UNITS
from databuild.graph.proofs.inclusion import TooManyStatesError, refs_outside
from databuild.graph.proofs.value_sets import limits, pattern_automaton, text_of, values_between
from databuild.graph.refs import check_ref

PIECES = ("a", "b", "ab", "[ab]", "a*", "b+", "(ab)*", "(a|bb)", "a?", "[^b/]", "(a|b){2}")


def accepts(accepting: Automaton, text: str) -> bool:
    """Returns True if an automaton accepts a text; the literal allows texts that are no refs by themselves."""
    only = automaton(("x", re.escape(text)))
    return next(refs_outside(only, [Automaton(automaton(("x",)), accepting)]), None) is None


@given(st.sampled_from(["int", *UNITS]), st.data())
@settings(max_examples=200, deadline=None)
def test_an_automaton_of_values_between_bounds_accepts_exactly_those(kind: str, data: st.DataObject) -> None:
    lowest, highest = limits(kind) if kind != "int" else (-2000, 2000)
    number = st.integers(lowest, highest)
    first = data.draw(number)
    last = data.draw(st.one_of(st.integers(first, min(highest, first + 40)), st.integers(first, highest)))
    between = values_between(kind, first, last)
    near = {first - 1, first, first + 1, last - 1, last, last + 1, data.draw(number)}
    for value in near:
        if lowest <= value <= highest:
            assert accepts(between, text_of(kind, value)) == (first <= value <= last)


def test_integers_may_have_one_bound_or_none() -> None:
    lowest, highest = limits("int")
    negative, positive = values_between("int", lowest, -7), values_between("int", 95, highest)

    assert accepts(negative, "-7")
    assert accepts(negative, "-1000")
    assert not accepts(negative, "-6")
    assert not accepts(negative, "7")
    assert accepts(positive, "95")
    assert accepts(positive, "1" + "0" * 50)
    assert not accepts(positive, "94")
    assert not accepts(positive, "095")
    assert accepts(values_between("int", lowest, highest), "0")
    assert not accepts(values_between("int", lowest, highest), "-0")
    assert not accepts(values_between("int", -3, 3), "-0")


def test_an_automaton_of_a_pattern_knows_its_bounds() -> None:
    pattern = PartitionPattern("a/{n:int}/{d:date}", {"d": "2013-01-05..2013-01-06"})
    found = refs_outside(pattern_automaton(PartitionPattern("a/7/{d:date}")), [pattern_automaton(pattern)])
    inside = refs_outside(pattern_automaton(pattern), [pattern_automaton(PartitionPattern("a/{n:int}/{d:date}"))])

    assert pattern.match(next(found)) is None
    assert next(inside, None) is None


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3), st.lists(st.sampled_from(PIECES), max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_ref_outside_is_found_if_and_only_if_there_is_one(pieces: list[str], others: list[str]) -> None:
    regex = "".join(pieces)
    texts = ("".join(letters) for size in range(1, 7) for letters in itertools.product("abc", repeat=size))
    expected = [
        text for text in texts if re.fullmatch(regex, text) and not any(re.fullmatch(other, text) for other in others)
    ]
    found = list(refs_outside(automaton((regex,)), [automaton((other,)) for other in others]))

    for ref in found:
        check_ref(ref)
        assert re.fullmatch(regex, ref)
        assert not any(re.fullmatch(other, ref) for other in others)
    if expected:
        assert len(found[0]) == len(expected[0])


@pytest.mark.parametrize(
    ("first", "others", "outside"),
    [
        ("{x}", ["{x:/[a-z]+/}"], "1"),
        ("a/{x}", ["a/{x}"], None),
        ("a/{d:date}", ["a/{x}"], None),
        ("a/{x:/[ab]+/}", ["a/{x:/a.*/}", "a/{x:/b.*/}"], None),
        ("a/{x:/[abc]/}", ["a/{x:/a.*/}", "a/{x:/b.*/}"], "a/c"),
        ("a/{d:date}", ["a/{d:/[0-9]{4}-(0[1-9]|1[0-2])-.*/}"], None),
        ("a/{x:/é+/}", ["a/{x:/[à-ï]+/}"], None),
        ("a/{x:/[é-í]/}", ["a/{x:/[é-ì]/}"], "a/í"),
        ("{n:int}", ["{n:/[0-9]+/}"], None),  # a ref does not begin with a dash
    ],
)
def test_refs_outside_of_patterns(first: str, others: list[str], outside: str | None) -> None:
    found = refs_outside(
        pattern_automaton(PartitionPattern(first)), [pattern_automaton(PartitionPattern(other)) for other in others]
    )

    assert next(found, None) == outside


def test_a_search_that_would_take_too_long_is_given_up() -> None:
    explosive = automaton(("(a|b)*a(a|b){40}",))

    with pytest.raises(TooManyStatesError):
        list(refs_outside(automaton(("(a|b)*",)), [explosive, automaton(("(a|b){0,40}|(a|b)*b(a|b){40}",))]))
