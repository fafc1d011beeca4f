"""Overlap of two partition patterns, decided exactly: a search for the shortest ref that both automata accept.

The refs of a pattern are a regular language, so the refs that two patterns share are the language of their product
automaton. The search visits pairs of states in the order of the length of the ref so far (breadth first).
"""

from __future__ import annotations

from databuild.graph.automaton import automaton
from databuild.graph.patterns import PartitionPattern
from databuild.graph.refs import MAX_REF_BYTES

_Path = tuple[str, "_Path"] | None
"""The characters of the ref so far as a linked list, the last one first."""


def shortest_common_ref(first: PartitionPattern, second: PartitionPattern) -> str | None:
    """Returns the shortest ref that both patterns match, preferring readable characters; None if there is none."""
    left, right = automaton(first.regexes), automaton(second.regexes)
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
