"""Syntax trees of regular expressions that are regular in the strict sense: a finite automaton can decide them.

Python's own parser parses them, so that a tree means the same as `re` with `re.ASCII`. That parser is private to
Python; a construct that is not known here is refused, so a change of the parser cannot change a meaning.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from databuild.errors import InvalidPatternError
from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    import sre_parse as _parser  # its types are known by this name alone
else:
    from re import _parser

_MAX_REPEATS: Final = 1024
"""Larger bounds of a repetition count as unbounded: a ref has no more bytes than this."""

_MAX_SIZE: Final = 1100
"""Maximum size of a field's regular expression, in characters with all repetitions written out.

Slightly more than the length of the longest ref. Bounds the time to compare two patterns.
"""


_CLASSES: Final[Mapping[str, str]] = {
    "DIGIT": string.digits,
    "SPACE": " \t\n\r\f\v",
    "WORD": f"{string.ascii_letters}{string.digits}_",
}
_REFUSED: Final = {
    "ASSERT": "a lookahead or lookbehind",
    "ASSERT_NOT": "a negative lookahead or lookbehind",
    "AT": "an anchor or a word boundary (a field is always matched whole, so ^ and $ can be left out)",
    "ATOMIC_GROUP": "an atomic group",
    "FAILURE": "a negative lookahead or lookbehind",
    "GROUPREF": "a backreference",
    "GROUPREF_EXISTS": "a conditional group",
    "POSSESSIVE_REPEAT": "a possessive quantifier",
}
_FLAGS: Final = "inline flags"
_GLOBAL_FLAGS: Final = re.compile(r"\(\?[aiLmsux]+\)")


# Named tuples, since creating four dataclasses would double the import time of this module.


class Characters(NamedTuple):
    """One character of a set.

    Attributes:
        ranges: The first and last code point of each range in the set.
        classes: The classes in the set, such as `DIGIT` or `NOT_DIGIT`.
        negated: True for the complement of the ranges and classes.
    """

    ranges: tuple[tuple[int, int], ...] = ()
    classes: tuple[str, ...] = ()
    negated: bool = False

    def has(self, character: str) -> bool:
        code = ord(character)
        listed = any(first <= code <= last for first, last in self.ranges) or any(
            (character in _CLASSES[name.removeprefix("NOT_")]) != name.startswith("NOT_") for name in self.classes
        )
        return listed != self.negated

    def may_match(self, character: str) -> bool:
        return self.has(character)

    def size(self) -> int:
        return 1


class Sequence(NamedTuple):
    """A concatenation."""

    parts: tuple[Node, ...]

    def may_match(self, character: str) -> bool:
        return any(part.may_match(character) for part in self.parts)

    def size(self) -> int:
        return 1 + sum(part.size() for part in self.parts)


class Choice(NamedTuple):
    """An alternation."""

    options: tuple[Node, ...]

    def may_match(self, character: str) -> bool:
        return any(option.may_match(character) for option in self.options)

    def size(self) -> int:
        return 1 + sum(option.size() for option in self.options)


class Repeat(NamedTuple):
    """A repetition; `maximum` is None if it is unbounded."""

    body: Node
    minimum: int
    maximum: int | None

    def may_match(self, character: str) -> bool:
        return self.body.may_match(character)

    def size(self) -> int:
        return 1 + self.body.size() * (self.minimum + 1 if self.maximum is None else self.maximum)


Node = Characters | Sequence | Choice | Repeat
"""A node of a syntax tree.

`may_match` returns True if a matched text can contain a character; `size` is the number of characters with all
repetitions written out.
"""


def parse_field_regex(pattern: str, regex: str) -> Node:
    """Parses and checks the regular expression of a field.

    Raises:
        InvalidPatternError: It is invalid, not regular, or too large; the error names the whole pattern.
    """
    if _GLOBAL_FLAGS.match(regex):
        raise _refusal(pattern, regex, _FLAGS)
    try:
        parsed = _parser.parse(regex, re.ASCII)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        fault = f"the regular expression /{regex}/ is invalid: {error}"
        raise InvalidPatternError(pattern, fault) from error
    for name in parsed.state.groupdict:
        raise _refusal(pattern, regex, f"a named group, {name!r} (only fields have names; write (...) instead)")
    try:
        tree = _sequence(parsed.data)
    except _NotRegularError as error:
        raise _refusal(pattern, regex, str(error)) from None
    if (size := tree.size()) > _MAX_SIZE:
        fault = f"the regular expression /{regex}/ is too large: {size} characters, at most {_MAX_SIZE} are allowed"
        raise InvalidPatternError(pattern, fault)
    return tree


def parse_regex(regex: str) -> Node:
    """Parses a regular expression that has been checked before."""
    return _sequence(_parser.parse(regex, re.ASCII).data)


def literal_regex(tree: Node, marks: Mapping[str, str]) -> str:
    """Returns a regular expression in which only literal characters match marks, which are private-use characters.

    Args:
        tree: The tree of the original regular expression.
        marks: The regular expression that replaces a literal character, by character; others are kept.
    """
    match tree:
        case Characters():
            return _characters_text(tree, marks)
        case Sequence():
            return f"(?:{''.join(literal_regex(part, marks) for part in tree.parts)})"
        case Choice():
            return f"(?:{'|'.join(literal_regex(option, marks) for option in tree.options)})"
        case Repeat():
            maximum = "" if tree.maximum is None else tree.maximum
            return f"(?:{literal_regex(tree.body, marks)}){{{tree.minimum},{maximum}}}"


def _characters_text(characters: Characters, marks: Mapping[str, str]) -> str:
    ranges, classes, negated = characters
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1] and not classes and not negated:
        only = chr(ranges[0][0])
        return marks.get(only, re.escape(only))
    names = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w", "NOT_DIGIT": r"\D", "NOT_SPACE": r"\S", "NOT_WORD": r"\W"}
    text = "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)
    text += "".join(names[name] for name in classes)
    return f"(?:(?![\ue000-\uf8ff])[{'^' if negated else ''}{text}])"


class _NotRegularError(Exception):
    """The regular expression has the construct that the message names."""


def _refusal(pattern: str, regex: str, construct: str) -> InvalidPatternError:
    return InvalidPatternError(pattern, f"the regular expression /{regex}/ has {construct}, which a field cannot have")


def _sequence(parsed: Iterable[tuple[Any, Any]]) -> Node:
    parts = tuple(_node(str(code), value) for code, value in parsed)
    return parts[0] if len(parts) == 1 else Sequence(parts)


def _node(code: str, value: Any) -> Node:
    match code:
        case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
            return _characters(code, value)
        case "BRANCH":
            return Choice(tuple(_sequence(option) for option in value[1]))
        case "MAX_REPEAT" | "MIN_REPEAT":
            minimum, maximum, body = value
            return Repeat(
                _sequence(body), min(minimum, _MAX_REPEATS + 1), int(maximum) if maximum <= _MAX_REPEATS else None
            )
        case "SUBPATTERN":
            _, added_flags, removed_flags, body = value
            if not (added_flags or removed_flags):
                return _sequence(body)
            raise _NotRegularError(_FLAGS)
        case _:
            raise _NotRegularError(_REFUSED.get(code, f"the construct {code}"))


def _characters(code: str, value: Any) -> Characters:
    if code == "IN":
        return _set(value)
    only = ord("\n") if code == "ANY" else value
    return Characters(((only, only),), negated=code != "LITERAL")


def _set(items: Iterable[tuple[Any, Any]]) -> Characters:
    ranges: list[tuple[int, int]] = []
    classes: list[str] = []
    negated = False
    for code, value in items:
        match str(code):
            case "NEGATE":
                negated = True
            case "LITERAL":
                ranges.append((value, value))
            case "RANGE":
                ranges.append(value)
            case "CATEGORY" if (name := str(value).removeprefix("CATEGORY_")).removeprefix("NOT_") in _CLASSES:
                classes.append(name)
            case unknown:
                raise _NotRegularError(f"the construct {unknown}")
    return Characters(tuple(ranges), tuple(classes), negated)
