"""Regular expressions as automata: what they accept in common, against trying every text."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.graph.regular import NotRegularError, automaton, check_regular, common_text

ALPHABET = "ab1"
TEXTS = ["".join(text) for length in range(1, 6) for text in itertools.product(ALPHABET, repeat=length)]


def common(first, second):
    return common_text(automaton(first), automaton(second))


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("abc", "abc", "abc"),
        ("abc", "abd", None),
        ("a[^b]", "a.", "ax"),
        ("a[^b]", "ab", None),
        ("a{2,3}", "a{3,5}", "aaa"),
        ("a{2}", "a{3,}", None),
        ("(?:ab)+", "a(?:ba)*b", "ab"),
        (r"\d+", r"\w\W?", "1"),
        (r"\d", r"\D", None),
        (r"\s", r"\s", None),
        ("-?a", "-.*", None),
        ("a*", "b*", None),
        ("a*", "a*", "a"),
        ("(?:a|)b??c+?", "[a-c]{3}", "abc"),
        ("é+", ".", "é"),
        ("[\u4e00-\u4e02]", "[^\u4e00]", "\u4e01"),
        (r"\x41|[B-D]", "[^A-C]", "D"),
    ],
)
def test_a_common_text_is_found_where_there_is_one(first, second, text):
    assert common(first, second) == text


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (r"(a)\1", "a backreference"),
        ("a(?=b)", "a look-ahead"),
        ("(?<!a)b", "a negative look"),
        ("^a", "an anchor"),
        (r"a\b", "an anchor or word boundary"),
        ("a++", "a possessive repeat"),
        ("(?>a)", "an atomic group"),
        ("(a)?(?(1)b|c)", "a condition"),
        ("(?P<name>a)", "the group 'name' has a name"),
        ("(?i)a", "sets flags"),
        ("(?i:a)", "sets flags"),
        ("a{2000}", "more than 1000 times"),
        ("a{1,2000}", "more than 1000 times"),
    ],
)
def test_what_is_not_regular_is_refused_by_name(expression, said):
    with pytest.raises(NotRegularError, match=re.escape(said)):
        check_regular(expression)


def test_groups_without_names_are_regular():
    check_regular("(a|b)(?:c)[^/]+")


_characters = st.sampled_from(["a", "b", "1", ".", "[ab]", "[^a]", r"\d", r"\w", r"\D"])
_expressions = st.recursive(
    _characters,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda both: f"(?:{both[0]}|{both[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?"])).map(
            lambda both: f"(?:{both[0]}){both[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=300)
@given(_expressions, _expressions)
def test_the_answer_is_that_of_trying_every_text(first, second):
    tried = [text for text in TEXTS if re.fullmatch(first, text, re.ASCII) and re.fullmatch(second, text, re.ASCII)]

    text = common(first, second)

    if tried:
        assert text is not None
    if text is not None:
        assert re.fullmatch(first, text, re.ASCII)
        assert re.fullmatch(second, text, re.ASCII)
