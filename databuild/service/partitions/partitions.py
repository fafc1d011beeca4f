"""Queries about partitions (search, history, lineage, plans), and taints."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from databuild.errors import InvalidRequestError
from databuild.event_log.downstream import direct_steps, downstream
from databuild.event_log.reads import LineageReads, PartitionReads
from databuild.graph.dependents import Dependents
from databuild.graph.patterns import PartitionPattern
from databuild.graph.record_cache import NoRecords
from databuild.graph.refs import nfc
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import Plan
from databuild.model.paging import read_rows
from databuild.model.records import PartitionRecord
from databuild.model.views import DeclaredDependents, DownstreamPage, Explanation, Lineage, LineageEdge, PartitionView
from databuild.orchestration.build.downstream_request import Requested, partitions_to_build, partitions_to_taint
from databuild.orchestration.maintenance.operations import taint
from databuild.service.builds.plans import Planner
from databuild.service.builds.requests import requested_partitions, starting_points
from databuild.service.resources.service_context import ServiceContext
from databuild.tuples import NamedTuple
from databuild.v1.events_pb2 import BuildEvent

_HISTORY_RUNS = 20
_MAX_EDGES = 10_000


class PartitionPage(NamedTuple):
    """A page of partitions, by ref. `next_after` is the `after` of the next page; empty on the last page."""

    partitions: tuple[PartitionRecord, ...]
    next_after: str


class Partitions:
    """Queries about partitions, and taints. Used from one event loop.

    Args:
        context: The parts of the service.
        planner: Makes plans.
    """

    def __init__(self, context: ServiceContext, planner: Planner) -> None:
        self._context = context
        self._planner = planner

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
        """Returns a page of the partitions that match all conditions, by ref.

        A search by pattern reads a limited number of partitions for each page. A page with fewer than `limit` rows is
        therefore not necessarily the last.

        Args:
            prefix: The beginning of the ref.
            contains: A part of the ref.
            pattern: A partition pattern that the ref matches.
            status: The newest status, or `TAINTED`.
            after: `next_after` of the page before; empty for the first page.
            limit: The maximum number of rows.

        Raises:
            InvalidPatternError: The pattern is not valid.
        """
        limit = min(max(limit, 1), self._context.limits.max_page_rows)
        search = _Search(
            nfc(prefix),
            nfc(contains),
            PartitionPattern(pattern) if pattern else None,
            status,
            self._context.limits.max_search_candidates,
        )
        return await self._context.readers.read(lambda reader: search.page(reader, after, limit))

    async def counts(self) -> Mapping[str, int]:
        """Returns the number of partitions of each newest status, with `TAINTED` as a status of its own."""
        return await self._context.readers.read(lambda reader: reader.partition_counts())

    async def get(self, ref: str) -> PartitionView:
        """Returns the record of a partition, and the job runs that were to produce it.

        Raises:
            InvalidRequestError: `ref` is not a valid ref.
            UnknownPartitionError: No job produces it.
        """
        self._context.catalog.check_ref(ref)
        # Only planning runs the lookup: it is a process.
        label = "" if self._context.catalog.lookup else self._context.catalog.owner(ref)

        def view(reader: PartitionReads) -> PartitionView:
            record = reader.partition_records([ref]).get(ref)
            return PartitionView(ref, label, record, tuple(reader.produced_by(ref, limit=_HISTORY_RUNS)))

        return await self._context.readers.read(view)

    async def plan(
        self,
        partitions: tuple[str, ...],
        options: PlanOptions = PlanOptions(),
        *,
        records: bool = True,
        downstream: bool = False,
        verify: str = "none",
    ) -> Plan:
        """Plans a build without starting it.

        Args:
            partitions: Refs or ranges of refs; empty for the default partitions of the graph.
            options: The options of the plan.
            records: False to plan as if no partition had ever been built.
            downstream: True to plan, instead of the partitions, what was made from them.
            verify: The data to look for in its store, one of `VERIFY_POLICIES`. Lost data is planned to be rebuilt.

        Raises:
            InvalidRequestError: A partition is not valid, no job produces it, or nothing is downstream.
            JobConfigurationError: The `config` of a job failed.
            LookupFaultError: The lookup of the graph failed.
            StorageError: A whole folder with many partitions is gone, so that its disk may not be mounted.
        """
        if downstream:
            given = await asyncio.to_thread(starting_points, self._context.catalog, partitions, self._context.limits)
            limit = self._context.limits.max_partitions
            requested = await self._context.readers.read(
                lambda reader: partitions_to_build(reader, self._context.catalog, given, limit)
            )
        else:
            requested = Requested(
                await asyncio.to_thread(requested_partitions, self._context.catalog, partitions, self._context.limits)
            )
        plan = await self._planner.plan(
            requested.refs, options=options, records=None if records else NoRecords(), verify=verify
        )
        return plan._replace(warnings=(*requested.warnings, *plan.warnings))

    async def explain(self, ref: str) -> Explanation:
        """Returns a partition, and the decision of a new plan about it.

        Raises:
            InvalidRequestError: `ref` is not a valid ref, or no job produces it.
            JobConfigurationError: The `config` of a job failed.
            LookupFaultError: The lookup of the graph failed.
        """
        view = await self.get(ref)
        plan = await self._planner.plan((ref,))
        planned = next(partition for partition in plan.partitions if partition.ref == ref)
        return Explanation(
            view._replace(job_label=planned.job_label), planned, len(plan.tasks), plan.absent_inputs, plan.warnings
        )

    async def upstream(self, ref: str, *, depth: int = 1, limit: int = 1000) -> Lineage:
        """Returns the inputs of a partition, their inputs, and so on.

        Args:
            ref: The partition.
            depth: The number of steps.
            limit: The maximum number of edges.

        Raises:
            InvalidRequestError: `ref` is not a valid ref.
        """
        self._context.catalog.check_ref(ref)
        limit = min(limit, _MAX_EDGES)
        return await self._context.readers.read(
            lambda reader: _walk(ref, depth, limit, lambda refs: _inputs(reader, refs))
        )

    async def downstream(self, ref: str, *, depth: int = 1, limit: int = 1000) -> Lineage:
        """Returns the partitions that use a partition, those that use them, and so on.

        Args:
            ref: The partition.
            depth: The number of steps.
            limit: The maximum number of edges.

        Raises:
            InvalidRequestError: `ref` is not a valid ref.
        """
        self._context.catalog.check_ref(ref)
        limit = min(limit, _MAX_EDGES)
        return await self._context.readers.read(
            lambda reader: _walk(ref, depth, limit, lambda refs: _users(reader, refs))
        )

    async def list_downstream(
        self, partitions: tuple[str, ...], *, transitive: bool, page_token: str = "", limit: int = 100
    ) -> DownstreamPage:
        """Returns a page of the partitions whose current data was made from given ones.

        Args:
            partitions: Refs or ranges of refs. No job needs to produce them.
            transitive: True for any number of steps; False for one.
            page_token: `next_page_token` of the page before; empty for the first page.
            limit: The maximum number of rows.

        Raises:
            InvalidRequestError: There is no partition, or a partition or the page token is not valid.
        """
        refs = await asyncio.to_thread(starting_points, self._context.catalog, partitions, self._context.limits)
        maximum = self._context.limits.max_downstream_partitions
        return await self._context.readers.read(
            lambda reader: downstream(
                reader, refs, transitive=transitive, limit=limit, page_token=page_token, max_partitions=maximum
            )
        )

    async def declared_downstream(
        self, partitions: tuple[str, ...], *, transitive: bool, limit: int = 100
    ) -> DeclaredDependents:
        """Returns the outputs of declared jobs that would be made from given partitions. Reads no records.

        Args:
            partitions: Refs or ranges of refs. No job needs to produce them.
            transitive: True for any number of steps; False for one.
            limit: The maximum number of results.

        Raises:
            InvalidRequestError: There is no partition, or a partition is not valid.
        """
        refs = await asyncio.to_thread(starting_points, self._context.catalog, partitions, self._context.limits)
        return await asyncio.to_thread(lambda: self._dependents.of(refs, transitive=transitive, limit=limit))

    @functools.cached_property
    def _dependents(self) -> Dependents:
        return Dependents(self._context.catalog)

    async def taint(
        self, partitions: tuple[str, ...], *, tainted: bool, author: str, reason: str, downstream: bool = False
    ) -> Sequence[str]:
        """Taints partitions, or removes their taint. Returns their refs, with ranges expanded.

        Args:
            partitions: Refs or ranges of refs.
            tainted: False to remove the taint.
            author: The name of the caller.
            reason: The reason to record.
            downstream: True to change also what was made from them. No job needs to produce them then.

        Raises:
            InvalidRequestError: There is no partition, a partition has no record, or there are too many.
        """
        refs, taints = await self._taints(
            partitions, tainted=tainted, author=author, reason=reason, downstream=downstream
        )
        for event in taints:
            await self._context.event_log.append([event])
        return refs

    async def check_taint(self, partitions: tuple[str, ...], *, downstream: bool = False) -> None:
        """Checks a request as `taint` does, and records nothing.

        Raises:
            InvalidRequestError: There is no partition, a partition has no record, or there are too many.
        """
        await self._taints(partitions, tainted=True, author="", reason="", downstream=downstream)

    async def _taints(
        self, partitions: tuple[str, ...], *, tainted: bool, author: str, reason: str, downstream: bool
    ) -> tuple[Sequence[str], Sequence[BuildEvent]]:
        limit = self._context.limits.max_partitions
        if downstream:
            given = await asyncio.to_thread(starting_points, self._context.catalog, partitions, self._context.limits)
        elif partitions:
            given = await asyncio.to_thread(self._context.catalog.expand, partitions, limit)
        else:
            raise InvalidRequestError("the request has no partitions; name at least one")

        def events(reader: LineageReads) -> tuple[Sequence[str], Sequence[BuildEvent]]:
            refs = partitions_to_taint(reader, given, limit) if downstream else given
            return refs, taint(reader, refs, tainted=tainted, author=author, reason=reason, clock=self._context.clock)

        return await self._context.readers.read(events)


class _Search(NamedTuple):
    prefix: str
    contains: str
    pattern: PartitionPattern | None
    status: str | None
    max_candidates: int

    def page(self, reader: PartitionReads, after: str, limit: int) -> PartitionPage:
        pattern = self.pattern
        if pattern is None:
            rows = reader.partitions(
                prefix=self.prefix, contains=self.contains, status=self.status, after=after, limit=limit
            )
            return PartitionPage(tuple(rows), rows[-1].ref if len(rows) == limit else "")
        prefix = max(self.prefix, pattern.prefix, key=len)
        # The longer prefix implies the other one, or no ref has both.
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
        for record in islice(candidates, self.max_candidates):
            after = record.ref
            if pattern.match(record.ref) is not None:
                matches.append(record)
                if len(matches) == limit:
                    return PartitionPage(tuple(matches), after)
        complete = next(candidates, None) is None
        return PartitionPage(tuple(matches), "" if complete else after)


def _inputs(reader: PartitionReads, refs: Sequence[str]) -> Iterator[LineageEdge]:
    for record in reader.partition_records(refs).values():
        for input_ in record.manifest.inputs if record.manifest is not None else ():
            yield LineageEdge(input_.ref, record.ref, input_.version, input_.query)


def _users(reader: PartitionReads, refs: Sequence[str]) -> Iterator[LineageEdge]:
    for (ref, _, use), _ in direct_steps(reader, refs):
        yield LineageEdge(use.input, ref, use.version, use.query)


def _walk(ref: str, depth: int, limit: int, edges_of: Callable[[Sequence[str]], Iterator[LineageEdge]]) -> Lineage:
    """Follows edges from a partition, breadth first."""
    seen = {ref}
    level = [ref]
    edges: list[LineageEdge] = []
    for _ in range(depth):
        new_edges = list(islice(edges_of(level), limit - len(edges) + 1))
        edges += new_edges
        if len(edges) > limit:
            return Lineage(tuple(edges[:limit]), complete=False)
        level = list(dict.fromkeys(end for edge in new_edges for end in (edge.input, edge.output) if end not in seen))
        seen.update(level)
        if not level:
            break
    return Lineage(tuple(edges), complete=True)
