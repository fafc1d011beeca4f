"""Overlap of two partition patterns, decided exactly: a search for the shortest ref that both automata accept.

The refs of a pattern are a regular language, so the refs that two patterns share are the language of their product
automaton. The search visits pairs of states in the order of the length of the ref so far (breadth first).
"""

from __future__ import annotations

import functools
import itertools
import string

from databuild.graph.patterns import PartitionPattern
from databuild.graph.refs import MAX_REF_BYTES
from databuild.graph.regex_tree import Characters, Choice, Node, Repeat, Sequence, parse_regex

_ASCII = string.ascii_lowercase + "1234567890" + string.ascii_uppercase + "_-.=" + string.punctuation
_READABLE = "".join(dict.fromkeys(_ASCII))
"""The ASCII characters that a ref may have (see `check_ref`), the most readable first."""

_BIT = {character: 1 << number for number, character in enumerate(_READABLE)}
_ALL = sum(_BIT.values())
_END_OF_ASCII = 0x80
_END_OF_UNICODE = 0x110000

_Path = tuple[str, "_Path"] | None
"""The characters of the ref so far as a linked list, the last one first."""


def shortest_common_ref(first: PartitionPattern, second: PartitionPattern) -> str | None:
    """Returns the shortest ref that both patterns match, preferring readable characters; None if there is none."""
    left, right = _automaton(first.regexes), _automaton(second.regexes)
    visited: set[tuple[int, int]] = set()
    pending_by_size: dict[int, list[tuple[int, int, _Path]]] = {0: [(left.start, right.start, None)]}
    for size in range(MAX_REF_BYTES + 1):
        stack = pending_by_size.pop(size, [])[::-1]
        if size == 1:
            # A ref is not empty, and does not begin with a dash. So a pair of states that was reached with the empty
            # text must be visited again after the first character.
            visited.clear()
        while stack:
            left_state, right_state, path = stack.pop()
            if (left_state, right_state) in visited:
                continue
            visited.add((left_state, right_state))
            if left.epsilon[left_state]:
                stack.extend((state, right_state, path) for state in reversed(left.epsilon[left_state]))
            elif right.epsilon[right_state]:
                stack.extend((left_state, state, path) for state in reversed(right.epsilon[right_state]))
            elif left_state == left.end and right_state == right.end:
                if path is not None:
                    return _text(path)
            elif (
                (left_step := left.step[left_state]) is not None
                and (right_step := right.step[right_state]) is not None
                and (character := left_step[0].shared(right_step[0], first=path is None))
            ):
                next_size = size + len(character.encode())
                pending_by_size.setdefault(next_size, []).append((left_step[1], right_step[1], (character, path)))
    return None


def _text(path: _Path) -> str:
    characters = []
    while path is not None:
        character, path = path
        characters.append(character)
    return "".join(reversed(characters))


class _Set:
    """The characters of a set that a ref may have.

    ASCII characters are the bits of an integer, so that most intersections are one `&`.
    """

    def __init__(self, characters: Characters) -> None:
        self.characters = characters
        self.ascii = functools.reduce(int.__or__, map(_ascii_of_class, characters.classes), 0)
        for first, last in characters.ranges:
            for code in range(first, min(last + 1, _END_OF_ASCII)):
                self.ascii |= _BIT.get(chr(code), 0)
        if characters.negated:
            self.ascii ^= _ALL
        range_ends = [last for _, last in characters.ranges]
        only_ascii = max(range_ends, default=0) < _END_OF_ASCII and not any(
            name.startswith("NOT_") for name in characters.classes
        )
        self.beyond_ascii = characters.negated or not only_ascii

    def shared(self, other: _Set, *, first: bool) -> str:
        """Returns the most readable character of both sets; empty if there is none. A dash is never the first."""
        bits = self.ascii & other.ascii
        if first:
            bits &= ~_BIT["-"]
        if bits:
            return _READABLE[(bits & -bits).bit_length() - 1]
        if self.beyond_ascii and other.beyond_ascii:
            return _beyond_ascii(self.characters, other.characters)
        return ""


@functools.cache
def _ascii_of_class(name: str) -> int:
    members = Characters(classes=(name,))
    return sum(bit for character, bit in _BIT.items() if members.has(character))


@functools.cache
def _set(characters: Characters) -> _Set:
    return _Set(characters)


@functools.cache
def _beyond_ascii(first: Characters, second: Characters) -> str:
    """Returns the first non-ASCII character of both sets that a ref may have; empty if there is none."""
    # All characters between two adjacent range boundaries are in the same sets, so one of them decides.
    boundaries = {boundary for code, last in first.ranges + second.ranges for boundary in (code, last + 1)}
    boundaries = {boundary for boundary in boundaries if _END_OF_ASCII < boundary < _END_OF_UNICODE}
    for start, end in itertools.pairwise((_END_OF_ASCII, *sorted(boundaries), _END_OF_UNICODE)):
        if first.has(chr(start)) and second.has(chr(start)):
            for character in map(chr, range(start, end)):
                if character.isprintable():
                    return character
    return ""


class _Automaton:
    """Non-deterministic automaton of a regular expression (Thompson's construction). States are numbers.

    Attributes:
        start: The initial state.
        end: The accepting state.
        epsilon: The targets of each state's transitions without a character, preferred first; empty for a state with a
            step, and for the end.
        step: The characters that lead from each state to another, and that state; None for a state without a step.
    """

    def __init__(self, root: Node) -> None:
        # Built from the end to the start, so that the target of each transition exists already.
        self.epsilon: list[tuple[int, ...]] = []
        self.step: list[tuple[_Set, int] | None] = []
        self.end = self._state()
        self.start = self._build(root, self.end)

    def _state(self, *, step: tuple[_Set, int] | None = None, epsilon: tuple[int, ...] = ()) -> int:
        self.step.append(step)
        self.epsilon.append(epsilon)
        return len(self.step) - 1

    def _build(self, node: Node, after: int) -> int:
        """Adds the states of a node, and returns the first of them; `after` is the state that follows the node."""
        match node:
            case Characters():
                return self._state(step=(_set(node), after))
            case Sequence(parts):
                for part in reversed(parts):
                    after = self._build(part, after)
                return after
            case Choice(options):
                return self._state(epsilon=tuple(self._build(option, after) for option in options))
            case Repeat(body, minimum, maximum):
                entry = after
                if maximum is None:
                    entry = self._state()
                    self.epsilon[entry] = (self._build(body, entry), after)
                else:
                    for _ in range(maximum - minimum):
                        entry = self._state(epsilon=(self._build(body, entry), after))
                for _ in range(minimum):
                    entry = self._build(body, entry)
                return entry


@functools.cache
def _automaton(regexes: tuple[str, ...]) -> _Automaton:
    return _Automaton(Sequence(tuple(map(_tree, regexes))))


@functools.cache
def _tree(regex: str) -> Node:
    return parse_regex(regex)
