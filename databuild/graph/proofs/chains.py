"""The search for concrete chains of refs that come back to their first ref, or go on without end.

A way around from a job to itself is followed with values of its fields. The values of one field at the ends of the way
must be equal; which values are possible is found backwards, since the values of a field that may yield a value of an
interval are an interval, too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from databuild.graph.catalog import JobCatalog
from databuild.graph.declared.expressions import Expression
from databuild.graph.periods import UNITS
from databuild.graph.proofs.dependency_edges import JobEdge
from databuild.graph.proofs.domains import Domain, Interval, is_produced, readable, values_near
from databuild.graph.proofs.findings import Chain
from databuild.graph.proofs.interval_maps import IntervalMap, interval_map
from databuild.graph.proofs.value_sets import is_counted, is_unlimited, limits, parsed, text_of
from databuild.tuples import NamedTuple

_MAX_WAYS: Final = 300
_MAX_STEPS_OF_A_WAY: Final = 12
_MAX_CANDIDATES: Final = 1000
_MAX_SCANNED: Final = 30_000
"""Maximum number of values that are looked at for all ways of a component."""

_SCANNED: Final = ("2000-01-01", "2030-01-01", "2400-01-01")
"""The parts of the calendar that are scanned where bounds do not exclude any: usual years, and then a whole period."""

_ROUNDS: Final = 2
"""The number of rounds of an endless chain that are shown."""

_Way = tuple[JobEdge, ...]
_Fields = dict[str, str]


def ways_around(edges: Sequence[JobEdge]) -> Iterator[_Way]:
    """Yields ways from a job back to itself that pass each job once, the shortest first; not all if there are many."""
    out: dict[str, list[JobEdge]] = {}
    for edge in edges:
        out.setdefault(edge.source, []).append(edge)
    order = {label: number for number, label in enumerate(out)}
    paths: list[_Way] = [(edge,) for edge in edges]
    for _ in range(_MAX_STEPS_OF_A_WAY):
        longer: list[_Way] = []
        for path in paths:
            start, end = path[0].source, path[-1].target
            if end == start:
                yield path
            elif len(longer) < 10 * _MAX_WAYS:
                passed = {edge.source for edge in path}
                # Each way is found once, from the job that comes first.
                longer += [
                    (*path, edge)
                    for edge in out.get(end, ())
                    if edge.target == start or (edge.target not in passed and order.get(edge.target, -1) > order[start])
                ]
        paths = longer


def find_chain(catalog: JobCatalog, edges: Sequence[JobEdge], domains: Mapping[str, Domain]) -> Chain | None:
    """Returns a chain of refs that comes back to its first one; None if none was found."""
    scans = itertools.count()
    for way in itertools.islice(ways_around(edges), _MAX_WAYS):
        if (chain := _Search(catalog, way, domains, scans).chain()) is not None:
            return chain
    return None


def find_endless_chain(catalog: JobCatalog, edges: Sequence[JobEdge], domains: Mapping[str, Domain]) -> Chain | None:
    """Returns the beginning of a chain without end, over an `int` without a bound; None if none was found."""
    scans = itertools.count()
    for way in itertools.islice(ways_around(edges), _MAX_WAYS):
        if (chain := _Search(catalog, way, domains, scans).endless_chain()) is not None:
            return chain
    return None


class _Trace(NamedTuple):
    """The origin of the value that a field has at the end of a way.

    Attributes:
        origin: The field of the first job; empty if it is a text.
        text: The text.
        fields: The field that has the value: of each job of the way, or of each from the step on that has the text.
        maps: How the value changes with each step between these.
    """

    origin: str
    text: str
    fields: tuple[str, ...]
    maps: tuple[IntervalMap, ...]

    @property
    def is_unchanged(self) -> bool:
        return all(interval.first is None for interval in self.maps)


class _Search:
    """The search along one way around."""

    def __init__(self, catalog: JobCatalog, way: _Way, domains: Mapping[str, Domain], scans: Iterator[int]) -> None:
        """Prepares the search along a way.

        Args:
            catalog: The jobs.
            way: The edges, from a job back to itself.
            domains: The domains of the jobs.
            scans: The number of values looked at so far, for all ways of a component.
        """
        # Values that come back are found for counted fields, so the way begins at a job that has them.
        start = max(range(len(way)), key=lambda step: len(domains[way[step].source].intervals))
        way = way[start:] + way[:start]
        self._catalog = catalog
        self._scans = scans
        self._way = way
        self._domains = domains
        self._labels = (*(edge.source for edge in way), way[-1].target)
        self._kinds = domains[self._labels[0]].job.fields

    def chain(self) -> Chain | None:
        traces = {field: self._trace(field) for field in self._kinds}
        start: _Fields = {}
        chosen: dict[tuple[int, str], str] = {}
        for field, trace in traces.items():
            if trace is None:
                return None
            if not trace.origin:
                start[field] = trace.text
            elif trace.origin == field and not trace.is_unchanged:
                values = self._closed_values(trace)
                if values is None:
                    return None
                kind = ""
                for step, (name, value) in enumerate(zip(trace.fields, values, strict=True)):
                    own_kind = self._domains[self._labels[step]].job.fields[name]
                    kind = own_kind if is_counted(own_kind) else kind  # texts pass numbers on unchanged
                    chosen[step, name] = text_of(kind, value)
                start[field] = chosen[0, field]
        return self._with_free_fields(start, {f: t for f, t in traces.items() if t is not None}, chosen)

    def _with_free_fields(
        self, start: _Fields, traces: Mapping[str, _Trace], chosen: Mapping[tuple[int, str], str]
    ) -> Chain | None:
        """Chooses the fields that may have any value, as long as fields that change places are equal."""
        same: dict[str, str] = {}
        for field in traces:
            origin = field
            while traces[origin].origin and traces[origin].origin not in {field, origin}:
                origin = traces[origin].origin
                if origin in same:
                    break
            same[field] = same.get(origin, origin)
        for field in traces:
            if field not in start and same[field] in start:
                start[field] = start[same[field]]
        free = [field for field in traces if field not in start and same[field] == field]
        for values in itertools.islice(itertools.product(*map(self._free_values, free)), 20):
            by_field = dict(zip(free, values, strict=True))
            fields = {field: start[field] if field in start else by_field.get(same[field], "") for field in traces}
            steps = self._follow(fields, chosen)
            if steps is not None and steps[-1][1] == fields:
                refs = [ref for ref, _ in steps]
                return Chain((refs[-1], *refs))
        return None

    def endless_chain(self) -> Chain | None:
        traces = {field: self._trace(field) for field in self._kinds}
        moving = ""
        for field, trace in traces.items():
            if trace is None or trace.origin not in {"", field}:
                return None
            if trace.origin and not trace.is_unchanged:
                if moving or not self._is_endless(trace):
                    return None
                moving = field
        if not moving:
            return None
        first, last = self._domains[self._labels[0]].intervals[moving]
        start = {field: next(self._free_values(field)) for field in traces}
        for field, trace in traces.items():
            if trace is not None and not trace.origin:
                start[field] = trace.text
        start[moving] = str(
            next(number for number in (0, first, last) if first <= number <= last and not is_unlimited(number))
        )
        refs: list[str] = []
        fields = start
        for _ in range(_ROUNDS):
            steps = self._follow(fields, {})
            if steps is None or steps[-1][1][moving] == fields[moving]:
                return None
            refs += [ref for ref, _ in steps]
            fields = steps[-1][1]
        output = self._way[-1].link.pattern.ref(start)
        return Chain((output, *refs), is_endless=True) if is_produced(self._catalog, output) else None

    def _is_endless(self, trace: _Trace) -> bool:
        """Returns True if an int moves in one direction with each step, without a bound on that side."""
        numbers: Interval = (0, 0)
        for step, field in enumerate(trace.fields):
            if self._domains[self._labels[step]].job.fields[field] not in {"int", "str"}:
                return False
        for interval in trace.maps:
            numbers = int(interval.low(numbers[0])), int(interval.high(numbers[1]))
        if numbers[0] <= 0 <= numbers[1]:
            return False
        ends = [self._interval(step, field)[numbers[0] > 0] for step, field in enumerate(trace.fields)]
        return all(map(is_unlimited, ends))

    def _trace(self, field: str) -> _Trace | None:
        fields = [field]
        maps: list[IntervalMap] = []
        for step in range(len(self._way), 0, -1):
            edge = self._way[step - 1]
            slot = edge.link.slots.get(fields[0])
            if slot is None:
                return None
            if slot.expression is None:
                return _Trace("", slot.text, tuple(fields), tuple(maps))
            expression = edge.link.template.expressions[slot.expression]
            fields.insert(0, expression.field)
            maps.insert(0, interval_map(expression))
        return _Trace(fields[0], "", tuple(fields), tuple(maps))

    def _interval(self, step: int, field: str) -> Interval:
        domain = self._domains[self._labels[step]]
        return domain.intervals.get(field, limits("int"))

    def _closed_values(self, trace: _Trace) -> list[int] | None:
        """Returns the values on a way that comes back to the first value; None if none was found."""
        kinds = [self._domains[self._labels[step]].job.fields[field] for step, field in enumerate(trace.fields)]
        if not is_counted(kinds[0]):
            return None
        intervals = [self._interval(step, field) for step, field in enumerate(trace.fields)]
        for number in itertools.islice(self._candidates(trace, kinds[0], intervals[0]), _MAX_CANDIDATES):
            sources: list[Interval] = [(number, number)]
            for step in range(len(trace.maps) - 1, -1, -1):
                first, last = trace.maps[step].sources(sources[0], *intervals[step])
                if first > last:
                    break
                sources.insert(0, (first, last))
            if len(sources) == len(intervals) and sources[0][0] <= number <= sources[0][1]:
                values = self._values_through(trace, number, sources)
                if values is not None:
                    return values
        return None

    @staticmethod
    def _values_through(trace: _Trace, number: int, sources: Sequence[Interval]) -> list[int] | None:
        values = [number]
        for interval, (first, last) in zip(trace.maps, sources[1:], strict=True):
            reached = interval.interval(values[-1])
            if reached is None or max(reached[0], first) > min(reached[1], last):
                return None
            values.append(max(reached[0], first))
        return values

    def _candidates(self, trace: _Trace, kind: str, domain: Interval) -> Iterator[int]:
        """Yields numbers whose interval after the way, without bounds, has the number itself."""

        def compare(number: int) -> tuple[float, float]:
            low: float = number
            high: float = number
            for interval in trace.maps:
                low, high = interval.low(low), interval.high(high)
            return low, high

        near = [readable(kind, domain)]
        for number in values_near(domain, near):
            if not is_unlimited(number):
                low, high = compare(number)
                if low <= number <= high:
                    yield number
        for first, last in _scanned(kind, domain, near[0]):
            # From the side from which numbers can be left out: those between a number and all of its values.
            ascends = compare(first)[0] > first
            number = first if ascends else last
            while first <= number <= last and next(self._scans) < _MAX_SCANNED:
                low, high = compare(number)
                if low <= number <= high:
                    yield number
                if ascends:
                    number = int(low) if number < low < math.inf else number + 1
                else:
                    number = int(high) if -math.inf < high < number else number - 1

    def _free_values(self, field: str) -> Iterator[str]:
        yield from self._domains[self._labels[0]].values(field)
        for step, label in enumerate(self._labels[1:-1], start=1):
            trace = self._trace(field)
            if trace is not None and trace.origin and step < len(trace.fields):
                yield from self._domains[label].values(trace.fields[step])

    def _follow(
        self, start: Mapping[str, str], chosen: Mapping[tuple[int, str], str]
    ) -> list[tuple[str, _Fields]] | None:
        """Follows the way with the fields of the first job.

        Returns:
            Each ref that is needed, with its fields; None if the way ends before.
        """
        fields = dict(start)
        steps = []
        for step, edge in enumerate(self._way, start=1):
            texts: list[str] = []
            position = -1
            needed = {
                slot.expression: chosen[step, name]
                for name, slot in edge.link.slots.items()
                if slot.expression is not None and (step, name) in chosen
            }
            for part in edge.link.template.parts:
                if not isinstance(part, Expression):
                    texts.append(part)
                    continue
                position += 1
                text = self._value(edge, position, part, fields, needed.get(position))
                if text is None:
                    return None
                texts.append(text)
            ref = "".join(texts)
            matched = edge.link.pattern.match(ref)
            if matched is None or not is_produced(self._catalog, ref):
                return None
            fields = matched
            steps.append((ref, fields))
        return steps

    def _value(
        self, edge: JobEdge, position: int, expression: Expression, fields: Mapping[str, str], needed: str | None
    ) -> str | None:
        """Returns a value that an expression yields: the one that is needed, or else one within the bounds."""
        text = fields[expression.field]
        if expression.low is None:
            return text if needed in {None, text} else None
        number = parsed(expression.field_kind, text)
        reached = None if number is None else interval_map(expression).interval(number)
        if reached is None:
            return None
        first, last = reached
        if needed is not None:
            value = parsed(expression.kind, needed)
            return needed if value is not None and first <= value <= last else None
        for name, bounds in edge.link.pattern.bounds.items():
            slot = edge.link.slots.get(name)
            if slot is not None and slot.expression == position:
                first = first if bounds.first is None else max(first, bounds.first)
                last = last if bounds.last is None else min(last, bounds.last)
        return text_of(expression.kind, first) if first <= last else None


def _scanned(kind: str, domain: Interval, near: int) -> Sequence[Interval]:
    """Returns the parts of a domain that are scanned for values that come back."""
    first, last = domain
    if kind == "int":
        return [(max(first, near - _MAX_CANDIDATES), min(last, near + _MAX_CANDIDATES))]
    date, unit = UNITS["date"], UNITS[kind]
    ends = [unit.of_minute(date.start(date.parse(day))) for day in _SCANNED]
    if first <= ends[0] and ends[-1] <= last:
        return list(itertools.pairwise(ends))
    return [(first, last)]
