"""The graph by job, with what the event log has of it: the counts of partitions, and recorded inputs.

Counting takes time in proportion to the partitions. So all requests share one result, and counting it again takes at
most a twentieth of the time of one reader.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from databuild.event_log.reads import PartitionReads
from databuild.graph.catalog import JobCatalog
from databuild.graph.job_edges import graph_view, recorded_edges
from databuild.graph.patterns import PartitionPattern
from databuild.model.graph_view import GraphEdge, GraphView, PartitionCounts
from databuild.model.paging import read_rows
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool
from databuild.service.resources.single_flight import SingleFlight
from databuild.tuples import NamedTuple

_MIN_SECONDS: Final = 1.0
"""Minimum time between two counts."""

_PAUSE_FACTOR: Final = 19
"""The time between two counts, as a multiple of the duration of one."""

_MAX_AGE_SECONDS: Final = 10.0
"""The time after which a count is too old, once it could have been renewed."""

_SAMPLED_PARTITIONS: Final = 5
_SAMPLED_INPUTS: Final = 200
"""The partitions of each pattern, and the inputs of each, that are read to find the producers of recorded inputs."""


class _Range(NamedTuple):
    """Patterns whose refs begin with a prefix, and no other patterns' refs do."""

    prefix: str
    patterns: tuple[tuple[PartitionPattern, str], ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(label for _, label in self.patterns))


class GraphRecords:
    """The graph by job. Used from one event loop.

    Args:
        catalog: The jobs.
        limits: The limits on searches.
        readers: Read the event log.
        clock: Returns a time in seconds that never goes back.
        patience_seconds: The time for which a request waits for a new count while it has one that is not too old.
    """

    def __init__(
        self,
        catalog: JobCatalog,
        limits: Limits,
        readers: ReaderPool,
        clock: Callable[[], float] = time.monotonic,
        patience_seconds: float = 0.05,
    ) -> None:
        self._catalog = catalog
        self._limits = limits
        self._readers = readers
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._declared: GraphView | None = None
        self._recorded: GraphView | None = None
        self._renewal_time = 0.0
        self._flights: SingleFlight[bool, GraphView] = SingleFlight()

    async def view(self, *, records: bool) -> GraphView:
        """Returns the graph by job.

        Args:
            records: True to include counts of partitions and recorded inputs, which may be some seconds old.
        """
        if not records:
            return self._declared or await self._flights.run(False, self._declare)
        if self._recorded is None:
            return await self._flights.run(True, self._count)
        if self._clock() < self._renewal_time:
            return self._recorded
        is_recent = self._clock() < self._renewal_time + _MAX_AGE_SECONDS
        try:
            async with asyncio.timeout(self._patience_seconds if is_recent else None):
                return await self._flights.run(True, self._count)
        except TimeoutError:
            return self._recorded  # the count continues, for the next request

    async def _declare(self) -> GraphView:
        self._declared = await asyncio.to_thread(graph_view, self._catalog)
        return self._declared

    async def _count(self) -> GraphView:
        view = await self.view(records=False)
        start = self._clock()
        counts, edges = await self._readers.read(self._read)
        end = self._clock()
        self._renewal_time = end + max(_MIN_SECONDS, _PAUSE_FACTOR * (end - start))
        jobs = tuple(job._replace(counts=counts.get(job.job_label)) for job in view.jobs)
        self._recorded = view._replace(jobs=jobs, edges=view.edges + edges)
        return self._recorded

    def _read(self, reader: PartitionReads) -> tuple[Mapping[str, PartitionCounts], tuple[GraphEdge, ...]]:
        counts = partition_counts(reader, self._catalog, self._limits.max_search_candidates)
        edges = [
            edge
            for label, job in sorted(self._catalog.jobs.items())
            if job.declaration is None
            for edge in recorded_edges(self._catalog, label, _sampled_inputs(reader, job.patterns))
        ]
        return counts, tuple(edges)


def partition_counts(reader: PartitionReads, catalog: JobCatalog, max_candidates: int) -> Mapping[str, PartitionCounts]:
    """Returns the number of partitions of each job that has patterns, by label.

    The partitions of a job are those whose refs begin with the literal beginning of its patterns. Refs are matched only
    where those of several jobs begin so.

    Args:
        reader: Reads the event log.
        catalog: The jobs.
        max_candidates: The maximum number of refs that are matched; counts of jobs with more are incomplete.
    """
    counts: dict[str, Counter[str]] = {label: Counter() for label, job in catalog.jobs.items() if job.outputs}
    incomplete: set[str] = set()
    for refs in _ranges(catalog):
        if len(refs.labels) == 1:
            counts[refs.labels[0]].update(reader.counts_under(refs.prefix))
            continue
        statuses = _statuses(reader, refs.prefix)
        for ref, status in islice(statuses, max_candidates):
            for pattern, label in refs.patterns:
                if pattern.match(ref) is not None:
                    counts[label][status] += 1
        if next(statuses, None) is not None:
            incomplete.update(refs.labels)
    return {label: PartitionCounts(dict(sorted(c.items())), label not in incomplete) for label, c in counts.items()}


def _ranges(catalog: JobCatalog) -> list[_Range]:
    """Divides the patterns: the refs of two parts have no beginning in common that is as long as their prefixes."""
    patterns = [(pattern, label) for label, job in catalog.jobs.items() for pattern in job.patterns]
    ranges: list[_Range] = []
    for pattern, label in sorted(patterns, key=lambda item: item[0].prefix):
        if ranges and pattern.prefix.startswith(ranges[-1].prefix):
            ranges[-1] = ranges[-1]._replace(patterns=(*ranges[-1].patterns, (pattern, label)))
        else:
            ranges.append(_Range(pattern.prefix, ((pattern, label),)))
    return ranges


def _statuses(reader: PartitionReads, prefix: str) -> Iterator[tuple[str, str]]:
    return read_rows(
        lambda after, limit: reader.statuses_under(prefix, after=after, limit=limit), key=lambda row: row[0], start=""
    )


def _sampled_inputs(reader: PartitionReads, patterns: Sequence[PartitionPattern]) -> Iterator[str]:
    for pattern in patterns:
        for record in reader.partitions(prefix=pattern.prefix, status="AVAILABLE", limit=_SAMPLED_PARTITIONS):
            if record.manifest is not None and pattern.match(record.ref) is not None:
                yield from (input_.ref for input_ in record.manifest.inputs[:_SAMPLED_INPUTS])
