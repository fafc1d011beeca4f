"""Regular expressions of fields: which are refused, and why."""

import re

import pytest

from databuild.errors import InvalidPatternError
from databuild.graph.regular import read_field


@pytest.mark.parametrize(
    ("regex", "said"),
    [
        ("(?=a)b", "lookahead"),
        ("(?!a)b", "lookahead"),
        ("(?!)", "lookahead"),
        ("a(?<=a)", "lookbehind"),
        ("a(?<!b)", "lookbehind"),
        (r"(a|b)\1", "backreference"),
        ("(a)?(?(1)b|c)", "conditional group"),
        ("(?>a|ab)", "atomic group"),
        ("a*+", "possessive"),
        ("^a", "anchor"),
        ("a$", "anchor"),
        (r"\Aa", "anchor"),
        (r"a\Z", "anchor"),
        (r"a\b", "word boundary"),
        (r"((x|a\B)+)", "word boundary"),
        ("(?i)a", "inline flags"),
        ("(?u)a", "inline flags"),
        ("(?x) a # b", "inline flags"),
        ("(?a)b", "inline flags"),
        ("(?u:b)", "inline flags"),
        ("(?L:b)", "cannot be read"),
        ("(?i:a)b", "inline flags"),
        ("(?-i:a)", "inline flags"),
        ("a(?i)", "not at the start"),
        ("(?P<name>a)", "a group with a name, 'name'"),
        ("(?P<name>a)(?P=name)", "a group with a name, 'name'"),
        ("a)|(b", "cannot be read: unbalanced parenthesis"),
        ("[", "cannot be read"),
        ("a**", "cannot be read: multiple repeat"),
        ("a{99999999999}", "cannot be read"),
        ("(" * 5000 + ")" * 5000, "cannot be read"),
        ("(a{100}){100}", "too large: 1[0-9]{4} characters, and 1100 are allowed"),
        ("((((a{1000}){1000}){1000}){1000}){1000}", "too large"),
    ],
)
def test_what_is_not_regular_is_refused_by_its_name(regex, said):
    with pytest.raises(InvalidPatternError, match=said) as raised:
        read_field("the/{x:/pattern/}", regex)

    assert raised.value.pattern == "the/{x:/pattern/}"


@pytest.mark.parametrize(
    "regex",
    [
        "",
        "a|",
        "(a|b)*?c",
        "(?:ab)+",
        ".{0,1000}",
        "a{5000,}",
        r"[^\W\d_]+\.\/",
        "(?:)",
        r"\x41",
        "é?",
        "(?#why)a",
    ],
)
def test_what_is_regular_is_read(regex):
    read_field("{x}", regex)


@pytest.mark.parametrize(
    ("regex", "has"),
    [("a+", False), ("a|b/c", True), (".", True), ("[^/]*", False), ("(x[!-9])?", True), (r"\W", True)],
)
def test_it_is_known_whether_a_match_may_have_a_slash(regex, has):
    assert read_field("{x}", regex).may_have("/") == has


@pytest.mark.parametrize(
    "text", [r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", ".", "[^a]", "[a-cé]", r"[^\d\sx-z]", "(?:a|[b-d])"]
)
def test_a_set_has_the_characters_that_python_says(text):
    characters = read_field("{x}", text)

    for character in map(chr, range(0x3100)):
        assert characters.has(character) == (re.fullmatch(text, character, re.ASCII) is not None)
