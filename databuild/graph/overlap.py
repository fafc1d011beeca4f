"""Whether two partition patterns have a ref in common, decided exactly: both at once are walked as automata.

The refs of a pattern are a regular language, and so are those of two patterns at once: the shortest of them is found,
or there is none. This does not know why anyone asks.
"""

from __future__ import annotations

import functools
import itertools
import string

from databuild.graph.patterns import PartitionPattern
from databuild.graph.refs import MAX_REF_BYTES
from databuild.graph.regular import Characters, Choice, Node, Repeat, Sequence, read

_ASCII = string.ascii_lowercase + "1234567890" + string.ascii_uppercase + "_-.=" + string.punctuation
_READABLE = "".join(dict.fromkeys(_ASCII))
"""The ASCII characters that a ref may have (check_ref), the more readable first."""

_BIT = {character: 1 << number for number, character in enumerate(_READABLE)}
_ALL = sum(_BIT.values())
_END_OF_ASCII = 0x80
_END_OF_UNICODE = 0x110000

_Path = tuple[str, "_Path"] | None
"""The characters walked so far, the last one first."""


def overlap(first: PartitionPattern, second: PartitionPattern) -> str | None:
    """Returns the shortest ref that both patterns match, one of the most readable; None where there is none."""
    left, right = _automaton(first.regexes), _automaton(second.regexes)
    seen: set[tuple[int, int]] = set()
    by_size: dict[int, list[tuple[int, int, _Path]]] = {0: [(left.start, right.start, None)]}
    for size in range(MAX_REF_BYTES + 1):
        ahead = by_size.pop(size, [])[::-1]  # the next one last
        if size == 1:
            seen.clear()  # a ref is not empty: where it was over, or went on, it may be again
        while ahead:
            at_left, at_right, path = ahead.pop()
            if (at_left, at_right) in seen:
                continue
            seen.add((at_left, at_right))
            if left.free[at_left]:
                ahead.extend((state, at_right, path) for state in reversed(left.free[at_left]))
            elif right.free[at_right]:
                ahead.extend((at_left, state, path) for state in reversed(right.free[at_right]))
            elif at_left == left.end and at_right == right.end:
                if path is not None:
                    return _text(path)
            elif (
                (one := left.step[at_left]) is not None
                and (other := right.step[at_right]) is not None
                and (character := one[0].shared(other[0], first=path is None))
            ):
                longer = size + len(character.encode())
                by_size.setdefault(longer, []).append((one[1], other[1], (character, path)))
    return None


def _text(path: _Path) -> str:
    characters = []
    while path is not None:
        character, path = path
        characters.append(character)
    return "".join(reversed(characters))


class _Set:
    """The characters of a set that a ref may have.

    Those of ASCII are the bits of a number, which is all that most patterns need.
    """

    def __init__(self, characters: Characters) -> None:
        """Takes the set."""
        self.characters = characters
        self.ascii = functools.reduce(int.__or__, map(_ascii_of_class, characters.classes), 0)
        for first, last in characters.ranges:
            for code in range(first, min(last + 1, _END_OF_ASCII)):
                self.ascii |= _BIT.get(chr(code), 0)
        if characters.negated:
            self.ascii ^= _ALL
        ends = [last for _, last in characters.ranges]
        none = max(ends, default=0) < _END_OF_ASCII and not any(name.startswith("NOT_") for name in characters.classes)
        self.more = characters.negated or not none

    def shared(self, other: _Set, *, first: bool) -> str:
        """Returns the best character that both sets have, empty without one; a ref does not have a dash first."""
        bits = self.ascii & other.ascii
        if first:
            bits &= ~_BIT["-"]
        if bits:
            return _READABLE[(bits & -bits).bit_length() - 1]
        return _beyond_ascii(self.characters, other.characters) if self.more and other.more else ""


@functools.cache
def _ascii_of_class(name: str) -> int:
    inside = Characters(classes=(name,))
    return sum(bit for character, bit in _BIT.items() if inside.has(character))


@functools.cache
def _set(characters: Characters) -> _Set:
    return _Set(characters)


@functools.cache
def _beyond_ascii(first: Characters, second: Characters) -> str:
    """Returns the first character after ASCII that both sets have and a ref may have; empty without one.

    Between two neighbouring ends of ranges, all are in the same sets: one of each is enough.
    """
    ends = {end for code, last in first.ranges + second.ranges for end in (code, last + 1)}
    ends = {end for end in ends if _END_OF_ASCII < end < _END_OF_UNICODE}
    for start, end in itertools.pairwise((_END_OF_ASCII, *sorted(ends), _END_OF_UNICODE)):
        if first.has(chr(start)) and second.has(chr(start)):
            for character in map(chr, range(start, end)):
                if character.isprintable():
                    return character
    return ""


class _Automaton:
    """The automaton of a regular expression.

    Attributes:
        start: The state it begins in; states are numbers.
        end: The state it accepts in.
        free: Where each state leads without a character, in order; empty for one that has a step, and for the end.
        step: The set of characters of each state and the state that they lead to; None for one that has none.
    """

    def __init__(self, root: Node) -> None:
        """Builds it from the tree, back to front: each part is told where to go on after it."""
        self.free: list[tuple[int, ...]] = []
        self.step: list[tuple[_Set, int] | None] = []
        self.end = self._state()
        self.start = self._build(root, self.end)

    def _state(self, *, step: tuple[_Set, int] | None = None, free: tuple[int, ...] = ()) -> int:
        self.step.append(step)
        self.free.append(free)
        return len(self.step) - 1

    def _build(self, node: Node, after: int) -> int:
        """Returns the state from which a part is walked up to the state after it."""
        match node:
            case Characters():
                return self._state(step=(_set(node), after))
            case Sequence(parts):
                for part in reversed(parts):
                    after = self._build(part, after)
                return after
            case Choice(options):
                return self._state(free=tuple(self._build(option, after) for option in options))
            case Repeat(body, least, most):
                entry = after
                if most is None:
                    entry = self._state()
                    self.free[entry] = (self._build(body, entry), after)
                else:
                    for _ in range(most - least):
                        entry = self._state(free=(self._build(body, entry), after))
                for _ in range(least):
                    entry = self._build(body, entry)
                return entry


@functools.cache
def _automaton(regexes: tuple[str, ...]) -> _Automaton:
    """Returns the automaton of the parts of a pattern; one catalog asks for the same many times."""
    return _Automaton(Sequence(tuple(map(_tree, regexes))))


@functools.cache
def _tree(regex: str) -> Node:
    return read(regex)
