"""Events that make data available that no build of the event log has produced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from databuild.model.record_messages import adoption_to_message, location_to_message, manifest_to_message
from databuild.model.records import PartitionRecord
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


def adoption_event(
    refs: Sequence[str],
    *,
    operation_id: str,
    author: str,
    reason: str,
    time: float,
    force: bool = False,
    records: Iterable[PartitionRecord] = (),
) -> ev.BuildEvent:
    """Returns an event that adopts partitions.

    Args:
        refs: The partitions.
        operation_id: The id of the operation, which the event has instead of the id of a build.
        author: The user.
        reason: The reason, and the source of the data.
        time: The time in seconds since the epoch.
        force: True to adopt partitions that are available already or claimed by a build.
        records: The records of partitions in the event log from which they are transferred.
    """
    event = ev.BuildEvent(
        event_id=f"{operation_id}/1",
        build_request_id=operation_id,
        sequence=1,
        adoption=ev.AdoptionEvent(
            partitions=[pt.PartitionRef(str=ref) for ref in refs], author=author, reason=reason, force=force
        ),
    )
    event.time.FromNanoseconds(int(time * 1e9))
    event.adoption.records.extend(map(_record, records))
    return event


def _record(record: PartitionRecord) -> ev.AdoptedRecord:
    message = ev.AdoptedRecord(ref=record.ref, version=record.version)
    if record.manifest is not None:
        message.manifest.CopyFrom(manifest_to_message(record.manifest))
    if record.metadata:
        message.metadata.update(record.metadata)
    if record.adoption is not None:
        message.adoption.CopyFrom(adoption_to_message(record.adoption))
    if record.location is not None:
        message.location.CopyFrom(location_to_message(record.location))
    return message
