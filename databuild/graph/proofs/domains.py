"""The refs of a declared job: the values of its fields, and refs with readable ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from databuild.errors import InvalidRequestError
from databuild.graph.catalog import JobCatalog
from databuild.graph.declared.declaration import DeclaredJob
from databuild.graph.field_types import FIELD_TYPES
from databuild.graph.overlap import shortest_common_ref
from databuild.graph.patterns import PartitionPattern
from databuild.graph.proofs.value_sets import is_counted, is_unlimited, limits, text_of
from databuild.graph.refs import check_ref
from databuild.tuples import NamedTuple

Interval = tuple[int, int]


class Domain(NamedTuple):
    """The refs of a declared job.

    Attributes:
        job: The job.
        intervals: The first and the last value of each field that is counted.
    """

    job: DeclaredJob
    intervals: Mapping[str, Interval]

    @property
    def size(self) -> float:
        """The number of combinations of values; infinite if a field is not counted, or an int without both bounds."""
        if len(self.intervals) < len(self.job.fields):
            return math.inf
        sizes = [last - first + 1 for first, last in self.intervals.values()]
        return math.inf if any(is_unlimited(size) for size in sizes) else math.prod(sizes)

    def all_fields(self) -> Iterator[Mapping[str, str]]:
        """Yields the fields of each ref; the size must be finite."""
        columns = []
        for name, (first, last) in self.intervals.items():
            kind = self.job.fields[name]
            columns.append([text_of(kind, number) for number in range(first, last + 1)])
        for values in itertools.product(*columns):
            yield dict(zip(self.intervals, values, strict=True))

    def readable_fields(self) -> dict[str, str]:
        """Returns readable values of all fields."""
        return {name: next(self.values(name)) for name in self.job.fields}

    def values(self, field: str) -> Iterator[str]:
        """Yields some readable values of a field."""
        kind = self.job.fields[field]
        if field in self.intervals:
            interval = self.intervals[field]
            numbers = values_near(interval, [readable(kind, interval)])
            yield from (text_of(kind, number) for number in numbers if not is_unlimited(number))
        else:
            yield _example(kind)

    def output(self, fields: Mapping[str, str]) -> str | None:
        """Returns the output with these fields; None if it is none of the job, or the job divides it otherwise."""
        ref = self.job.outputs[0].ref(fields)
        return ref if self.job.fields_of(ref) == fields and is_ref(ref) else None


def domain_of(job: DeclaredJob) -> Domain:
    bounds = job.outputs[0].bounds if job.outputs else {}
    intervals = {}
    for name, kind in job.fields.items():
        if is_counted(kind):
            first, last = limits(kind)
            bound = bounds.get(name)
            if bound is not None:
                first = first if bound.first is None else bound.first
                last = last if bound.last is None else bound.last
            intervals[name] = (first, last)
    return Domain(job, intervals)


def readable(kind: str, interval: Interval) -> int:
    """Returns a value of an interval: an end that a person has set, or else a usual one."""
    first, last = interval
    lowest, highest = limits(kind)
    if first > lowest and not is_unlimited(first):
        return first
    if last < highest and not is_unlimited(last):
        return last
    number = FIELD_TYPES[kind].counting.parse(FIELD_TYPES[kind].example)  # type: ignore[union-attr]
    assert number is not None
    return number


def is_ref(text: str) -> bool:
    try:
        check_ref(text)
    except InvalidRequestError:
        return False
    return True


def is_produced(catalog: JobCatalog, ref: str) -> bool:
    return is_ref(ref) and catalog.find_owner(ref) is not None


def values_near(interval: Interval, near: Sequence[int]) -> Iterator[int]:
    """Yields some values of an interval: the given ones and their neighbours, and those at its ends."""
    first, last = interval
    ends = (number for step in range(3) for number in (first + step, last - step))
    others = (number + step for number in near for step in (0, -1, 1))
    yield from dict.fromkeys(number for number in (*others, *ends) if first <= number <= last)


def _example(kind: str) -> str:
    """Returns a value of a type that is not counted."""
    if not kind.startswith("/"):
        return FIELD_TYPES[kind].example
    # The literal allows values that are no refs by themselves: an empty one, or one that begins with a dash.
    pattern = PartitionPattern(f"x{{value:{kind}}}")
    return (shortest_common_ref(pattern, pattern) or "x")[1:]
