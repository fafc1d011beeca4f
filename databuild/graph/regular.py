"""Regular expressions as trees, for those that are regular in the strict sense: a finite automaton can decide them.

Python's own parser reads them, so that a tree means what `re` with `re.ASCII` means by the text. That parser is private
to Python: what it returns and is not known here is refused, never guessed at. This does not know what they are for.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Final, NamedTuple

from databuild.errors import InvalidPatternError

_MANY: Final = 1024
"""More repetitions than a ref can have bytes are as good as any number of them."""

_MAX_SIZE: Final = 1100
"""How large the regular expression of a field may be, in characters when all repetitions are written out.

A little more than a ref can have bytes; it keeps the time bounded that a comparison of two patterns takes.
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


# Named tuples, since four dataclasses would take longer to make than all the rest that this does when a program starts.


class Characters(NamedTuple):
    """One character of a set.

    Attributes:
        ranges: The first and last code point of each range in it.
        classes: The classes in it, such as `DIGIT` or `NOT_DIGIT`.
        negated: Whether it is every character that is in none of these.
    """

    ranges: tuple[tuple[int, int], ...] = ()
    classes: tuple[str, ...] = ()
    negated: bool = False

    def has(self, character: str) -> bool:
        """Whether a character is in the set."""
        code = ord(character)
        found = any(first <= code <= last for first, last in self.ranges) or any(
            (character in _CLASSES[name.removeprefix("NOT_")]) != name.startswith("NOT_") for name in self.classes
        )
        return found != self.negated

    def may_have(self, character: str) -> bool:
        """Whether a text that is matched may have a character."""
        return self.has(character)

    def size(self) -> int:
        """How many characters there are when all repetitions are written out."""
        return 1


class Sequence(NamedTuple):
    """One after another."""

    parts: tuple[Node, ...]

    def may_have(self, character: str) -> bool:
        """Whether a text that is matched may have a character."""
        return any(part.may_have(character) for part in self.parts)

    def size(self) -> int:
        """How many characters there are when all repetitions are written out."""
        return 1 + sum(part.size() for part in self.parts)


class Choice(NamedTuple):
    """One of several."""

    options: tuple[Node, ...]

    def may_have(self, character: str) -> bool:
        """Whether a text that is matched may have a character."""
        return any(option.may_have(character) for option in self.options)

    def size(self) -> int:
        """How many characters there are when all repetitions are written out."""
        return 1 + sum(option.size() for option in self.options)


class Repeat(NamedTuple):
    """Again and again; `most` is None for any number of times."""

    body: Node
    least: int
    most: int | None

    def may_have(self, character: str) -> bool:
        """Whether a text that is matched may have a character."""
        return self.body.may_have(character)

    def size(self) -> int:
        """How many characters there are when all repetitions are written out."""
        return 1 + self.body.size() * (self.least + 1 if self.most is None else self.most)


Node = Characters | Sequence | Choice | Repeat


def read_field(pattern: str, regex: str) -> Node:
    """Returns the tree of the regular expression of a field, once it is clear that a field can have it.

    Raises:
        InvalidPatternError: It cannot be read, is not regular, or is too large; the error is about the whole pattern.
    """
    if _GLOBAL_FLAGS.match(regex):
        raise _refusal(pattern, regex, _FLAGS)
    try:
        parsed = _parser.parse(regex, re.ASCII)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        fault = f"the regular expression /{regex}/ cannot be read: {error}"
        raise InvalidPatternError(pattern, fault) from error
    for name in parsed.state.groupdict:
        raise _refusal(pattern, regex, f"a group with a name, {name!r} (only fields have names; write (...) instead)")
    try:
        tree = _sequence(parsed)
    except _NotRegularError as error:
        raise _refusal(pattern, regex, str(error)) from None
    if (size := tree.size()) > _MAX_SIZE:
        fault = f"the regular expression /{regex}/ is too large: {size} characters, and {_MAX_SIZE} are allowed"
        raise InvalidPatternError(pattern, fault)
    return tree


def read(regex: str) -> Node:
    """Returns the tree of a regular expression that is known to be regular."""
    return _sequence(_parser.parse(regex, re.ASCII))


def literally(tree: Node, marks: Mapping[str, str]) -> str:
    """Returns a regular expression like a tree in which only literal characters match characters for private use.

    Args:
        tree: The tree.
        marks: What stands for a literal character, where not itself.
    """
    match tree:
        case Characters():
            return _characters_text(tree, marks)
        case Sequence():
            return f"(?:{''.join(literally(part, marks) for part in tree.parts)})"
        case Choice():
            return f"(?:{'|'.join(literally(option, marks) for option in tree.options)})"
        case Repeat():
            most = "" if tree.most is None else tree.most
            return f"(?:{literally(tree.body, marks)}){{{tree.least},{most}}}"


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
    """The regular expression has something that the message names."""


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
            least, most, body = value
            return Repeat(_sequence(body), min(least, _MANY + 1), int(most) if most <= _MANY else None)
        case "SUBPATTERN":
            _, switched_on, switched_off, body = value
            if not (switched_on or switched_off):
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
