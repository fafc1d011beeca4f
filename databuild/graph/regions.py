"""Regions: outputs of a job by the values of their fields, where a field has one value, a run of numbers, or any value.

Regions that differ in the numbers of one field have a key in common, so that they are merged like intervals.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import TypeAlias

from databuild.graph.patterns import PartitionPattern
from databuild.graph.proofs.value_sets import is_counted, is_unlimited, limits, parsed, text_of
from databuild.tuples import NamedTuple


class Run(NamedTuple):
    """The values of a type that can be counted, from one number to another."""

    kind: str
    first: int
    last: int

    @property
    def text(self) -> str:
        """The only value, or a range; an end is left out if it is the end of the type."""
        if self.first == self.last:
            return text_of(self.kind, self.first)
        lowest, highest = limits(self.kind)
        first = "" if self.first <= lowest or is_unlimited(self.first) else text_of(self.kind, self.first)
        last = "" if self.last >= highest or is_unlimited(self.last) else text_of(self.kind, self.last)
        return f"{first}..{last}"


Values: TypeAlias = str | Run | None
"""The values that a field may have: a text, a run of numbers, or any."""


class Region(NamedTuple):
    """Some outputs of a job.

    Attributes:
        label: The job.
        pattern: A pattern of the job.
        values: The values of each field, in the order of the pattern's fields.
    """

    label: str
    pattern: PartitionPattern
    values: tuple[Values, ...]

    @property
    def text(self) -> str:
        """The ref, with ranges, and with fields as the pattern has them where they may have any value."""
        values = dict(zip(self.pattern.fields, self.values, strict=True))
        parts = self.pattern.parts
        return "".join(_text_of_field(text, kind, values[text]) if kind else text for text, kind in parts)


Key: TypeAlias = tuple[str, str, int, tuple[Values, ...]]
"""The job and the pattern of regions, the position of the field that they differ in (-1 for none), and the others."""


def meet(one: Values, other: Values) -> list[Values]:
    """Returns the values that both have: one element, or none."""
    if one is None or other is None:
        return [other if one is None else one]
    if isinstance(one, str) and isinstance(other, str):
        return [one] if one == other else []
    if isinstance(one, Run) and isinstance(other, Run):
        if one.kind != other.kind:
            return [one]  # values of two types are not compared; a region that is too large misses no output
        first, last = max(one.first, other.first), min(one.last, other.last)
        return [Run(one.kind, first, last)] if first <= last else []
    text, run = (one, other) if isinstance(one, str) else (other, one)
    assert isinstance(text, str)
    assert isinstance(run, Run)
    number = parsed(run.kind, text)
    return [text] if number is not None and run.first <= number <= run.last else []


def normal(values: Values) -> Values:
    """Returns the one form of values that there is for equal ones."""
    if isinstance(values, Run):
        if values.first == values.last:
            return values.text
        lowest, highest = limits(values.kind)
        if values.first <= lowest and values.last >= highest:
            return None
    return values


def _text_of_field(name: str, kind: str, values: Values) -> str:
    if values is None:
        return f"{{{name}}}" if kind == "str" else f"{{{name}:{kind}}}"
    return values.text if isinstance(values, Run) else values


def key_of(region: Region) -> tuple[Key, tuple[int, int]]:
    """Returns what regions have in common that differ in the numbers of one field, and these numbers."""
    for position, (kind, values) in enumerate(zip(region.pattern.fields.values(), region.values, strict=True)):
        if values is None or not is_counted(kind):
            continue
        if isinstance(values, Run):
            run = values.first, values.last
        else:
            number = parsed(kind, values)
            assert number is not None, region
            run = number, number
        others = (*region.values[:position], *region.values[position + 1 :])
        return (region.label, region.pattern.text, position, others), run
    return (region.label, region.pattern.text, -1, region.values), (0, 0)


def with_run(region: Region, position: int, run: tuple[int, int]) -> Region:
    if position < 0:
        return region
    kind = list(region.pattern.fields.values())[position]
    values = (*region.values[:position], normal(Run(kind, *run)), *region.values[position + 1 :])
    return region._replace(values=values)


class Runs:
    """Disjoint runs of numbers in ascending order, of which none adjoins another."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def __len__(self) -> int:
        return len(self._firsts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    def missing(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yields the parts of a run that are in none of these."""
        for position in range(bisect.bisect_left(self._lasts, first), len(self)):
            if self._firsts[position] > last:
                break
            if self._firsts[position] > first:
                yield first, self._firsts[position] - 1
            first = self._lasts[position] + 1
        if first <= last:
            yield first, last

    def adjoins(self, first: int, last: int) -> bool:
        """Returns True if a run has a number in common with one of these, or is next to it."""
        position = bisect.bisect_left(self._lasts, first - 1)
        return position < len(self) and self._firsts[position] <= last + 1

    def add(self, first: int, last: int) -> None:
        """Adds a run, and merges it with those that it adjoins."""
        start, stop = bisect.bisect_left(self._lasts, first - 1), bisect.bisect_right(self._firsts, last + 1)
        if start < stop:
            first, last = min(first, self._firsts[start]), max(last, self._lasts[stop - 1])
        self._firsts[start:stop] = [first]
        self._lasts[start:stop] = [last]
