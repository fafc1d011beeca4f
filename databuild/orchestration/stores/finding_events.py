"""The events that record the findings of a verification of stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from databuild.event_log.reads import PartitionReads, StoredDataReads
from databuild.model.record_messages import location_to_message
from databuild.model.records import Location
from databuild.model.store_check import ADOPT, REBUILD, StoreFinding
from databuild.orchestration.maintenance.operations import operation
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


class Reads(PartitionReads, StoredDataReads, Protocol):
    """The reads for events."""


def finding_events(
    reader: Reads,
    findings: Sequence[StoreFinding],
    versions: Mapping[str, str],
    found: Mapping[str, Location],
    policy: str,
    *,
    author: str,
    clock: Callable[[], float],
) -> list[ev.BuildEvent]:
    """Makes the events that record findings, each an operation of its own.

    Args:
        reader: Reads the event log.
        findings: The findings.
        versions: The versions that the data had when it was looked at, by ref.
        found: The places of changed data with the facts that are there now, by ref.
        policy: The policy for changed data, one of `POLICIES`.
        author: The user who verifies.
        clock: Returns the time in seconds since the epoch.
    """
    missing = [finding.ref for finding in findings if finding.kind == "missing"]
    changed = [finding for finding in findings if finding.kind == "changed"]
    events = [_missing(missing, versions, author, clock)] if missing else []
    if changed and policy in {REBUILD, ADOPT}:
        # A build may have replaced the data since it was read. The window that is left is as small as that of `taint`.
        current = {one.ref: one.version for one in reader.stored_data_of([finding.ref for finding in changed])}
        changed = [finding for finding in changed if current.get(finding.ref) == versions[finding.ref]]
        if policy == ADOPT:
            events += _adoption(reader, changed, found, author, clock)
        else:
            events += _taints(changed, author, clock)
    return events


def _missing(
    refs: Sequence[str], versions: Mapping[str, str], author: str, clock: Callable[[], float]
) -> ev.BuildEvent:
    partitions = [ev.MissingPartition(ref=ref, version=versions[ref]) for ref in refs]
    return operation(clock, missing=ev.MissingEvent(partitions=partitions, author=author))


def _taints(changed: Sequence[StoreFinding], author: str, clock: Callable[[], float]) -> Iterator[ev.BuildEvent]:
    by_detail: dict[str, list[pt.PartitionRef]] = {}
    for finding in changed:
        by_detail.setdefault(finding.detail, []).append(pt.PartitionRef(str=finding.ref))
    for detail, refs in by_detail.items():
        reason = f"changed in its store: {detail}"
        yield operation(clock, taint=ev.TaintEvent(partitions=refs, tainted=True, author=author, reason=reason))


def _adoption(
    reader: PartitionReads,
    changed: Sequence[StoreFinding],
    found: Mapping[str, Location],
    author: str,
    clock: Callable[[], float],
) -> list[ev.BuildEvent]:
    """Returns the adoption of changed data, which keeps its metadata: other jobs may find the data by it."""
    if not changed:
        return []
    records = reader.partition_records([finding.ref for finding in changed])
    event = operation(
        clock,
        adoption=ev.AdoptionEvent(
            partitions=[pt.PartitionRef(str=finding.ref) for finding in changed],
            author=author,
            reason="changed in its store",
            force=True,
        ),
    )
    for finding in changed:
        record = event.adoption.records.add(ref=finding.ref, version=event.event_id)
        record.location.CopyFrom(location_to_message(found[finding.ref]))
        if finding.ref in records and records[finding.ref].metadata:
            record.metadata.update(records[finding.ref].metadata)
    return [event]
