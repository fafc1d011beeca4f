"""Declared dependents: outputs of declared jobs that would be made from given partitions, whether they exist or not.

The templates of inputs are inverted: a ref is divided as a template may have yielded it, each value leads to the values
of a field that yield it (`Expression.sources`), and fields that the template does not mention stay open. A walk over
several steps follows runs of values instead of single ones, so that a running balance over all days is one step.

No process is started, so jobs that have `config` are not known. The values of bounds are respected. Where a template
and a pattern divide refs differently, a result of several steps may name outputs that are not made from the given ones,
but none is missing.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from databuild.graph.catalog import JobCatalog
from databuild.graph.declared.declaration import DeclaredJob
from databuild.graph.declared.expressions import Expression
from databuild.graph.declared.template_patterns import template_pattern
from databuild.graph.field_types import FIELD_TYPES, OF_MONTHS
from databuild.graph.job_edges import DeclaredInput, declared_inputs
from databuild.graph.patterns import PartitionPattern
from databuild.graph.proofs.domains import Domain, domain_of, is_ref
from databuild.graph.proofs.links import Link, Links
from databuild.graph.proofs.value_sets import is_counted, limits, parsed, text_of
from databuild.graph.regions import Key, Region, Run, Runs, Values, key_of, meet, normal, with_run
from databuild.model.graph_view import OPTIONAL
from databuild.model.views import DeclaredDependent, DeclaredDependents
from databuild.tuples import NamedTuple


class _Read(NamedTuple):
    """One declared input of a job."""

    job: DeclaredJob
    domain: Domain
    input: DeclaredInput
    shape: PartitionPattern
    names: tuple[str, ...]


class _Found(NamedTuple):
    region: Region
    distance: int
    read: _Read


class Dependents:
    """Finds the declared dependents of partitions of one graph."""

    def __init__(self, catalog: JobCatalog) -> None:
        self._catalog = catalog
        links = Links(catalog)
        self._by_prefix: dict[str, list[_Read]] = {}
        self._by_pattern: dict[tuple[str, str], list[tuple[_Read, Link]]] = {}
        for job in catalog.declared.values():
            domain = domain_of(job)
            for declared in declared_inputs(job):
                shape = template_pattern(declared.template, any_value=declared.any_value)
                read = _Read(job, domain, declared, shape.pattern, shape.names)
                self._by_prefix.setdefault(shape.pattern.prefix, []).append(read)
                for link in links.of(declared.template, any_value=declared.any_value):
                    self._by_pattern.setdefault((link.producer, link.pattern.text), []).append((read, link))

    def of(self, refs: Sequence[str], *, transitive: bool, limit: int) -> DeclaredDependents:
        """Returns the outputs that would be made from given partitions, nearest first.

        Args:
            refs: The given partitions; no job needs to produce them.
            transitive: True for any number of steps; False for one.
            limit: The maximum number of results, before adjacent ones are merged.
        """
        walk = _Walk(limit)
        frontier = walk.add(self._first_step(refs, extend=transitive), 1)
        distance = 1
        while frontier and transitive and not walk.is_full:
            distance += 1
            frontier = walk.add(
                (found for region in frontier for found in self._of_region(region, extend=True)), distance
            )
        configured = [label for label, job in self._catalog.jobs.items() if job.declaration is None]
        return DeclaredDependents(walk.result(), not walk.is_full, tuple(sorted(configured)))

    def _first_step(self, refs: Iterable[str], *, extend: bool) -> Iterator[tuple[Region, _Read]]:
        produced: dict[Key, tuple[Region, Runs]] = {}
        for ref in refs:
            region = self._region_of(ref)
            if region is None:
                yield from self._of_ref(ref)
            else:
                key, run = key_of(region)
                produced.setdefault(key, (region, Runs()))[1].add(*run)
        for key, (region, runs) in produced.items():
            for run in runs:
                yield from self._of_region(with_run(region, key[2], run), extend=extend)

    def _region_of(self, ref: str) -> Region | None:
        """Returns a ref as a region; None if no job produces it, or if a template divides it differently."""
        for label in self._catalog.owners(ref):
            for pattern in self._catalog.jobs[label].patterns:
                if self._is_exact(label, pattern) and (fields := pattern.match(ref)) is not None:
                    return Region(label, pattern, tuple(fields[name] for name in pattern.fields))
        return None

    def _is_exact(self, label: str, pattern: PartitionPattern) -> bool:
        links = self._by_pattern.get((label, pattern.text), ())
        return all(link.is_exact and len(link.slots) == len(pattern.fields) for _, link in links)

    def _of_ref(self, ref: str) -> Iterator[tuple[Region, _Read]]:
        is_produced = None
        for length in range(len(ref) + 1):
            for read in self._by_prefix.get(ref[:length], ()):
                for texts in _divisions(read.shape, ref):
                    if read.input.kind == OPTIONAL:
                        # An optional input that no job produces is left out.
                        if is_produced is None:
                            is_produced = bool(self._catalog.lookup) or bool(self._catalog.owners(ref))
                        if not is_produced:
                            break
                    expressions = zip(read.input.template.expressions, read.names, strict=True)
                    given = [(expression, texts[name]) for expression, name in expressions]
                    for region in _regions(read, given):
                        yield region, read

    def _of_region(self, region: Region, *, extend: bool) -> Iterator[tuple[Region, _Read]]:
        """Yields the outputs of one step; with `extend`, also those of all further steps of a running balance."""
        fields = dict(zip(region.pattern.fields, region.values, strict=True))
        is_one = all(isinstance(values, str) for values in region.values)
        inexact = False
        for read, link in self._by_pattern.get((region.label, region.pattern.text), ()):
            if is_one and not (link.is_exact and len(link.slots) == len(fields)):
                inexact = True
                continue
            given = []
            for name, slot in link.slots.items():
                if slot.expression is not None:
                    given.append((read.input.template.expressions[slot.expression], fields[name]))
                elif not meet(slot.text, fields[name]):
                    break
            else:
                for found in _regions(read, given):
                    yield _extended(region, found, read, link) if extend else found, read
        if inexact:
            yield from self._of_ref(region.text)


class _Walk:
    """The outputs found so far, each once, as runs of values."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: dict[Key, Runs] = {}
        self._found: list[_Found] = []
        self.is_full = False

    def add(self, found: Iterable[tuple[Region, _Read]], distance: int) -> list[Region]:
        """Adds what was found in one step, and returns the part of it that is new."""
        count = len(self._found)
        new: dict[Key, tuple[_Found, Runs]] = {}
        for region, read in found:
            key, run = key_of(region)
            seen = self._seen.setdefault(key, Runs())
            for part in list(seen.missing(*run)):
                runs = new.setdefault(key, (_Found(region, distance, read), Runs()))[1]
                if not runs.adjoins(*part):
                    self.is_full = count == self._limit
                    if self.is_full:
                        break
                    count += 1
                runs.add(*part)
                seen.add(*part)
            if self.is_full:
                break
        regions = []
        for key, (first, runs) in new.items():
            regions += [with_run(first.region, key[2], run) for run in runs]
            self._found += [first._replace(region=region) for region in regions[len(regions) - len(runs) :]]
        return regions

    def result(self) -> tuple[DeclaredDependent, ...]:
        """Returns the rows, with runs merged that adjoin each other; a row has the least of their distances."""
        nearest: dict[Key, tuple[Runs, list[_Found]]] = {}
        for part in self._found:
            key, run = key_of(part.region)
            runs, parts = nearest.setdefault(key, (Runs(), []))
            runs.add(*run)
            parts.append(part)
        rows = []
        for key, (runs, parts) in nearest.items():
            # The parts come in ascending order of distance, so the first one in a run is the nearest.
            firsts = [run[0] for run in runs]
            of_run: dict[int, _Found] = {}
            for part in parts:
                of_run.setdefault(bisect.bisect_right(firsts, key_of(part.region)[1][0]) - 1, part)
            for position, run in enumerate(runs):
                part = of_run[position]
                text = with_run(part.region, key[2], run).text
                declared = part.read.input
                rows.append(DeclaredDependent(text, part.distance, part.region.label, declared.kind, declared.text))
        return tuple(sorted(rows, key=lambda row: (row.distance, row.partitions)))


def _divisions(shape: PartitionPattern, ref: str) -> Iterator[Mapping[str, str]]:
    """Yields the texts of the fields for each way in which a pattern may divide a ref."""
    first = shape.match(ref)
    if first is None:
        return
    open_fields = [name for name, kind in shape.fields.items() if not _has_fixed_length(kind)]
    if len(open_fields) < 2:
        yield first
        return
    regexes = [re.compile(regex, re.ASCII) for regex in shape.regexes]

    def divide(part: int, start: int) -> Iterator[dict[str, str]]:
        if part == len(shape.parts):
            if start == len(ref):
                yield {}
            return
        text, kind = shape.parts[part]
        for end in range(start, len(ref) + 1) if kind else (start + len(text),):
            if regexes[part].fullmatch(ref, start, end):
                for others in divide(part + 1, end):
                    yield {text: ref[start:end], **others} if kind else others

    yield from divide(0, 0)


def _has_fixed_length(kind: str) -> bool:
    return kind in FIELD_TYPES and FIELD_TYPES[kind].of_calendar


def _regions(read: _Read, given: Iterable[tuple[Expression, Values]]) -> Iterator[Region]:
    """Yields the outputs of a job for which expressions yield given values."""
    job, intervals = read.job, read.domain.intervals
    bounds = job.outputs[0].bounds if job.outputs else {}
    allowed: dict[str, list[Values]] = {
        name: [Run(kind, *intervals[name]) if name in bounds else None] for name, kind in job.fields.items()
    }
    for expression, values in given:
        name = expression.field
        sources = _sources(expression, values, intervals.get(name))
        allowed[name] = [both for one in allowed[name] for other in sources for both in meet(one, other)]
    for combination in itertools.product(*allowed.values()):
        fields = dict(zip(allowed, map(normal, combination), strict=True))
        for pattern in job.outputs:
            region = Region(job.label, pattern, tuple(fields[name] for name in pattern.fields))
            if _is_output(job, region):
                yield region


def _sources(expression: Expression, values: Values, interval: tuple[int, int] | None) -> list[Values]:
    """Returns the values of the field of an expression that yield one of some values."""
    if values is None:
        return [None]
    if expression.low is None or expression.high is None:
        return [values] if not isinstance(values, str) or _is_value(expression.field_kind, values) else []
    if isinstance(values, str):
        number = parsed(expression.kind, values)
        if number is None:
            return []
        first, last = number, number
    elif values.kind == expression.kind:
        first, last = values.first, values.last
    else:
        return [None]
    assert interval is not None
    if expression.kind == "int":
        # An int is only moved, and a binary search among all integers that fit into a ref takes long.
        ranges: tuple[range, ...] = (
            range(
                max(interval[0], first - expression.high(0)),
                min(interval[1], last - expression.low(0)) + 1,
            ),
        )
    else:
        ranges = expression.sources(first, *interval, until=last)
    return [
        Run(expression.field_kind, numbers.start, numbers.stop - 1)
        for numbers in ranges
        if numbers.stop > numbers.start
    ]


def _is_value(kind: str, text: str) -> bool:
    if is_counted(kind):
        return parsed(kind, text) is not None
    return kind == "str" or re.fullmatch(kind[1:-1], text, re.ASCII) is not None


def _is_output(job: DeclaredJob, region: Region) -> bool:
    """Returns False if the refs of a region are none, or the job divides them into other fields."""
    if None in region.values:
        return True
    values = (text_of(values.kind, values.first) if isinstance(values, Run) else values for values in region.values)
    fields = dict(zip(region.pattern.fields, values, strict=True))
    ref = region.pattern.ref({name: text or "" for name, text in fields.items()})
    return job.fields_of(ref) == fields and is_ref(ref)


def _extended(region: Region, found: Region, read: _Read, link: Link) -> Region:
    """Extends a run of outputs that are made from a run of outputs of the same job to all that follow.

    If the run that is found adjoins the given one, a step with a fixed offset leads from each value to the next ones,
    up to the last value. In the same way, a step back leads down to the first value.
    """
    key, (first, last) = key_of(found)
    own_key, (own_first, own_last) = key_of(region)
    if key != own_key or key[2] < 0:
        return found
    name = list(region.pattern.fields)[key[2]]
    slot = link.slots.get(name)
    expressions = read.input.template.expressions
    if slot is None or slot.expression is None or not _is_offset(expressions[slot.expression], name):
        return found
    if sum(expression.field == name for expression in expressions) > 1:
        return found
    kind = region.pattern.fields[name]
    bounds = region.pattern.bounds.get(name)
    lowest, highest = limits(kind)
    if last > own_last and first <= own_last + 1:
        last = highest if bounds is None or bounds.last is None else bounds.last
    if first < own_first and last >= own_first - 1:
        first = lowest if bounds is None or bounds.first is None else bounds.first
    return with_run(found, key[2], (first, last))


def _is_offset(expression: Expression, field: str) -> bool:
    """Returns True if the distance from a value of a field to the values that it yields is the same for all."""
    if expression.low is None or expression.field != field or expression.kind != expression.field_kind:
        return False
    if "." in expression.text.replace("..", ""):
        return False
    return expression.field_kind in OF_MONTHS or not expression.uses_months
