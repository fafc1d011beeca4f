"""What is known of partitions: search, history, lineage, why one would be built, and marks of distrust."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from databuild.errors import InvalidRequestError
from databuild.event_log.log import EventLog
from databuild.event_log.reads import PartitionReads
from databuild.graph.catalog import JobCatalog
from databuild.graph.patterns import PartitionPattern
from databuild.graph.refs import nfc
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import Plan
from databuild.model.paging import read_rows
from databuild.model.records import PartitionRecord
from databuild.model.views import Explanation, Lineage, LineageEdge, PartitionView
from databuild.orchestration.maintenance.operations import taint
from databuild.service.builds.plans import Planner
from databuild.service.builds.requests import requested_partitions
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool
from databuild.v1.events_pb2 import BuildEvent

_MAX_CANDIDATES = 20_000
"""How many partitions one page of a search by pattern looks through at most."""

_HISTORY = 20
_LOOKED_THROUGH = 50_000
"""How many partitions are looked through for those that were made from another."""

_MAX_EDGES = 10_000


class PartitionPage(NamedTuple):
    """A page of partitions by ref; `next_after` is what to ask for the next page with, empty on the last."""

    partitions: tuple[PartitionRecord, ...]
    next_after: str


class Partitions:
    """Answers what is asked about partitions. Used from one event loop."""

    def __init__(
        self,
        *,
        catalog: JobCatalog,
        event_log: EventLog,
        planner: Planner,
        limits: Limits,
        readers: ReaderPool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Takes what it works with.

        Args:
            catalog: The jobs.
            event_log: Where marks go.
            planner: Makes plans.
            limits: What is allowed.
            readers: Read the event log.
            clock: Returns the time in seconds since the epoch.
        """
        self._catalog = catalog
        self._event_log = event_log
        self._planner = planner
        self._limits = limits
        self._readers = readers
        self._clock = clock

    async def search(
        self,
        *,
        prefix: str = "",
        contains: str = "",
        pattern: str = "",
        status: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> PartitionPage:
        """Returns partitions by ref.

        A page may have fewer than `limit` rows and yet not be the last, where much was looked through for few.

        Args:
            prefix: What their refs begin with.
            contains: What their refs contain.
            pattern: The partition pattern that their refs are of.
            status: Only partitions of this newest status, or `TAINTED`.
            after: What the page before said.
            limit: How many at most.

        Raises:
            InvalidPatternError: The pattern cannot be read.
        """
        limit = min(max(limit, 1), self._limits.max_page_rows)
        search = _Search(nfc(prefix), nfc(contains), PartitionPattern(pattern) if pattern else None, status)
        return await self._readers.read(lambda reader: search.page(reader, after, limit))

    async def counts(self) -> Mapping[str, int]:
        """Returns how many partitions there are of each newest status (`TAINTED` apart)."""
        return await self._readers.read(lambda reader: reader.partition_counts())

    async def get(self, ref: str) -> PartitionView:
        """Returns what is known of a partition.

        Raises:
            InvalidRequestError: The text is no ref.
            UnknownPartitionError: No job produces it.
        """
        self._catalog.check_ref(ref)
        label = "" if self._catalog.lookup else self._catalog.owner(ref)

        def view(reader: PartitionReads) -> PartitionView:
            record = reader.partition_records([ref]).get(ref)
            return PartitionView(ref, label, record, tuple(reader.produced_by(ref, limit=_HISTORY)))

        return await self._readers.read(view)

    async def plan(self, partitions: tuple[str, ...], options: PlanOptions = PlanOptions()) -> Plan:
        """Finds what a build would do; starts none.

        Args:
            partitions: Refs or ranges of refs; none stand for the graph's default partitions.
            options: The options of the plan.

        Raises:
            InvalidRequestError: The request makes no sense.
            JobConfigurationError: A job's `config` failed.
            LookupFaultError: The graph's lookup failed.
        """
        requested = await asyncio.to_thread(requested_partitions, self._catalog, partitions, self._limits)
        return await self._planner.plan(requested, options=options)

    async def explain(self, ref: str) -> Explanation:
        """Returns what is known of a partition, and what a build would do with it and why.

        Raises:
            InvalidRequestError: The text is no ref, or nobody produces it.
            JobConfigurationError: A job's `config` failed.
            LookupFaultError: The graph's lookup failed.
        """
        view = await self.get(ref)
        plan = await self._planner.plan((ref,))
        planned = next(partition for partition in plan.partitions if partition.ref == ref)
        return Explanation(
            view._replace(job_label=planned.job_label), planned, len(plan.tasks), plan.absent_inputs, plan.warnings
        )

    async def upstream(self, ref: str, *, depth: int = 1, limit: int = 1000) -> Lineage:
        """Returns what a partition was made from, and that from.

        Args:
            ref: The partition.
            depth: How many steps to go.
            limit: How many edges at most.

        Raises:
            InvalidRequestError: The text is no ref.
        """
        self._catalog.check_ref(ref)
        limit = min(limit, _MAX_EDGES)
        return await self._readers.read(lambda reader: _walk(ref, depth, limit, lambda refs: _inputs(reader, refs)))

    async def downstream(self, ref: str, *, depth: int = 1, limit: int = 1000) -> Lineage:
        """Returns what was made from a partition, and what from that.

        It looks through what is known of partitions, of which there may be more than are looked through.

        Args:
            ref: The partition.
            depth: How many steps to go.
            limit: How many edges at most.

        Raises:
            InvalidRequestError: The text is no ref.
        """
        self._catalog.check_ref(ref)
        limit = min(limit, _MAX_EDGES)

        def walk(reader: PartitionReads) -> Lineage:
            readers, complete = _readers(reader)
            found = _walk(ref, depth, limit, lambda refs: [edge for one in refs for edge in readers.get(one, ())])
            return found._replace(complete=found.complete and complete)

        return await self._readers.read(walk)

    async def taint(self, partitions: tuple[str, ...], *, tainted: bool, author: str, reason: str) -> Sequence[str]:
        """Marks partitions as not to be trusted, or takes the mark away; returns their refs.

        Raises:
            InvalidRequestError: Nothing is named, or something of which nothing is known.
        """
        if not partitions:
            raise InvalidRequestError("no partition is named")
        refs = await asyncio.to_thread(self._catalog.expand, partitions, self._limits.max_partitions)

        def mark(reader: PartitionReads) -> BuildEvent:
            return taint(reader, refs, tainted=tainted, author=author, reason=reason, clock=self._clock)

        await self._event_log.append([await self._readers.read(mark)])
        return refs


class _Search(NamedTuple):
    prefix: str
    contains: str
    pattern: PartitionPattern | None
    status: str | None

    def page(self, reader: PartitionReads, after: str, limit: int) -> PartitionPage:
        pattern = self.pattern
        if pattern is None:
            rows = reader.partitions(
                prefix=self.prefix, contains=self.contains, status=self.status, after=after, limit=limit
            )
            return PartitionPage(tuple(rows), rows[-1].ref if len(rows) == limit else "")
        prefix = max(self.prefix, pattern.prefix, key=len)
        if not (prefix.startswith(self.prefix) and prefix.startswith(pattern.prefix)):
            return PartitionPage((), "")
        candidates = read_rows(
            lambda last, count: reader.partitions(
                prefix=prefix, contains=self.contains, status=self.status, after=last, limit=count
            ),
            key=lambda record: record.ref,
            start=after,
        )
        matches: list[PartitionRecord] = []
        for record in islice(candidates, _MAX_CANDIDATES):
            after = record.ref
            if pattern.match(record.ref) is not None:
                matches.append(record)
                if len(matches) == limit:
                    return PartitionPage(tuple(matches), after)
        complete = next(candidates, None) is None
        return PartitionPage(tuple(matches), "" if complete else after)


def _inputs(reader: PartitionReads, refs: Sequence[str]) -> list[LineageEdge]:
    return [
        LineageEdge(known.ref, record.ref, known.version, known.query)
        for record in reader.partition_records(refs).values()
        if record.manifest is not None
        for known in record.manifest.inputs
    ]


def _readers(reader: PartitionReads) -> tuple[dict[str, list[LineageEdge]], bool]:
    """Returns what was made from each partition, and whether that is all there is to know."""
    readers: dict[str, list[LineageEdge]] = {}
    records = read_rows(
        lambda after, limit: reader.partitions(after=after, limit=limit), key=lambda record: record.ref, start=""
    )
    for record in islice(records, _LOOKED_THROUGH):
        for known in record.manifest.inputs if record.manifest is not None else ():
            edge = LineageEdge(known.ref, record.ref, known.version, known.query)
            readers.setdefault(known.ref, []).append(edge)
    return readers, next(records, None) is None


def _walk(ref: str, depth: int, limit: int, step: Callable[[Sequence[str]], list[LineageEdge]]) -> Lineage:
    """Follows edges away from a partition, level by level, each partition once."""
    seen = {ref}
    level = [ref]
    edges: list[LineageEdge] = []
    for _ in range(depth):
        found = step(level)
        edges += found
        if len(edges) > limit:
            return Lineage(tuple(edges[:limit]), complete=False)
        level = list(dict.fromkeys(end for edge in found for end in (edge.input, edge.output) if end not in seen))
        seen.update(level)
        if not level:
            break
    return Lineage(tuple(edges), complete=True)
