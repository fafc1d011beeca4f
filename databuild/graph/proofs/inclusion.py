"""Inclusion of languages: a search for the shortest refs of one automaton that others do not accept.

The others are made deterministic on the way: the search visits pairs of a state of the first automaton and the set of
states that the others can be in. A pair is left out if the same state was visited with a subset of its set: whatever
the larger set does not accept, the subset does not accept either (the antichain method of De Wulf and others, 2006).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from databuild.graph.automaton import DASH, Automaton, CharacterSet, most_readable, samples_beyond_ascii
from databuild.graph.refs import MAX_REF_BYTES

_MAX_VISITS: Final = 20_000

_MAX_ANTICHAIN: Final = 100
"""The number of sets of one state that a new set is compared with."""

_Path = tuple[str, "_Path"] | None


class TooManyStatesError(Exception):
    """The search would take too long."""


def refs_outside(first: Automaton, others: Sequence[Automaton]) -> Iterator[str]:
    """Yields refs that the first automaton accepts and no other one does, short and readable ones first.

    Yields at least one if there is one, but not all. Leaves out texts that can be no ref (see `refs.check_ref`).

    Raises:
        TooManyStatesError: The search was given up.
    """
    union = _Union(others)
    visited: set[tuple[int, int]] = set()
    antichains: dict[int, list[int]] = {}
    pending_by_size: dict[int, list[tuple[int, int, _Path]]] = {0: [(first.start, union.start, None)]}
    for size in range(MAX_REF_BYTES + 1):
        stack = pending_by_size.pop(size, [])[::-1]
        if size == 1:
            # A ref is not empty and has no dash at its start, so all states are visited again after the first one.
            visited.clear()
            antichains.clear()
        while stack:
            state, others_states, path = stack.pop()
            antichain = antichains.setdefault(state, [])
            if (state, others_states) in visited or any(subset & others_states == subset for subset in antichain):
                continue
            visited.add((state, others_states))
            if len(antichain) < _MAX_ANTICHAIN:
                antichain.append(others_states)
            if len(visited) > _MAX_VISITS:
                raise TooManyStatesError
            if first.epsilon[state]:
                stack.extend((target, others_states, path) for target in reversed(first.epsilon[state]))
            elif state == first.end:
                if path is not None and not others_states & union.ends:
                    yield _text(path)
            elif (step := first.step[state]) is not None:
                for character, targets in union.steps(step[0], others_states, at_start=path is None):
                    next_size = size + len(character.encode())
                    pending_by_size.setdefault(next_size, []).append((step[1], targets, (character, path)))


def _text(path: _Path) -> str:
    characters = []
    while path is not None:
        character, path = path
        characters.append(character)
    return "".join(reversed(characters))


class _Union:
    """The states of several automata as the bits of one integer.

    Attributes:
        start: The states before the first character.
        ends: The accepting states.
    """

    def __init__(self, automata: Sequence[Automaton]) -> None:
        self._steps: list[tuple[CharacterSet, int] | None] = []
        self._closures: list[int] = []
        self.start = self.ends = 0
        for other in automata:
            offset = len(self._steps)
            self._steps += [step and (step[0], offset + step[1]) for step in other.step]
            self._closures += [self._closure(other, state) << offset for state in range(len(other.step))]
            self.start |= self._closures[offset + other.start]
            self.ends |= 1 << (offset + other.end)
        self._cache: dict[tuple[CharacterSet, int, bool], Sequence[tuple[str, int]]] = {}

    @staticmethod
    def _closure(other: Automaton, state: int) -> int:
        """Returns the states with a step, and the end, that can be reached without a character."""
        states, visited, stack = 0, {state}, [state]
        while stack:
            state = stack.pop()
            if not other.epsilon[state]:
                states |= 1 << state
            for target in other.epsilon[state]:
                if target not in visited:
                    visited.add(target)
                    stack.append(target)
        return states

    def steps(self, characters: CharacterSet, states: int, *, at_start: bool) -> Sequence[tuple[str, int]]:
        """Returns a character for each set of states that characters of a set lead to, smaller sets first."""
        key = characters, states, at_start
        if (steps := self._cache.get(key)) is None:
            steps = self._cache[key] = self._find_steps(characters, states, at_start=at_start)
        return steps

    def _find_steps(self, characters: CharacterSet, states: int, *, at_start: bool) -> Sequence[tuple[str, int]]:
        targets: dict[CharacterSet, int] = {}
        while states:
            lowest = states & -states
            states ^= lowest
            if (step := self._steps[lowest.bit_length() - 1]) is not None:
                targets[step[0]] = targets.get(step[0], 0) | self._closures[step[1]]
        # Divides the characters by the sets of states to which they lead: each set of `targets` splits every group.
        groups = [(characters.ascii & ~(DASH if at_start else 0), 0)]
        for other, reached in targets.items():
            split = ((bits & other.ascii, found | reached) for bits, found in groups)
            groups = [*split, *((bits & ~other.ascii, found) for bits, found in groups)]
            groups = [(bits, found) for bits, found in groups if bits]
        steps = {found: most_readable(bits) for bits, found in groups}
        if characters.beyond_ascii:
            ranges = {*characters.characters.ranges, *(pair for other in targets for pair in other.characters.ranges)}
            for character in samples_beyond_ascii(frozenset(ranges)):
                if characters.characters.has(character):
                    found = 0
                    for other, reached in targets.items():
                        found |= reached if other.characters.has(character) else 0
                    steps.setdefault(found, character)
        return sorted(((character, found) for found, character in steps.items()), key=lambda step: step[1].bit_count())
