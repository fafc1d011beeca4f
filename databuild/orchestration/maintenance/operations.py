"""Operations: single events that are of no build, written on somebody's behalf (a taint, a request to cancel).

It makes the events and refuses what makes no sense; who asked, and where the events go, the edges know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from databuild.errors import BuildStateError, InvalidRequestError
from databuild.event_log.reads import OpenBuildReads, PartitionReads
from databuild.model import statuses
from databuild.model.build_request_id import new_build_request_id
from databuild.model.records import BuildRecord
from databuild.orchestration.coordination.dead_builds import find_dead
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


def cancel_request(
    reader: OpenBuildReads, build: BuildRecord, author: str, *, clock: Callable[[], float] = time.time
) -> ev.BuildEvent:
    """Returns the event that asks the orchestrator of a build to stop it.

    Raises:
        BuildStateError: The build has ended, or its orchestrator has died.
    """
    build_request_id = build.build_request_id
    if build.status in statuses.BUILD.ended:
        raise BuildStateError(build_request_id, build.status, f"has already ended: {build.status}")
    dead = find_dead(reader).get(build_request_id)
    if dead is not None:
        fault = f"cannot be stopped: {dead.fault}; `retry {build_request_id}` goes on from where it was"
        raise BuildStateError(build_request_id, build.status, fault)
    event = ev.CancelRequestEvent(target_build_request_id=build_request_id, author=author)
    return _operation(clock, cancel_request=event)


def taint(
    reader: PartitionReads,
    refs: Sequence[str],
    *,
    tainted: bool,
    author: str,
    reason: str,
    clock: Callable[[], float] = time.time,
) -> ev.BuildEvent:
    """Returns the event that marks partitions as not to be trusted, or takes the mark away.

    Raises:
        InvalidRequestError: Nothing is known of a partition, so that it cannot have a mark.
    """
    known = reader.partition_records(refs)
    unknown = [ref for ref in refs if ref not in known]
    if unknown:
        raise InvalidRequestError(
            f"nothing is known of the partition {unknown[0]!r}, so there is nothing to mark; `partitions` lists what is"
        )
    partitions = [pt.PartitionRef(str=ref) for ref in refs]
    return _operation(clock, taint=ev.TaintEvent(partitions=partitions, tainted=tainted, author=author, reason=reason))


def _operation(clock: Callable[[], float], **event: Any) -> ev.BuildEvent:
    """Returns the one event of an operation, filed under an id of its own as if of a build."""
    now = clock()
    operation_id = new_build_request_id(now)
    message = ev.BuildEvent(event_id=f"{operation_id}/1", build_request_id=operation_id, sequence=1, **event)
    message.time.FromNanoseconds(int(now * 1e9))
    return message
