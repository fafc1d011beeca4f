"""Data that somebody has changed in its store, and that builds use before the change is recorded.

A job run that reads such data has a version of its own for that input in its manifest. So the outputs are fresh as long
as the data stays as it was read, and stale as soon as the input is rebuilt or its change is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import groupby

from databuild.event_log.downstream import direct_steps
from databuild.event_log.reads import LineageReads
from databuild.graph.ports import PartitionRecords
from databuild.model.job_run_id import parse_job_run_id
from databuild.model.pacing import slices
from databuild.model.records import UNRECORDED, Location, Manifest, PartitionRecord
from databuild.orchestration.events.payloads import REFS_PER_EVENT
from databuild.orchestration.maintenance.operations import operation
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


class UnrecordedChange(NamedTuple):
    """Data that is not that of its record.

    Attributes:
        recorded: The version in its record.
        read: The version that manifests give to the input.
    """

    recorded: str
    read: str


def unrecorded_change(recorded: str, found: Location) -> UnrecordedChange:
    """Names the version of changed data.

    Args:
        recorded: The version in its record.
        found: Its place, with the facts that are there now.
    """
    return UnrecordedChange(recorded, f"{UNRECORDED}{found.size}:{found.version}")


class RecordsOfUsers:
    """Records in which outputs that were made from changed data count as made from the recorded version.

    Implements `PartitionRecords`.
    """

    def __init__(self, records: PartitionRecords, changes: Mapping[str, UnrecordedChange]) -> None:
        """Stores the arguments.

        Args:
            records: The records.
            changes: The changes, by ref; more may be added.
        """
        self._records = records
        self._changes = changes

    def partition_records(self, refs: Collection[str], /) -> Mapping[str, PartitionRecord]:
        records = self._records.partition_records(refs)
        if not self._changes:
            return records
        manifests: dict[int, Manifest] = {}  # outputs of one job run share a manifest
        return {ref: self._as_recorded(record, manifests) for ref, record in records.items()}

    def _as_recorded(self, record: PartitionRecord, manifests: dict[int, Manifest]) -> PartitionRecord:
        manifest = record.manifest
        if manifest is None or not any(self._was_read(one.ref, one.version) for one in manifest.inputs):
            return record
        if id(manifest) not in manifests:
            inputs = tuple(
                one._replace(version=self._changes[one.ref].recorded) if self._was_read(one.ref, one.version) else one
                for one in manifest.inputs
            )
            manifests[id(manifest)] = manifest._replace(inputs=inputs)
        return record._replace(manifest=manifests[id(manifest)])

    def _was_read(self, ref: str, version: str) -> bool:
        return ref in self._changes and self._changes[ref].read == version


def taints_of_users(
    reader: LineageReads, refs: Collection[str], build_request_id: str, *, clock: Callable[[], float]
) -> Iterator[ev.BuildEvent]:
    """Yields operations that taint what a build has made from inputs whose data changed meanwhile.

    Nobody knows whether a job run read its input before or after the change.

    Args:
        reader: Reads the event log, which has the events of the job runs.
        refs: The inputs.
        build_request_id: The build.
        clock: Returns the time in seconds since the epoch.
    """
    steps = (
        step
        for step, _ in direct_steps(reader, refs)
        if step.use.job_run_id
        and not step.use.query
        and parse_job_run_id(step.use.job_run_id).build_request_id == build_request_id
    )
    seen: set[str] = set()
    for used, users in groupby(steps, key=lambda step: step.use.input):
        new = [step.ref for step in users if step.ref not in seen]
        seen.update(new)
        reason = f"its input {used!r} changed in its store while the build ran"
        for some in slices(new, REFS_PER_EVENT):
            partitions = [pt.PartitionRef(str=ref) for ref in some]
            taint = ev.TaintEvent(
                partitions=partitions, tainted=True, author=f"build {build_request_id}", reason=reason
            )
            yield operation(clock, taint=taint)
