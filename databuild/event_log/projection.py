"""What events add up to: rows of the read models, computed from events alone.

The store keeps the rows in the same transaction as the events, and a rebuild computes them again. It knows no SQL.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from databuild.model.lifecycle import BUILD_ENDS, JOB_ENDS, build_status_name, job_status_name, partition_status_name
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_JOB_NAMES = {value: job_status_name(value) for value in ev.JobStatus.values()}
_PARTITION_NAMES = {value: partition_status_name(value) for value in pt.PartitionStatus.values()}
_REASON_NAMES = {value: pt.Reason.Name(value).removeprefix("REASON_") for value in pt.Reason.values()}
_CATEGORY_NAMES = {
    value: pt.FailureCategory.Name(value).removeprefix("FAILURE_CATEGORY_") for value in pt.FailureCategory.values()
}
_REASON_NAMES[0] = ""
_BUILDING, _AVAILABLE = pt.PARTITION_STATUS_BUILDING, pt.PARTITION_STATUS_AVAILABLE
_REQUESTED = pt.PARTITION_STATUS_REQUESTED
_FAILED, _DELEGATED = pt.PARTITION_STATUS_FAILED, pt.PARTITION_STATUS_DELEGATED


class BuildChange:
    """What an append changes of its build: new values, and what is added to counts."""

    __slots__ = ("added", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.added: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        """Adds to a count."""
        self.added[name] = self.added.get(name, 0) + count


class Changes:
    """The rows that events of one build add or change, at most one row for each key.

    Attributes:
        build: What changes of the build.
        job_runs: New values by job run.
        build_partitions: Rows by ref.
        partitions: New values by ref; without `available` they keep what is known of the data.
        manifests: Rows.
        history: Pairs of ref and job run.
        delegated: Refs left to another build.
        taints: The reason, or None where a taint is taken away, by ref.
        cancelled: Who asked for it, by build.
    """

    def __init__(self, events: Sequence[ev.BuildEvent]) -> None:
        """Computes the changes of events that follow each other in one build."""
        self.build = BuildChange()
        self.job_runs: dict[str, dict[str, Any]] = {}
        self.build_partitions: dict[str, tuple[Any, ...]] = {}
        self.partitions: dict[str, dict[str, Any]] = {}
        self.manifests: list[tuple[str, str, str, str, str]] = []
        self.history: list[tuple[str, str]] = []
        self.delegated: list[str] = []
        self.taints: dict[str, str | None] = {}
        self.cancelled: dict[str, str] = {}
        for event in events:
            kind = event.WhichOneof("event")
            if kind == "partition":
                self._partition(event, event.partition)
            elif kind == "job":
                self._job(event, event.job)
            elif kind == "build_request":
                self._build(event, event.build_request)
            elif kind == "job_graph":
                self.build.values["total_tasks"] = event.job_graph.total_tasks
            elif kind == "taint":
                taint = event.taint
                reason = f"{taint.author}: {taint.reason}" if taint.tainted else None
                self.taints.update((ref.str, reason) for ref in taint.partitions)
            elif kind == "cancel_request":
                self.cancelled[event.cancel_request.target_build_request_id] = event.cancel_request.author
        last = events[-1]
        self.build.values["updated_time"] = _time(last)

    def _build(self, event: ev.BuildEvent, message: ev.BuildRequestEvent) -> None:
        values = self.build.values
        values["status"] = build_status_name(message.status)
        if message.status == ev.BUILD_STATUS_RECEIVED:
            values["graph_label"] = message.graph_label
            values["requested"] = json.dumps([ref.str for ref in message.requested])
            values["received_time"] = _time(event)
            values["retry_of_build_request_id"] = message.retry_of_build_request_id
        if message.status in BUILD_ENDS and message.HasField("failure"):
            values["failure_category"], values["failure_message"] = _failure(message.failure)

    def _job(self, event: ev.BuildEvent, message: ev.JobEvent) -> None:
        status = message.status
        values = self.job_runs.get(message.job_run_id)
        if values is None:
            values = self.job_runs[message.job_run_id] = {}
        values["task_id"], values["attempt"] = message.task_id, message.attempt
        if message.job_label:
            values["job_label"] = message.job_label
        values["status"] = _JOB_NAMES[status]
        if status == ev.JOB_STATUS_SCHEDULED:
            values["scheduled_time"] = _time(event)
        elif status == ev.JOB_STATUS_RUNNING:
            values["started_time"] = _time(event)
            manifest = message.manifest
            inputs = [(known.ref, known.version, known.query) for known in manifest.inputs]
            self.manifests.append(
                (
                    message.job_run_id,
                    manifest.job_label,
                    manifest.code_digest,
                    manifest.configuration_digest,
                    json.dumps(inputs, separators=(",", ":")) if inputs else "[]",
                )
            )
        elif status in JOB_ENDS:
            values["ended_time"] = _time(event)
            values["duration_seconds"] = message.duration_seconds
            values["cpu_seconds"] = message.cpu_seconds
            values["peak_memory_bytes"] = message.peak_memory_bytes
            if status in {ev.JOB_STATUS_COMPLETED, ev.JOB_STATUS_FAILED}:
                values["exit_code"] = message.exit_code
            if status == ev.JOB_STATUS_COMPLETED:
                self.build.add("jobs_completed")
            elif status == ev.JOB_STATUS_FAILED:
                self.build.add("jobs_failed")
            if message.HasField("failure"):
                values["failure_category"], values["failure_message"] = _failure(message.failure)

    def _partition(self, event: ev.BuildEvent, message: ev.PartitionEvent) -> None:
        ref, status = message.ref, message.status
        name = _PARTITION_NAMES[status]
        failure = _failure(message.failure) if status == _FAILED else (None, None)
        self.build_partitions[ref] = (
            name,
            message.task_id,
            _REASON_NAMES[message.reason],
            message.cause,
            message.job_run_id,
            *failure,
        )
        if status == _AVAILABLE:
            self.build.add("partitions_available")
        elif status == _FAILED:
            self.build.add("partitions_failed")
        elif status == _DELEGATED:
            self.build.add("partitions_delegated")
            # What is known of the data comes from the other build, and stays as it is.
            self.partitions.pop(ref, None)
            self.delegated.append(ref)
            return
        if status == _REQUESTED:
            return  # asking changes nothing of what is known
        values: dict[str, Any] = {"status": name, "time": _time(event)}
        if status == _AVAILABLE:
            metadata = ""
            if message.HasField("metadata"):
                from google.protobuf import json_format

                metadata = json_format.MessageToJson(message.metadata, indent=None)
            values.update(available=1, version=message.version, job_run_id=message.job_run_id, metadata=metadata)
            values.update(failure_category=None, failure_message=None, tainted=0, taint_reason="")
        elif status == _FAILED:
            values["failure_category"], values["failure_message"] = failure
        elif status == _BUILDING:
            # Until it is available again, what was there before may be overwritten in part.
            values["available"] = 0
            self.history.append((ref, message.job_run_id))
        known = self.partitions.get(ref)
        if known is None:
            self.partitions[ref] = values
        else:
            known.update(values)


def _time(event: ev.BuildEvent) -> float:
    return float(event.time.seconds + event.time.nanos / 1e9)


def _failure(failure: pt.Failure) -> tuple[str, str]:
    return _CATEGORY_NAMES[failure.category], failure.message
