"""The projection: computes rows of the read models from events alone.

The store writes the rows in the same transaction as the events, and a rebuild computes them again. It knows no SQL.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from databuild.errors import EventLogError
from databuild.model.enum_names import category_name, reason_name, severity_name
from databuild.model.lifecycle import (
    BUILD_ENDS,
    JOB_ENDS,
    OPERATIONS,
    build_status_name,
    job_status_name,
    partition_status_name,
)
from databuild.model.metadata import metadata_json, schema_json
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_JOB_NAMES = {value: job_status_name(value) for value in ev.JobStatus.values()}
_PARTITION_NAMES = {value: partition_status_name(value) for value in pt.PartitionStatus.values()}
_REASON_NAMES = {value: reason_name(value) for value in pt.Reason.values()}
_REASON_NAMES[0] = ""
_CATEGORY_NAMES = {value: category_name(value) for value in pt.FailureCategory.values()}
_REQUESTED, _BUILDING = pt.PARTITION_STATUS_REQUESTED, pt.PARTITION_STATUS_BUILDING
_AVAILABLE, _FAILED = pt.PARTITION_STATUS_AVAILABLE, pt.PARTITION_STATUS_FAILED
_DELEGATED, _MISSING = pt.PARTITION_STATUS_DELEGATED, pt.PARTITION_STATUS_MISSING
_SEVERITY_NAMES = {value: severity_name(value) for value in pt.CheckResult.Severity.values()}
_NEVER_RAN: Final = frozenset({ev.JOB_STATUS_CANCELLED, ev.JOB_STATUS_SKIPPED})
_NO_FAILURE: Final = (None, None)
_KINDS_WITH_PARTITIONS: Final = frozenset({"taint", "adoption"})
_KINDS_WITHOUT_PARTITIONS: Final = frozenset(
    {"build_request", "job_graph", "job", "delegation", "cancel_request", "late_result", "placement"}
)
"""Kinds of events that change no partition record."""


class NewRun(NamedTuple):
    """A new row of a job run."""

    job_run_id: str
    build_request_id: str
    number: int
    task_id: int
    job_label: str
    attempt: int
    status: str
    scheduled_time: float


class StartedRun(NamedTuple):
    """New values of a job run that has started, with its manifest; `inputs` and `output_digests` are JSON."""

    status: str
    started_time: float
    code_digest: str
    configuration_digest: str
    inputs: str
    output_digests: str | None
    job_run_id: str


class EndedRun(NamedTuple):
    """New values of a job run that has ended."""

    status: str
    ended_time: float
    exit_code: int | None
    duration_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    failure_category: str | None
    failure_message: str | None
    job_run_id: str


class PlacedRun(NamedTuple):
    """New values of the place of a job run, of its logs and its worker; empty, 0 and None keep earlier values."""

    job_run_id: str
    build_request_id: str
    executor: str = ""
    machine: str = ""
    placed_time: float = 0.0
    queued_seconds: float = 0.0
    log_store: str = ""
    stdout_bytes: int | None = None
    stderr_bytes: int | None = None
    worker_id: str = ""
    worker_request: int = 0


class RunMetric(NamedTuple):
    """A metric that a job run has reported; of several with one name and ref, the last."""

    job_run_id: str
    name: str
    ref: str
    build_request_id: str
    value: float
    unit: str


class RunCheck(NamedTuple):
    """The result of a check that a job run has reported; of several with one name and ref, the last."""

    job_run_id: str
    name: str
    ref: str
    build_request_id: str
    passed: bool
    severity: str
    message: str


class RunSchema(NamedTuple):
    """The schema of an output that a job run has reported, as JSON."""

    job_run_id: str
    ref: str
    build_request_id: str
    schema: str


class BuildPartition(NamedTuple):
    """The row of a partition within its build; a task of 0 or an empty reason keeps the earlier value."""

    status: str
    task_id: int
    reason: str
    cause: str
    job_run_id: str
    failure_category: str | None
    failure_message: str | None


PartitionData = tuple[str, str, str, str, str]
"""The columns of complete data; see `PartitionChange`."""


class PartitionChange(NamedTuple):
    """New values of a partition record; None keeps the earlier value.

    Attributes:
        status: The newest status.
        time: The time of that status, in seconds since the epoch.
        touched: True if a job run may have overwritten earlier data in part, or if the data was lost.
        data: The version, job run and metadata (JSON) of complete data, and the adoption (JSON) if it was adopted: the
            values of an AdoptionRecord and, if it came with a manifest from another log, those of a Manifest. Last
            is its location (JSON), the values of a Location. The data is available unless it was touched later.
        failure: The category and message of a failure.
    """

    status: str
    time: float
    touched: bool = False
    data: PartitionData | None = None
    failure: tuple[str, str] | None = None


class Removal(NamedTuple):
    """The removal of data: its version, the new status of the partition, the time, and a RemovalRecord (JSON)."""

    version: str
    status: str
    time: float
    values: str


class Changes:
    """The rows that events of one build add or change, with at most one row of a kind for each key.

    Attributes:
        build: New values of columns of the build.
        requested: The requested refs of a new build (JSON); None if the events do not include its first.
        increments: The amounts by which counters of the build grow.
        new_runs: Job runs with their first event.
        started_runs: Job runs that have started.
        ended_runs: Job runs that have ended.
        placed_runs: Job runs that an engine has accepted or started, or that a worker has served, by id.
        metrics: Metrics of job runs, by job run, name and ref.
        checks: Results of checks, by job run, name and ref.
        schemas: Schemas of outputs, by job run and ref.
        build_partitions: Rows of partitions within the build, by ref.
        partitions: Changes of partition records, by ref.
        released: Refs that the build no longer claims.
        released_runs: Job runs whose claims the build releases.
        delegated: Refs that the build leaves to another build; applied after `partitions`. A dict as an ordered set.
        missing: The version and the time of data that was lost, by ref; applied before `partitions`.
        removed: The removals of data, by ref.
        gone: The version of removed data that is no longer in its store, by ref.
        taints: The reason of the taint, or None to remove a taint, by ref.
        cancelled: The author of the request to cancel, by build.
    """

    def __init__(self, events: Iterable[ev.BuildEvent], covered: Collection[tuple[str, str]] = ()) -> None:
        """Computes the changes of events that follow each other in one build.

        Args:
            events: The events.
            covered: Pairs of an event id and a ref for which a snapshot already includes the event; these are skipped.
        """
        self._covered = covered
        self.build: dict[str, Any] = {}
        self.requested: str | None = None
        self.increments: dict[str, int] = {}
        self.new_runs: list[NewRun] = []
        self.started_runs: list[StartedRun] = []
        self.ended_runs: list[EndedRun] = []
        self.placed_runs: dict[str, PlacedRun] = {}
        self.metrics: dict[tuple[str, str, str], RunMetric] = {}
        self.checks: dict[tuple[str, str, str], RunCheck] = {}
        self.schemas: dict[tuple[str, str], RunSchema] = {}
        self.build_partitions: dict[str, BuildPartition] = {}
        self.partitions: dict[str, PartitionChange] = {}
        self.released: list[str] = []
        self.released_runs: list[str] = []
        self.delegated: dict[str, None] = {}
        self.missing: dict[str, tuple[str, float]] = {}
        self.removed: dict[str, Removal] = {}
        self.gone: dict[str, str] = {}
        self.taints: dict[str, str | None] = {}
        self.cancelled: dict[str, str] = {}
        # The most frequent kinds come first: this loop runs for every event that is written.
        for event in events:
            kind = event.WhichOneof("event")
            time = event.time.seconds + event.time.nanos / 1e9
            if kind == "partition":
                self._partition(time, event, event.partition)
            elif kind == "job":
                self._job(time, event, event.job)
            elif kind == "build_request":
                self._build(time, event.build_request)
            elif kind == "job_graph":
                self.build["total_tasks"] = event.job_graph.total_tasks
            elif kind == "placement":
                self._place(time, event.build_request_id, event.placement)
            elif kind == "check":
                self._check(event, event.check)
            elif kind in OPERATIONS:
                self._operate(kind, time, event)
            elif kind != "delegation":  # it changes no row
                raise _unknown(event)
            self.build["updated_time"] = time
            self.build["last_sequence"] = event.sequence

    def _operate(self, kind: str, time: float, event: ev.BuildEvent) -> None:
        if kind == "taint":
            taint = event.taint
            reason = f"{taint.author}: {taint.reason}" if taint.tainted else None
            self.taints.update((ref, reason) for ref in self._uncovered(event))
        elif kind == "adoption":
            self._adopt(time, event)
        elif kind == "missing":
            versions = {lost.ref: lost.version for lost in event.missing.partitions}
            self.missing.update((ref, (versions[ref], time)) for ref in self._uncovered(event))
        elif kind == "removal":
            self._remove(time, event)
        elif kind == "cancel_request":
            self.cancelled[event.cancel_request.target_build_request_id] = event.cancel_request.author

    def _count(self, name: str) -> None:
        self.increments[name] = self.increments.get(name, 0) + 1

    def _count_run(self, message: ev.JobEvent) -> None:
        """Counts the end of a job run as that of its task, unless another attempt is to follow."""
        if not message.retried:
            self._count("jobs_completed" if message.status == ev.JOB_STATUS_COMPLETED else "jobs_failed")

    def _build(self, time: float, message: ev.BuildRequestEvent) -> None:
        values = self.build
        values["status"] = build_status_name(message.status)
        if message.status == ev.BUILD_STATUS_RECEIVED:
            values["graph_label"] = message.graph_label
            self.requested = json.dumps([ref.str for ref in message.requested])
            values["received_time"] = time
            values["retry_of_build_request_id"] = message.retry_of_build_request_id
        if message.status in BUILD_ENDS and message.HasField("failure"):
            values["failure_category"], values["failure_message"] = _failure(message.failure)

    def _job(self, time: float, event: ev.BuildEvent, message: ev.JobEvent) -> None:
        build, status = event.build_request_id, message.status
        if status == ev.JOB_STATUS_RUNNING:
            self._start_run(time, build, message)
        elif status == ev.JOB_STATUS_SCHEDULED:
            self._add_run(event, message, scheduled_time=time)
        elif status in _NEVER_RAN:
            # Such an end may be the first event of a job run.
            self._add_run(event, message, scheduled_time=0.0)
            # Nothing is known of its partitions here, so all claims for the run end. Other runs end with events of
            # their partitions.
            self.released_runs.append(message.job_run_id)
            self._end_run(time, build, message)
        elif status in JOB_ENDS:
            self._count_run(message)
            self._end_run(time, build, message)
        else:
            raise EventLogError(f"event {event.sequence} of build {build} has the job status {status}")

    def _add_run(self, event: ev.BuildEvent, message: ev.JobEvent, *, scheduled_time: float) -> None:
        self.new_runs.append(
            NewRun(
                message.job_run_id,
                event.build_request_id,
                event.sequence,
                message.task_id,
                message.job_label,
                message.attempt,
                _JOB_NAMES[message.status],
                scheduled_time,
            )
        )

    def _start_run(self, time: float, build: str, message: ev.JobEvent) -> None:
        run = message.job_run_id
        if message.log_store:
            self.placed_runs[run] = self._placed(run, build)._replace(log_store=message.log_store)
        manifest = message.manifest
        inputs = [(consumed.ref, consumed.version, consumed.query) for consumed in manifest.inputs]
        self.started_runs.append(
            StartedRun(
                "RUNNING",
                time,
                manifest.code_digest,
                manifest.configuration_digest,
                json.dumps(inputs, separators=(",", ":")) if inputs else "[]",
                json.dumps(dict(manifest.output_digests), sort_keys=True) if manifest.output_digests else None,
                run,
            )
        )

    def _end_run(self, time: float, build: str, message: ev.JobEvent) -> None:
        run, status = message.job_run_id, message.status
        ran = status not in _NEVER_RAN
        for metric in message.metrics:
            if math.isfinite(metric.value):  # no database compares others alike
                row = RunMetric(run, metric.name, metric.ref, build, metric.value, metric.unit)
                self.metrics[row[:3]] = row
        if ran and message.HasField("stdout_bytes"):
            self.placed_runs[run] = self._placed(run, build)._replace(
                stdout_bytes=message.stdout_bytes, stderr_bytes=message.stderr_bytes
            )
        if message.worker_id:
            self.placed_runs[run] = self._placed(run, build)._replace(
                worker_id=message.worker_id, worker_request=message.worker_request
            )
        category, failure = _failure(message.failure) if message.HasField("failure") else _NO_FAILURE
        self.ended_runs.append(
            EndedRun(
                _JOB_NAMES[status],
                time,
                message.exit_code if ran else None,
                message.duration_seconds,
                message.cpu_seconds,
                message.peak_memory_bytes,
                category,
                failure,
                run,
            )
        )

    def _place(self, time: float, build: str, message: ev.PlacementEvent) -> None:
        run = message.job_run_id
        placed = self._placed(run, build)
        if message.started:
            placed = placed._replace(machine=message.machine, placed_time=time, queued_seconds=message.queued_seconds)
        else:
            placed = placed._replace(executor=message.executor)
        self.placed_runs[run] = placed

    def _placed(self, job_run_id: str, build_request_id: str) -> PlacedRun:
        return self.placed_runs.get(job_run_id) or PlacedRun(job_run_id, build_request_id)

    def _check(self, event: ev.BuildEvent, message: ev.CheckEvent) -> None:
        result, build = message.result, event.build_request_id
        reason = f"{message.job_run_id}: the check {result.name!r} did not pass"
        self.taints.update((ref, reason) for ref in self._uncovered(event))
        severity = _SEVERITY_NAMES[result.severity]
        row = RunCheck(message.job_run_id, result.name, result.ref, build, result.passed, severity, result.message)
        self.checks[row[:3]] = row

    def _partition(self, time: float, event: ev.BuildEvent, message: ev.PartitionEvent) -> None:
        ref, status = message.ref, message.status
        failure = _failure(message.failure) if status == _FAILED else None
        self._in_build(ref, message, failure)
        if status == _REQUESTED:
            return  # a request does not change the partition
        covered = (event.event_id, ref) in self._covered
        if status == _DELEGATED:
            self._count("partitions_delegated")
            self.released.append(ref)
            if not covered:
                # The record of the data comes from the other build and must not change.
                self.delegated[ref] = None
            return
        self.delegated.pop(ref, None)  # the other build did not produce it, so this build does after all
        data = None
        if status == _AVAILABLE:
            self._count("partitions_available")
            self.taints.pop(ref, None)  # a taint is of the data, which is new
            metadata = metadata_json(message.metadata) if message.HasField("metadata") else ""
            if schema := schema_json(metadata):
                row = RunSchema(message.job_run_id, ref, event.build_request_id, schema)
                self.schemas[row[:2]] = row
            data = (
                message.version,
                message.job_run_id,
                metadata,
                "",
                _location(message.location) if message.HasField("location") else "",
            )
        elif failure is not None:
            self._count("partitions_failed")
        if data is not None or failure is not None:
            self.released.append(ref)
        if covered:
            return
        earlier = self.partitions.get(ref)
        if earlier is not None and earlier.data is not None and data is None:
            data = earlier.data
        elif status == _MISSING:
            # Data of an earlier transaction. It is lost only if nobody has replaced it.
            self.missing[ref] = (message.version, time)
            return
        # From the start of a job run until the partition is available again, its data may be overwritten in part.
        touched = status != _AVAILABLE and (
            status in {_BUILDING, _MISSING}
            or (status == _FAILED and message.job_run_id != "")
            or (earlier is not None and earlier.touched)
        )
        self.partitions[ref] = PartitionChange(_PARTITION_NAMES[status], time, touched, data, failure)

    def _adopt(self, time: float, event: ev.BuildEvent) -> None:
        message = event.adoption
        adoption = (event.build_request_id, message.author, message.reason, time)
        change = PartitionChange("AVAILABLE", time, data=(event.event_id, "", "", json.dumps(adoption), ""))
        records = {record.ref: record for record in message.records}
        for ref in self._uncovered(event):
            record = records.get(ref)
            if record is None:
                self.partitions[ref] = change
            else:
                self.partitions[ref] = PartitionChange("AVAILABLE", time, data=_data_of(record, adoption))

    def _remove(self, time: float, event: ev.BuildEvent) -> None:
        message = event.removal
        versions = {removed.ref: removed.version for removed in message.partitions}
        refs = self._uncovered(event)
        if message.completed:
            self.gone.update((ref, versions[ref]) for ref in refs)
            return
        kind = _PARTITION_NAMES[message.kind]
        values = json.dumps((event.build_request_id, message.author, message.reason, time, kind))
        self.removed.update((ref, Removal(versions[ref], kind, time, values)) for ref in refs)

    def _uncovered(self, event: ev.BuildEvent) -> Iterator[str]:
        """Yields the refs of an event that no snapshot includes yet."""
        return (ref for ref in refs_of(event) if (event.event_id, ref) not in self._covered)

    def _in_build(self, ref: str, message: ev.PartitionEvent, failure: tuple[str, str] | None) -> None:
        task, reason, cause = message.task_id, _REASON_NAMES[message.reason], message.cause
        before = self.build_partitions.get(ref)
        # Only the first event of a partition has a task and a reason. The statements of the writers do the same for
        # rows of earlier transactions.
        if before is not None:
            task = task or before.task_id
            if not reason:
                reason, cause = before.reason, cause or before.cause
        self.build_partitions[ref] = BuildPartition(
            _PARTITION_NAMES[message.status], task, reason, cause, message.job_run_id, *(failure or _NO_FAILURE)
        )


def refs_of(event: ev.BuildEvent) -> Iterator[str]:
    """Yields the partitions whose records an event may change."""
    kind = event.WhichOneof("event")
    if kind == "partition":
        yield event.partition.ref
    elif kind in _KINDS_WITH_PARTITIONS:
        for ref in getattr(event, kind).partitions:
            yield ref.str
    elif kind == "missing":
        for lost in event.missing.partitions:
            yield lost.ref
    elif kind == "removal":
        for removed in event.removal.partitions:
            yield removed.ref
    elif kind == "check":
        for ref in event.check.tainted:
            yield ref.str
    elif kind not in _KINDS_WITHOUT_PARTITIONS:
        raise _unknown(event)


def _unknown(event: ev.BuildEvent) -> EventLogError:
    """Returns the error for a kind that the chains above do not handle: it is of a newer version, or was forgotten."""
    kind = event.WhichOneof("event") or "unknown to this version of DataBuild"
    return EventLogError(f"the kind of event {event.sequence} of build {event.build_request_id} is {kind}")


def _location(message: pt.Location) -> str:
    size = message.size_bytes if message.HasField("size_bytes") else None
    return json.dumps((message.uri, size, message.version), separators=(",", ":"))


def _data_of(record: ev.AdoptedRecord, adoption: tuple[str, str, str, float]) -> PartitionData:
    """Returns `PartitionChange.data` of a record that is adopted from another log."""
    operation, author, reason, time = adoption
    if record.HasField("adoption"):  # the data was adopted in the other log, too: its author still vouches for it
        author, reason = record.adoption.author, record.adoption.reason
    values: list[Any] = [operation, author, reason, time]
    if record.HasField("manifest"):
        manifest = record.manifest
        inputs = [(consumed.ref, consumed.version, consumed.query) for consumed in manifest.inputs]
        digests = {record.ref: manifest.output_digests[record.ref]} if record.ref in manifest.output_digests else {}
        values.append((manifest.job_label, manifest.code_digest, manifest.configuration_digest, inputs, digests))
    metadata = metadata_json(record.metadata) if record.HasField("metadata") else ""
    location = _location(record.location) if record.HasField("location") else ""
    return record.version, "", metadata, json.dumps(values), location


def _failure(failure: pt.Failure) -> tuple[str, str]:
    return _CATEGORY_NAMES[failure.category], failure.message
