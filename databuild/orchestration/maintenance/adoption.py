"""Adoption: records that data exists that no build of this event log has produced. Its events belong to no build."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from databuild.event_log.log import EventLog
from databuild.event_log.reads import PartitionReads
from databuild.executors.executor import ProcessExecutor
from databuild.graph.catalog import JobCatalog
from databuild.graph.ownership import Ownership
from databuild.model.adoption_events import adoption_event
from databuild.model.paging import read_pages
from databuild.model.records import PartitionRecord
from databuild.orchestration.coordination.coordination import Coordination
from databuild.orchestration.jobs.lookup_process import lookup_for
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev

_MAX_ADOPTED: Final = 1000
"""Maximum number of partitions adopted by one event."""


async def check_produced(
    refs: Sequence[str], *, catalog: JobCatalog, executor: ProcessExecutor, working_directory: str
) -> None:
    """Checks that partitions may be adopted, as far as the graph says.

    Args:
        refs: The partitions, ranges expanded.
        catalog: The jobs.
        executor: Runs the graph's lookup if there is one.
        working_directory: The working directory of the lookup.

    Raises:
        UnknownPartitionError: No job produces a partition.
        LookupFaultError: The graph's lookup failed.
    """
    await Ownership(catalog, lookup_for(catalog, executor, working_directory)).find(refs)


async def adopt(
    refs: Sequence[str],
    *,
    operation_id: str,
    author: str,
    reason: str,
    force: bool = False,
    event_log: EventLog,
    executor: ProcessExecutor,
    clock: Callable[[], float] = time.time,
) -> ev.BuildEvent:
    """Makes partitions that jobs produce available without building them, all or none, and returns the event.

    Ends dead builds first: their claims would refuse the adoption, and their end could fail the partitions later.

    Args:
        refs: The partitions, ranges expanded, which `check_produced` has checked.
        operation_id: The id of the operation, which the event has instead of the id of a build.
        author: The user.
        reason: The reason, and the source of the data.
        force: True to adopt partitions that are available already or claimed by a build.
        event_log: Stores the event.
        executor: Ends processes of dead builds.
        clock: Returns the time in seconds since the epoch.

    Raises:
        AdoptionRefusedError: A partition is available, or claimed by a build.
        EventLogError: The event could not be written.
    """
    await _end_dead_builds(event_log, executor, operation_id, clock)
    event = adoption_event(refs, operation_id=operation_id, author=author, reason=reason, force=force, time=clock())
    await event_log.append([event])
    return event


class AdoptionCounts(NamedTuple):
    """Result of an adoption from another event log.

    Attributes:
        operations: The ids of the operations that adopted partitions.
        adopted: The number of adopted partitions.
        already_available: The number of partitions skipped since they are available here, or claimed by a build.
        not_available: The number of partitions skipped since they are tainted or not available in the other log.
        not_produced: The number of partitions skipped since no job of the graph produces them.
    """

    operations: tuple[str, ...] = ()
    adopted: int = 0
    already_available: int = 0
    not_available: int = 0
    not_produced: int = 0


async def adopt_from(
    source: PartitionReads,
    *,
    selected: Callable[[str], bool],
    new_operation_id: Callable[[], str],
    author: str,
    reason: str,
    force: bool = False,
    catalog: JobCatalog,
    event_log: EventLog,
    executor: ProcessExecutor,
    working_directory: str,
    clock: Callable[[], float] = time.time,
) -> AdoptionCounts:
    """Adopts partitions of another event log with their versions, metadata and manifests, so that they stay fresh.

    Each page of partitions is written separately. After an interruption, another call adopts the rest.

    Args:
        source: Reads the other event log.
        selected: Returns True for refs to adopt.
        new_operation_id: Returns the id of a new operation.
        author: The user.
        reason: The reason, and the source of the data.
        force: True to adopt partitions that are available here already or claimed by a build.
        catalog: The jobs.
        event_log: Stores the events.
        executor: Ends processes of dead builds, and runs the graph's lookup if there is one.
        working_directory: The working directory of the lookup.
        clock: Returns the time in seconds since the epoch.

    Raises:
        AdoptionRefusedError: A build here has produced or claimed a partition meanwhile.
        LookupFaultError: The graph's lookup failed.
        EventLogError: A log could not be read or written.
    """
    ownership = Ownership(catalog, lookup_for(catalog, executor, working_directory))
    await _end_dead_builds(event_log, executor, new_operation_id(), clock)
    result = AdoptionCounts()
    reader = event_log.reader()
    try:
        for page in record_pages(source, selected):
            usable = [record for record in page if record.available and not record.tainted]
            await ownership.try_find(record.ref for record in usable)
            owned = [record for record in usable if record.ref in ownership.labels]
            own_records = reader.partition_records([record.ref for record in owned])
            # The event log checks both again in the transaction of the event, and refuses the page after a change.
            claimed = reader.claimed([record.ref for record in owned])
            adoptable = [
                record
                for record in owned
                if force
                or (record.ref not in claimed and not (record.ref in own_records and own_records[record.ref].available))
            ]
            operations = result.operations
            if adoptable:
                operations += (new_operation_id(),)
                event = adoption_event(
                    [record.ref for record in adoptable],
                    operation_id=operations[-1],
                    author=author,
                    reason=reason,
                    force=force,
                    time=clock(),
                    records=adoptable,
                )
                await event_log.append([event])
            result = AdoptionCounts(
                operations,
                result.adopted + len(adoptable),
                result.already_available + len(owned) - len(adoptable),
                result.not_available + len(page) - len(usable),
                result.not_produced + len(usable) - len(owned),
            )
    finally:
        reader.close()
    return result


def record_pages(source: PartitionReads, selected: Callable[[str], bool]) -> Iterator[list[PartitionRecord]]:
    """Yields the records of selected partitions in the order of refs, in pages that may be empty."""
    pages = read_pages(
        lambda after, limit: source.partitions(after=after, limit=limit),
        key=lambda record: record.ref,
        start="",
        size=_MAX_ADOPTED,
    )
    for page in pages:
        yield [record for record in page if selected(record.ref)]


async def _end_dead_builds(
    event_log: EventLog, executor: ProcessExecutor, operation_id: str, clock: Callable[[], float]
) -> None:
    reader = event_log.reader()
    try:
        # Without a lease: it only ends other builds, and the operation is no build.
        await Coordination(event_log, reader, executor, operation_id, clock=clock, lease_seconds=0).end_dead_builds()
    finally:
        reader.close()
