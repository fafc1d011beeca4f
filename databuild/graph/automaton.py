"""Finite automata of the regular expressions of partition patterns, and the characters that refs may have."""

from __future__ import annotations

import functools
import itertools
import string

from databuild.graph.regex_tree import Characters, Choice, Node, Repeat, Sequence, parse_regex

_ASCII = string.ascii_lowercase + "1234567890" + string.ascii_uppercase + "_-.=" + string.punctuation
READABLE = "".join(dict.fromkeys(_ASCII))
"""The ASCII characters that a ref may have (see `check_ref`), the most readable first."""

_BIT = {character: 1 << number for number, character in enumerate(READABLE)}
DASH = _BIT["-"]
"""The character that no ref begins with, as a set of bits."""

_ALL = sum(_BIT.values())
_END_OF_ASCII = 0x80
_END_OF_UNICODE = 0x110000


class CharacterSet:
    """The characters of a set that a ref may have.

    ASCII characters are the bits of an integer, so that most intersections are one `&`.

    Attributes:
        characters: The set.
        ascii: Its ASCII characters; bit 0 is the most readable one.
        beyond_ascii: True if it may have other characters.
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

    def shared(self, other: CharacterSet, *, first: bool) -> str:
        """Returns the most readable character of both sets; empty if there is none. A dash is never the first."""
        bits = self.ascii & other.ascii
        if first:
            bits &= ~DASH
        if bits:
            return most_readable(bits)
        if self.beyond_ascii and other.beyond_ascii:
            return _beyond_ascii(self.characters, other.characters)
        return ""


def most_readable(bits: int) -> str:
    """Returns the most readable of the ASCII characters in a set of bits, as in `CharacterSet.ascii`."""
    return READABLE[(bits & -bits).bit_length() - 1]


@functools.cache
def _ascii_of_class(name: str) -> int:
    members = Characters(classes=(name,))
    return sum(bit for character, bit in _BIT.items() if members.has(character))


@functools.cache
def _set(characters: Characters) -> CharacterSet:
    return CharacterSet(characters)


@functools.cache
def _beyond_ascii(first: Characters, second: Characters) -> str:
    """Returns the first non-ASCII character of both sets that a ref may have; empty if there is none."""
    for character in samples_beyond_ascii(frozenset((*first.ranges, *second.ranges))):
        if first.has(character) and second.has(character):
            return character
    return ""


@functools.cache
def samples_beyond_ascii(ranges: frozenset[tuple[int, int]]) -> tuple[str, ...]:
    """Returns non-ASCII characters that a ref may have, of which each set of the given ranges has one if it has any."""
    # All characters between two adjacent range boundaries are in the same sets, so one of them decides.
    boundaries = {boundary for code, last in ranges for boundary in (code, last + 1)}
    boundaries = {boundary for boundary in boundaries if _END_OF_ASCII < boundary < _END_OF_UNICODE}
    samples = (
        next(filter(str.isprintable, map(chr, range(start, end))), "")
        for start, end in itertools.pairwise((_END_OF_ASCII, *sorted(boundaries), _END_OF_UNICODE))
    )
    return tuple(filter(None, samples))


class Automaton:
    """Non-deterministic automaton of a regular expression (Thompson's construction). States are numbers.

    Attributes:
        start: The initial state.
        end: The accepting state.
        epsilon: The targets of each state's transitions without a character, preferred first; empty for a state with a
            step, and for the end.
        step: The characters that lead from each state to another, and that state; None for a state without a step.
    """

    def __init__(self, *parts: Node | Automaton) -> None:
        """Accepts the concatenations of what the parts accept."""
        # Built from the end to the start, so that the target of each transition exists already.
        self.epsilon: list[tuple[int, ...]] = []
        self.step: list[tuple[CharacterSet, int] | None] = []
        self.end = self.start = self._state()
        for part in reversed(parts):
            after = self.start
            self.start = self._copy(part, after) if isinstance(part, Automaton) else self._build(part, after)

    def _state(self, *, step: tuple[CharacterSet, int] | None = None, epsilon: tuple[int, ...] = ()) -> int:
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

    def _copy(self, other: Automaton, after: int) -> int:
        """Adds the states of another automaton, and returns its initial state; `after` takes the place of its end."""
        offset = len(self.step)

        def moved(state: int) -> int:
            return after if state == other.end else offset + state

        for epsilon, step in zip(other.epsilon, other.step, strict=True):
            self.epsilon.append(tuple(map(moved, epsilon)))
            self.step.append(step and (step[0], moved(step[1])))
        return moved(other.start)

    @classmethod
    def intersection(cls, first: Automaton, second: Automaton) -> Automaton:
        """Returns an automaton of the ASCII texts that both accept."""
        both = cls()
        pairs = [(first.end, second.end)]
        numbers = {pairs[0]: both.end}

        def number(pair: tuple[int, int]) -> int:
            if pair not in numbers:
                numbers[pair] = both._state()
                pairs.append(pair)
            return numbers[pair]

        both.start = number((first.start, second.start))
        for one, other in pairs:  # grows on the way
            state = numbers[one, other]
            one_step, other_step = first.step[one], second.step[other]
            if first.epsilon[one]:
                both.epsilon[state] = tuple([number((target, other)) for target in first.epsilon[one]])
            elif second.epsilon[other]:
                both.epsilon[state] = tuple([number((one, target)) for target in second.epsilon[other]])
            elif one_step is not None and other_step is not None and (bits := one_step[0].ascii & other_step[0].ascii):
                both.step[state] = (_ascii_set(bits), number((one_step[1], other_step[1])))
        return both


@functools.cache
def automaton(regexes: tuple[str, ...]) -> Automaton:
    return Automaton(*map(_tree, regexes))


@functools.cache
def _tree(regex: str) -> Node:
    return parse_regex(regex)


@functools.cache
def _ascii_set(bits: int) -> CharacterSet:
    codes = [ord(character) for character in READABLE if _BIT[character] & bits]
    return _set(Characters(tuple((code, code) for code in codes)))
