"""Late results: results of a build that another build has declared dead and ended.

They are recorded to explain data that appeared after the end of the build. They change no partition.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from databuild.errors import CoordinationError
from databuild.event_log.log import EventLog
from databuild.model import statuses
from databuild.model.build_request_id import new_build_request_id
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_RESULTS = frozenset({ev.JOB_STATUS_COMPLETED, ev.JOB_STATUS_FAILED})


async def raise_if_overtaken(
    event_log: EventLog, build_request_id: str, refused: Sequence[ev.BuildEvent], now: float
) -> None:
    """Checks whether events were refused since another process has ended the build; if so, records their results.

    Args:
        event_log: The event log.
        build_request_id: The build.
        refused: The events of the build that were refused.
        now: The time in seconds since the epoch.

    Raises:
        CoordinationError: Another process has ended the build.
        EventLogError: The event log could not be read or written.
    """
    with contextlib.closing(event_log.reader()) as reader:
        record = reader.build(build_request_id)
    if record is None or record.status not in statuses.BUILD.ended:
        return
    late = _late_result(build_request_id, refused)
    if late is not None:
        operation = new_build_request_id(now)
        stamp = Timestamp(seconds=int(now), nanos=int(now % 1 * 1e9))
        event = ev.BuildEvent(
            event_id=f"{operation}/1", build_request_id=operation, sequence=1, time=stamp, late_result=late
        )
        await event_log.append([event])
    raise CoordinationError(build_request_id, f"it is {record.status}")


def _late_result(build_request_id: str, refused: Sequence[ev.BuildEvent]) -> ev.LateResultEvent | None:
    runs = [event.job for event in refused if event.job.status in _RESULTS]
    completed = {event.partition.ref for event in refused if event.partition.status == pt.PARTITION_STATUS_AVAILABLE}
    if not runs and not completed:
        return None
    return ev.LateResultEvent(
        target_build_request_id=build_request_id,
        job_runs=runs,
        partitions=[pt.PartitionRef(str=ref) for ref in sorted(completed)],
    )
