"""Automata of the values of a field that lie between two bounds."""

from __future__ import annotations

import functools
import re
from typing import Final

from databuild.graph.automaton import Automaton, automaton
from databuild.graph.declared.expressions import number_of
from databuild.graph.field_types import FIELD_TYPES
from databuild.graph.patterns import PartitionPattern
from databuild.graph.periods import UNITS
from databuild.graph.refs import MAX_REF_BYTES

INT_LIMIT: Final = 10**MAX_REF_BYTES
"""No ref is so long that its integers reach this number."""


def limits(kind: str) -> tuple[int, int]:
    """Returns the first and the last value of a type that can be counted, as numbers."""
    return (-INT_LIMIT, INT_LIMIT) if kind == "int" else (UNITS[kind].minimum, UNITS[kind].maximum)


def is_unlimited(number: int) -> bool:
    """Returns True for a limit of integers, perhaps with an offset, instead of a bound that a person has set."""
    return bool(abs(number) > INT_LIMIT // 2)


def is_counted(kind: str) -> bool:
    """Returns True if the values of a type are counted as numbers."""
    return kind == "int" or kind in UNITS


def text_of(kind: str, number: int) -> str:
    return str(number) if kind == "int" else UNITS[kind].format(number)


def parsed(kind: str, text: str) -> int | None:
    """Returns the number of a value; None if the text is no value of the type."""
    try:
        return number_of(kind, text)
    except ValueError:
        return None


@functools.cache
def values_between(kind: str, first: int, last: int) -> Automaton:
    """Returns an automaton of the values from `first` to `last`.

    Args:
        kind: A type that can be counted.
        first: The number of the first value, or one that is not above `limits`.
        last: The number of the last value, or one that is not below `limits`.
    """
    exact = FIELD_TYPES[kind].exact_regex
    lowest, highest = limits(kind)
    if kind == "int":
        first, last = lowest if is_unlimited(first) else first, highest if is_unlimited(last) else last
        if first <= lowest and last >= highest:
            return automaton((exact,))
        return automaton((_integers(first, last),))
    first, last = max(first, lowest), min(last, highest)
    if (first, last) == (lowest, highest):
        return automaton((exact,))
    # The forms of all calendar types have a fixed length, and their alphabetical order is that of time.
    between = _between(UNITS[kind].format(first), UNITS[kind].format(last))
    return Automaton.intersection(automaton((exact,)), automaton((between,)))


def pattern_automaton(pattern: PartitionPattern) -> Automaton:
    """Returns an automaton of the refs of a pattern, bounds included."""
    if not pattern.bounds:
        return automaton(pattern.regexes)
    parts = []
    for (name, _), regex in zip(pattern.parts, pattern.regexes, strict=True):
        bounds = pattern.bounds.get(name) if name in pattern.fields else None
        if bounds is None:
            parts.append(automaton((regex,)))
        else:
            kind = pattern.fields[name]
            lowest, highest = limits(kind)
            first = lowest if bounds.first is None else bounds.first
            parts.append(values_between(kind, first, highest if bounds.last is None else bounds.last))
    return Automaton(*parts)


def _integers(first: int, last: int) -> str:
    options = []
    if last >= 0:
        options.append(_naturals(max(first, 0), last))
    if first < 0:
        options.append(f"-{_naturals(max(-last, 1), -first)}")
    return f"(?:{'|'.join(options)})"


def _naturals(first: int, last: int) -> str:
    """Returns a regular expression of the decimal numbers from `first` to `last`; no maximum from INT_LIMIT on."""
    options = []
    while len(str(first)) < len(str(last)):
        length = len(str(first))
        if last >= INT_LIMIT:
            options += [_between(str(first), "9" * length), rf"[1-9]\d{{{length},}}"]
            return f"(?:{'|'.join(options)})"
        options.append(_between(str(first), "9" * length))
        first = 10**length
    options.append(_between(str(first), str(last)))
    return f"(?:{'|'.join(options)})"


def _between(first: str, last: str) -> str:
    """Returns a regular expression of the texts from `first` to `last`, which differ in digits only."""
    same = next((index for index in range(len(first)) if first[index] != last[index]), len(first))
    if same == len(first):
        return re.escape(first)
    low, high, rest = first[same], last[same], first[same + 1 :]
    options = [low + _bounded(rest, least=True), high + _bounded(last[same + 1 :], least=False)]
    if int(high) - int(low) > 1:
        options.append(f"[{int(low) + 1}-{int(high) - 1}]{_shape(rest)}")
    return f"{re.escape(first[:same])}(?:{'|'.join(options)})"


def _bounded(text: str, *, least: bool) -> str:
    """Returns a regular expression of the texts of the same shape from a text on, or up to it."""
    for index, character in enumerate(text):
        if character.isdigit():
            rest = text[index + 1 :]
            options = [character + _bounded(rest, least=least)]
            first, last = (int(character) + 1, 9) if least else (0, int(character) - 1)
            if first <= last:
                options.append(f"[{first}-{last}]{_shape(rest)}")
            return f"{re.escape(text[:index])}(?:{'|'.join(options)})"
    return re.escape(text)


def _shape(text: str) -> str:
    return "".join(r"\d" if character.isdigit() else re.escape(character) for character in text)
