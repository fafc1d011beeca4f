"""Regular expressions as automata, for the one question that `re` cannot answer: do two of them match a common text?

Expressions are read by Python's own parser, so that they mean here what they mean to `re`; what is not regular in the
sense of automata theory (backreferences, looking around) is refused. The walk through two automata at once visits each
pair of states once at most.
"""

from __future__ import annotations

import re
import re._constants as op  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

Ranges = tuple[tuple[int, int], ...]
"""A set of characters: ascending ranges of code points, both ends included."""

_LAST: Final = 0x10FFFF
_MOST_REPEATS: Final = 1000
_PREFERRED: Final = "x1234567890abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.=+:,@"
_PRINTABLE: Final[Ranges] = ((0x21, 0x7E), (0xA1, _LAST))
_FIRST: Final[Ranges] = ((0x21, 0x2C), (0x2E, 0x7E), (0xA1, _LAST))
_DIGIT: Final[Ranges] = ((0x30, 0x39),)
_SPACE: Final[Ranges] = ((0x09, 0x0D), (0x20, 0x20))
_WORD: Final[Ranges] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))


_YEAR: Final = r"(?:[1-9]\d{3}|0[1-9]\d{2}|00[1-9]\d|000[1-9])"
_LEAP_YEAR: Final = r"(?:\d{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_LONG_MONTH: Final = r"(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])"
_SHORT_MONTH: Final = r"(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
_FEBRUARY: Final = r"02-(?:0[1-9]|1\d|2[0-8])"
_DATE: Final = f"(?:{_YEAR}-(?:{_LONG_MONTH}|{_SHORT_MONTH}|{_FEBRUARY})|{_LEAP_YEAR}-02-29)"

EXPRESSION_OF_TYPE: Final = {
    "date": _DATE,
    "month": rf"{_YEAR}-(?:0[1-9]|1[0-2])",
    "hour": rf"{_DATE}T(?:[01]\d|2[0-3])",
}
"""Exactly the days of the Gregorian calendar, which patterns look up rather than match: `re` takes a millisecond to
compile each of these."""


class NotRegularError(ValueError):
    """An expression uses what no automaton can follow; the message names it."""


class Automaton(NamedTuple):
    """A nondeterministic automaton; its first state is 0.

    Attributes:
        free: By state, the states that are reached without a character.
        moves: By state, the sets of characters and the states that they lead to.
        accepting: The one state in which a text is matched.
    """

    free: list[list[int]]
    moves: list[list[tuple[Ranges, int]]]
    accepting: int


def automaton(expression: str) -> Automaton:
    """Returns the automaton of an expression as `re.fullmatch` with `re.ASCII` understands it.

    Raises:
        NotRegularError: The expression is not regular, or names groups.
        re.error: It cannot be read.
    """
    parsed = parser.parse(expression, re.ASCII)
    return _Builder().build(parsed)


def check_regular(expression: str) -> None:
    """Checks that an expression can be part of a partition pattern.

    Raises:
        NotRegularError: It is not regular, or names groups, which would be taken for fields.
        re.error: It cannot be read.
    """
    parsed = parser.parse(expression, re.ASCII)
    if parsed.state.groupdict:
        message = f"the group {next(iter(parsed.state.groupdict))!r} has a name; write it as (?:...)"
        raise NotRegularError(message)
    if parsed.state.flags & ~(re.ASCII | re.UNICODE):
        message = "it sets flags"
        raise NotRegularError(message)
    _Builder().build(parsed)


def common_text(first: Automaton, second: Automaton) -> str | None:
    """Returns a short text that both automata match and that can be a ref; None where there is none.

    A ref is printable, has no space, is not empty and does not begin with a dash.
    """
    start = _Place(0, 0, begun=False)
    came: _Came = {start: None}
    waiting = deque([start])
    while waiting:
        place = waiting.popleft()
        left, right, begun = place
        if begun and left == first.accepting and right == second.accepting:
            return _spelled(place, came)
        free = [_Place(state, right, begun) for state in first.free[left]]
        free += [_Place(left, state, begun) for state in second.free[right]]
        for following in free:
            if following not in came:
                came[following] = (place, "")
                waiting.appendleft(following)  # no character further away
        for one, left_state in first.moves[left]:
            for other, right_state in second.moves[right]:
                following = _Place(left_state, right_state, begun=True)
                if following not in came and (character := _common_character(one, other, begun)) is not None:
                    came[following] = (place, character)
                    waiting.append(following)
    return None


class _Place(NamedTuple):
    left: int
    right: int
    begun: bool


_Came = dict[_Place, tuple[_Place, str] | None]


def _spelled(place: _Place, came: _Came) -> str:
    characters = []
    step = came[place]
    while step is not None:
        place, character = step
        characters.append(character)
        step = came[place]
    return "".join(reversed(characters))


def _common_character(one: Ranges, other: Ranges, begun: bool) -> str | None:
    common = _both(_both(one, other), _PRINTABLE if begun else _FIRST)
    if not common:
        return None
    for character in _PREFERRED:
        if any(low <= ord(character) <= high for low, high in common):
            return character
    return next((chr(code) for low, high in common for code in range(low, high + 1) if chr(code).isprintable()), None)


def _both(one: Ranges, other: Ranges) -> Ranges:
    return tuple(
        (max(low, other_low), min(high, other_high))
        for low, high in one
        for other_low, other_high in other
        if max(low, other_low) <= min(high, other_high)
    )


def _complement(ranges: Ranges) -> Ranges:
    result = []
    following = 0
    for low, high in sorted(ranges):
        if low > following:
            result.append((following, low - 1))
        following = max(following, high + 1)
    if following <= _LAST:
        result.append((following, _LAST))
    return tuple(result)


_CATEGORIES: Final[dict[Any, Ranges]] = {
    op.CATEGORY_DIGIT: _DIGIT,
    op.CATEGORY_NOT_DIGIT: _complement(_DIGIT),
    op.CATEGORY_SPACE: _SPACE,
    op.CATEGORY_NOT_SPACE: _complement(_SPACE),
    op.CATEGORY_WORD: _WORD,
    op.CATEGORY_NOT_WORD: _complement(_WORD),
}
_REPEATS: Final = (op.MAX_REPEAT, op.MIN_REPEAT)
_NAMES: Final = {
    op.AT: "an anchor or word boundary",
    op.ASSERT: "a look-ahead or look-behind",
    op.ASSERT_NOT: "a negative look-ahead or look-behind",
    op.GROUPREF: "a backreference",
    op.GROUPREF_EXISTS: "a condition on a group",
    op.POSSESSIVE_REPEAT: "a possessive repeat",
    op.ATOMIC_GROUP: "an atomic group",
}


class _Builder:
    """Builds an automaton from what the parser found (K. Thompson, Regular expression search algorithm, 1968)."""

    def __init__(self) -> None:
        self._free: list[list[int]] = []
        self._moves: list[list[tuple[Ranges, int]]] = []

    def build(self, parsed: Any) -> Automaton:
        accepting = self._sequence(parsed, self._state())
        return Automaton(self._free, self._moves, accepting)

    def _state(self) -> int:
        self._free.append([])
        self._moves.append([])
        return len(self._free) - 1

    def _sequence(self, parsed: Any, start: int) -> int:
        for kind, argument in parsed:
            start = self._one(kind, argument, start)
        return start

    def _one(self, kind: Any, argument: Any, start: int) -> int:
        if kind is op.SUBPATTERN:
            _, added, removed, inside = argument
            if added or removed:
                message = "it sets flags"
                raise NotRegularError(message)
            return self._sequence(inside, start)
        if kind is op.BRANCH:
            return self._branch(argument[1], start)
        if kind in _REPEATS:
            least, most, inside = argument
            return self._repeat(least, most, inside, start)
        end = self._state()
        self._moves[start].append((self._characters(kind, argument), end))
        return end

    def _branch(self, branches: Sequence[Any], start: int) -> int:
        end = self._state()
        for branch in branches:
            self._free[self._sequence(branch, start)].append(end)
        return end

    def _repeat(self, least: int, most: Any, inside: Any, start: int) -> int:
        endless = most is op.MAXREPEAT
        if max(least, 0 if endless else most) > _MOST_REPEATS:
            message = f"it repeats something more than {_MOST_REPEATS} times"
            raise NotRegularError(message)
        for _ in range(least):
            start = self._sequence(inside, start)
        if endless:
            # A state of its own, so that what leads back into the loop does not lead into what came before.
            loop = self._state()
            self._free[start].append(loop)
            self._free[self._sequence(inside, loop)].append(loop)
            end = self._state()
            self._free[loop].append(end)
            return end
        end = self._state()
        for _ in range(most - least):
            self._free[start].append(end)
            start = self._sequence(inside, start)
        self._free[start].append(end)
        return end

    def _characters(self, kind: Any, argument: Any) -> Ranges:
        if kind is op.LITERAL:
            return ((argument, argument),)
        if kind is op.NOT_LITERAL:
            return _complement(((argument, argument),))
        if kind is op.ANY:
            return _complement(((0x0A, 0x0A),))
        if kind is op.CATEGORY:
            return _CATEGORIES[argument]
        if kind is op.RANGE:
            return (argument,)
        if kind is op.IN:
            parts = [part for part in argument if part[0] is not op.NEGATE]
            ranges = tuple(one for part in parts for one in self._characters(*part))
            return ranges if len(parts) == len(argument) else _complement(ranges)
        message = f"it uses {_NAMES.get(kind, str(kind).lower())}, which cannot be compared with other patterns"
        raise NotRegularError(message)
