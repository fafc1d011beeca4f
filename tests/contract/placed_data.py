"""Helpers that write and read partitions with the places of their data."""

from __future__ import annotations

from collections.abc import Mapping

from databuild.event_log.log import EventLog
from databuild.model.records import Location, PartitionRecord
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event, partition_available
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

PLACE = pt.Location(uri="file:///data/p", size_bytes=7, version="1.2")
LOCATION = Location("file:///data/p", 7, "1.2")


def records(log: EventLog, *refs: str) -> Mapping[str, PartitionRecord]:
    return log.reader().partition_records(refs)


async def place(one: BuildOrchestrator, number: int, ref: str, location: pt.Location, attempt: int = 1) -> None:
    """Writes the events of a task that runs and produces a ref at a location."""
    run = f"{one.build_request_id}.{number}.{attempt}"
    for status in (ev.JOB_STATUS_SCHEDULED, ev.JOB_STATUS_RUNNING):
        one.emit(("job", job_event(run, number, "//:j", status, attempt)))
    one.emit_partition_building(ref, number, run)
    one.emit_job_completed(run, number, "//:j", attempt)
    await one.emit(partition_available(ref, number, run, "", None, location))
