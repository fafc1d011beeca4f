"""Makes data known that was not built here: one event, of no build."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from databuild.event_log.log import EventLog
from databuild.executors.executor import Executor
from databuild.graph.catalog import JobCatalog
from databuild.graph.ownership import Ownership
from databuild.orchestration.coordination import Coordination
from databuild.orchestration.looking_up import lookup_of
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


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
    reader = event_log.reader()
    try:
        dead = Coordination(event_log, reader, executor, operation_id, clock=clock, lease_seconds=0)
        await dead.end_the_dead()
    finally:
        reader.close()
    event = ev.BuildEvent(
        event_id=f"{operation_id}/1",
        build_request_id=operation_id,
        sequence=1,
        adoption=ev.AdoptionEvent(
            partitions=[pt.PartitionRef(str=ref) for ref in refs], author=author, reason=reason, force=force
        ),
    )
    event.time.FromNanoseconds(int(clock() * 1e9))
    await event_log.append([event])
    return event
