"""Regular expressions of fields: refusals and their messages."""

import re

import pytest

from databuild.errors import InvalidPatternError
from databuild.graph.regex_tree import Characters, parse_field_regex


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
        ("(?L:b)", "is invalid"),
        ("(?i:a)b", "inline flags"),
        ("(?-i:a)", "inline flags"),
        ("a(?i)", "not at the start"),
        ("(?P<name>a)", "a named group, 'name'"),
        ("(?P<name>a)(?P=name)", "a named group, 'name'"),
        ("a)|(b", "is invalid: unbalanced parenthesis"),
        ("[", "is invalid"),
        ("a**", "is invalid: multiple repeat"),
        ("a{99999999999}", "is invalid"),
        ("(" * 5000 + ")" * 5000, "is invalid"),
        ("(a{100}){100}", "too large: 1[0-9]{4} characters, at most 1100 are allowed"),
        ("((((a{1000}){1000}){1000}){1000}){1000}", "too large"),
    ],
)
def test_constructs_that_are_not_regular_are_refused_by_name(regex: str, said: str) -> None:
    with pytest.raises(InvalidPatternError, match=said) as raised:
        parse_field_regex("the/{x:/pattern/}", regex)

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
def test_regular_constructs_are_parsed(regex: str) -> None:
    parse_field_regex("{x}", regex)


@pytest.mark.parametrize(
    ("regex", "has"),
    [("a+", False), ("a|b/c", True), (".", True), ("[^/]*", False), ("(x[!-9])?", True), (r"\W", True)],
)
def test_it_is_known_whether_a_match_may_have_a_slash(regex: str, has: bool) -> None:
    assert parse_field_regex("{x}", regex).may_match("/") == has


@pytest.mark.parametrize(
    "text", [r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", ".", "[^a]", "[a-cé]", r"[^\d\sx-z]", "(?:a|[b-d])"]
)
def test_a_set_has_the_characters_that_python_says(text: str) -> None:
    characters = parse_field_regex("{x}", text)

    assert isinstance(characters, Characters)
    for character in map(chr, range(0x3100)):
        assert characters.has(character) == (re.fullmatch(text, character, re.ASCII) is not None)
