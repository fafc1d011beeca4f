"""Operations: single events that belong to no build, such as a taint or a cancel request.

Validates an operation and makes its event. The callers append it to the event log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from databuild.errors import BuildStateError, InvalidRequestError
from databuild.event_log import liveness as processes
from databuild.event_log.liveness import Liveness
from databuild.event_log.reads import LineageReads, OpenBuildReads
from databuild.model import statuses
from databuild.model.build_request_id import new_build_request_id
from databuild.model.records import BuildRecord
from databuild.orchestration.coordination.dead_builds import engine_of, find_dead_builds
from databuild.orchestration.events.payloads import REFS_PER_EVENT
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


def cancel_request(
    reader: OpenBuildReads,
    build: BuildRecord,
    author: str,
    *,
    clock: Callable[[], float] = time.time,
    liveness: Liveness = processes,
) -> ev.BuildEvent:
    """Makes the event that asks the orchestrator of a build to cancel it.

    Raises:
        BuildStateError: The build has ended, or its orchestrator has died and no other process will continue it.
    """
    build_request_id = build.build_request_id
    if build.status in statuses.BUILD.ended:
        raise BuildStateError(build_request_id, build.status, f"has already ended: {build.status}")
    dead = find_dead_builds(reader, liveness).get(build_request_id)
    if dead is not None and not engine_of(reader, build_request_id):
        fault = f"cannot be cancelled: {dead.fault}; `retry {build_request_id}` continues it"
        raise BuildStateError(build_request_id, build.status, fault)
    event = ev.CancelRequestEvent(target_build_request_id=build_request_id, author=author)
    return operation(clock, cancel_request=event)


def taint(
    reader: LineageReads,
    refs: Sequence[str],
    *,
    tainted: bool,
    author: str,
    reason: str,
    clock: Callable[[], float] = time.time,
) -> list[ev.BuildEvent]:
    """Makes the events that mark partitions as tainted, or remove the taint. Append each separately.

    Each is an operation of its own, with a limited number of partitions.

    Raises:
        InvalidRequestError: The event log has no record of a partition.
    """
    events = []
    for start in range(0, len(refs), REFS_PER_EVENT):
        chunk = refs[start : start + REFS_PER_EVENT]
        states = reader.partition_states(chunk)
        if unknown := next((ref for ref in chunk if ref not in states), None):
            raise InvalidRequestError(
                f"the event log has no record of the partition {unknown!r}; `partitions` lists partitions with a record"
            )
        partitions = [pt.PartitionRef(str=ref) for ref in chunk]
        event = ev.TaintEvent(partitions=partitions, tainted=tainted, author=author, reason=reason)
        events.append(operation(clock, taint=event))
    return events


def operation(clock: Callable[[], float], **event: Any) -> ev.BuildEvent:
    """Returns the event of an operation. Its id takes the place of a build's id.

    Args:
        clock: Returns the time in seconds since the epoch.
        **event: The message of the event, under the name of its kind.
    """
    now = clock()
    operation_id = new_build_request_id(now)
    message = ev.BuildEvent(event_id=f"{operation_id}/1", build_request_id=operation_id, sequence=1, **event)
    message.time.FromNanoseconds(int(now * 1e9))
    return message
