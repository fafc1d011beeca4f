"""Makes data known that was not built here: events of no build."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from databuild.event_log.log import EventLog
from databuild.event_log.reads import PartitionReads
from databuild.executors.executor import Executor
from databuild.graph.catalog import JobCatalog
from databuild.graph.ownership import Ownership
from databuild.model.paging import read_pages
from databuild.model.record_messages import adoption_to_message, manifest_to_message
from databuild.model.records import PartitionRecord
from databuild.orchestration.coordination.coordination import Coordination
from databuild.orchestration.jobs.looking_up import lookup_of
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_MAX_ADOPTED: Final = 1000
"""How many partitions one event takes over at most."""


async def adopt(
    refs: Sequence[str],
    *,
    operation_id: str,
    author: str,
    reason: str,
    force: bool = False,
    catalog: JobCatalog,
    event_log: EventLog,
    executor: Executor,
    working_directory: str,
    clock: Callable[[], float] = time.time,
) -> ev.BuildEvent:
    """Makes partitions available as they are, all of them or none, and returns the event that says so.

    Builds that have died are ended first, so that nothing of theirs stands in the way, or fails the partitions later.

    Args:
        refs: The partitions, ranges expanded.
        operation_id: What the event is filed under; no build has this id.
        author: Who does it.
        reason: Why, and where the data comes from.
        force: Whether to adopt also what is available already, or claimed by a build.
        catalog: The jobs, one of which produces each of the partitions.
        event_log: Where the event goes.
        executor: Ends what dead builds left behind, and runs the graph's lookup, where it has one.
        working_directory: The working directory of the lookup.
        clock: Returns the time in seconds since the epoch.

    Raises:
        UnknownPartitionError: No job produces one of them.
        AdoptionRefusedError: One of them is available, or claimed by a build.
        LookupFaultError: The graph's lookup failed.
        EventLogError: The event could not be written.
    """
    await Ownership(catalog, lookup_of(catalog, executor, working_directory)).find(refs)
    await _end_the_dead(event_log, executor, operation_id, clock)
    event = _adoption(refs, operation_id=operation_id, author=author, reason=reason, force=force, clock=clock)
    await event_log.append([event])
    return event


class TakenOver(NamedTuple):
    """What became of the records of another event log.

    Attributes:
        operations: What the events are filed under.
        adopted: How many partitions were made available.
        there_already: How many were left as they are, since they are available here or about to be.
        not_available: How many have no complete data there that could be trusted.
        not_produced: How many are produced by no job of the graph.
    """

    operations: tuple[str, ...] = ()
    adopted: int = 0
    there_already: int = 0
    not_available: int = 0
    not_produced: int = 0


async def take_over(
    source: PartitionReads,
    *,
    wanted: Callable[[str], bool],
    new_operation_id: Callable[[], str],
    author: str,
    reason: str,
    force: bool = False,
    catalog: JobCatalog,
    event_log: EventLog,
    executor: Executor,
    working_directory: str,
    clock: Callable[[], float] = time.time,
) -> TakenOver:
    """Adopts what another event log knows, with versions, metadata and manifests, so that nothing becomes stale by it.

    Written page by page: after an interruption, what is left is taken over by doing it again.

    Args:
        source: Reads the other log.
        wanted: Whether a ref is to be taken over.
        new_operation_id: Returns an id that nothing is filed under.
        author: Who does it.
        reason: Why, and where the data comes from.
        force: Whether to take over also what is available here already, or claimed by a build.
        catalog: The jobs.
        event_log: Where the events go.
        executor: Ends what dead builds left behind, and runs the graph's lookup, where it has one.
        working_directory: The working directory of the lookup.
        clock: Returns the time in seconds since the epoch.

    Raises:
        AdoptionRefusedError: A build here has made one of them, or claimed it, meanwhile.
        LookupFaultError: The graph's lookup failed.
        EventLogError: A log could not be read or written.
    """
    ownership = Ownership(catalog, lookup_of(catalog, executor, working_directory))
    await _end_the_dead(event_log, executor, new_operation_id(), clock)
    result = TakenOver()
    reader = event_log.reader()
    try:
        for page in pages_of(source, wanted):
            good = [record for record in page if record.available and not record.tainted]
            await ownership.try_find(record.ref for record in good)
            owned = [record for record in good if record.ref in ownership.labels]
            here = reader.partition_records([record.ref for record in owned])
            claimed = reader.claimed([record.ref for record in owned])
            free = [
                record
                for record in owned
                if force or (record.ref not in claimed and not (record.ref in here and here[record.ref].available))
            ]
            operations = result.operations
            if free:
                operations += (new_operation_id(),)
                event = _adoption(
                    [record.ref for record in free],
                    operation_id=operations[-1],
                    author=author,
                    reason=reason,
                    force=force,
                    clock=clock,
                )
                event.adoption.records.extend(map(_record, free))
                await event_log.append([event])
            result = TakenOver(
                operations,
                result.adopted + len(free),
                result.there_already + len(owned) - len(free),
                result.not_available + len(page) - len(good),
                result.not_produced + len(good) - len(owned),
            )
    finally:
        reader.close()
    return result


def pages_of(source: PartitionReads, wanted: Callable[[str], bool]) -> Iterator[list[PartitionRecord]]:
    """Yields what a log knows of the partitions that are wanted, by ref, in pages that may be empty."""
    pages = read_pages(
        lambda after, limit: source.partitions(after=after, limit=limit),
        key=lambda record: record.ref,
        start="",
        size=_MAX_ADOPTED,
    )
    for page in pages:
        yield [record for record in page if wanted(record.ref)]


async def _end_the_dead(event_log: EventLog, executor: Executor, operation_id: str, clock: Callable[[], float]) -> None:
    reader = event_log.reader()
    try:
        await Coordination(event_log, reader, executor, operation_id, clock=clock, lease_seconds=0).end_the_dead()
    finally:
        reader.close()


def _adoption(
    refs: Sequence[str], *, operation_id: str, author: str, reason: str, force: bool, clock: Callable[[], float]
) -> ev.BuildEvent:
    event = ev.BuildEvent(
        event_id=f"{operation_id}/1",
        build_request_id=operation_id,
        sequence=1,
        adoption=ev.AdoptionEvent(
            partitions=[pt.PartitionRef(str=ref) for ref in refs], author=author, reason=reason, force=force
        ),
    )
    event.time.FromNanoseconds(int(clock() * 1e9))
    return event


def _record(record: PartitionRecord) -> ev.AdoptedRecord:
    message = ev.AdoptedRecord(ref=record.ref, version=record.version)
    if record.manifest is not None:
        message.manifest.CopyFrom(manifest_to_message(record.manifest))
    if record.metadata:
        message.metadata.update(record.metadata)
    if record.adoption is not None:
        message.adoption.CopyFrom(adoption_to_message(record.adoption))
    return message
