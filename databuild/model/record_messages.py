"""Conversion between the records of the read models and their messages."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from databuild.model.enum_names import category_name, reason_name
from databuild.model.metadata import metadata_json
from databuild.model.records import (
    AdoptionRecord,
    BuildPartitionRecord,
    FailureRecord,
    InputVersion,
    JobRunRecord,
    Location,
    Manifest,
    PartitionRecord,
    RemovalRecord,
)
from databuild.model.statuses import JOB, PARTITION
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import service_pb2 as sv


def time_to_message(seconds: float) -> Timestamp | None:
    """Converts seconds since the epoch; 0 stands for no time. Rounds as events do, so their times stay the same."""
    if not seconds:
        return None
    whole = int(seconds)
    return Timestamp(seconds=whole, nanos=int((seconds - whole) * 1e9))


def time_from_message(time: Timestamp) -> float:
    """Returns seconds since the epoch; 0 for a time that is not set."""
    return time.seconds + time.nanos / 1e9


def failure_to_message(failure: FailureRecord | None) -> pt.Failure | None:
    if failure is None:
        return None
    category = f"FAILURE_CATEGORY_{failure.category}"
    return pt.Failure(category=category, message=failure.message)


def failure_from_message(message: Any) -> FailureRecord | None:
    """Returns the failure of a message that has the field `failure`; None if it is not set."""
    if not message.HasField("failure"):
        return None
    return FailureRecord(category_name(message.failure.category), message.failure.message)


def manifest_to_message(manifest: Manifest) -> pt.Manifest:
    return pt.Manifest(
        job_label=manifest.job_label,
        code_digest=manifest.code_digest,
        configuration_digest=manifest.configuration_digest,
        inputs=[pt.InputVersion(ref=used.ref, version=used.version, query=used.query) for used in manifest.inputs],
        output_digests=manifest.output_digests,
    )


def manifest_from_message(message: pt.Manifest) -> Manifest:
    return Manifest(
        job_label=message.job_label,
        code_digest=message.code_digest,
        configuration_digest=message.configuration_digest,
        inputs=tuple(InputVersion(used.ref, used.version, used.query) for used in message.inputs),
        output_digests=dict(message.output_digests),
    )


def adoption_to_message(adoption: AdoptionRecord) -> pt.Adoption:
    return pt.Adoption(
        operation_id=adoption.operation_id,
        author=adoption.author,
        reason=adoption.reason,
        time=time_to_message(adoption.time),
    )


def adoption_from_message(message: pt.Adoption) -> AdoptionRecord:
    return AdoptionRecord(message.operation_id, message.author, message.reason, time_from_message(message.time))


def removal_to_message(removal: RemovalRecord) -> pt.Removal:
    return pt.Removal(
        operation_id=removal.operation_id,
        author=removal.author,
        reason=removal.reason,
        time=time_to_message(removal.time),
        kind=PARTITION.message_name(removal.kind),
    )


def removal_from_message(message: pt.Removal) -> RemovalRecord:
    return RemovalRecord(
        message.operation_id,
        message.author,
        message.reason,
        time_from_message(message.time),
        PARTITION.name(message.kind),
    )


def location_to_message(location: Location) -> pt.Location:
    return pt.Location(uri=location.uri, size_bytes=location.size, version=location.version)


def location_from_message(message: pt.Location) -> Location:
    size = message.size_bytes if message.HasField("size_bytes") else None
    return Location(message.uri, size, message.version)


def partition_to_message(record: PartitionRecord) -> pt.PartitionRecord:
    message = pt.PartitionRecord(
        ref=record.ref,
        status=PARTITION.message_name(record.status),
        build_request_id=record.build_request_id,
        time=time_to_message(record.time),
        available=record.available,
        version=record.version,
        job_run_id=record.job_run_id,
        produced_by_build_request_id=record.produced_by_build_request_id,
        manifest=manifest_to_message(record.manifest) if record.manifest is not None else None,
        tainted=record.tainted,
        taint_reason=record.taint_reason,
        failure=failure_to_message(record.failure),
        claimed_by_build_request_id=record.claimed_by_build_request_id,
        adoption=adoption_to_message(record.adoption) if record.adoption is not None else None,
        location=location_to_message(record.location) if record.location is not None else None,
        removal=removal_to_message(record.removal) if record.removal is not None else None,
    )
    message.metadata.update(record.metadata)
    return message


def partition_from_message(message: pt.PartitionRecord) -> PartitionRecord:
    return PartitionRecord(
        ref=message.ref,
        status=PARTITION.name(message.status),
        build_request_id=message.build_request_id,
        time=time_from_message(message.time),
        available=message.available,
        version=message.version,
        job_run_id=message.job_run_id,
        produced_by_build_request_id=message.produced_by_build_request_id,
        manifest=manifest_from_message(message.manifest) if message.HasField("manifest") else None,
        metadata=json.loads(metadata_json(message.metadata)),
        tainted=message.tainted,
        taint_reason=message.taint_reason,
        failure=failure_from_message(message),
        claimed_by_build_request_id=message.claimed_by_build_request_id,
        adoption=adoption_from_message(message.adoption) if message.HasField("adoption") else None,
        location=location_from_message(message.location) if message.HasField("location") else None,
        removal=removal_from_message(message.removal) if message.HasField("removal") else None,
    )


def build_partition_to_message(record: BuildPartitionRecord) -> sv.BuildPartition:
    return sv.BuildPartition(
        ref=record.ref,
        status=PARTITION.message_name(record.status),
        task_id=record.task_id,
        reason=f"REASON_{record.reason}" if record.reason else None,
        cause=record.cause,
        job_run_id=record.job_run_id,
        failure=failure_to_message(record.failure),
    )


def build_partition_from_message(message: sv.BuildPartition) -> BuildPartitionRecord:
    return BuildPartitionRecord(
        ref=message.ref,
        status=PARTITION.name(message.status),
        task_id=message.task_id,
        reason=reason_name(message.reason) if message.reason else "",
        cause=message.cause,
        job_run_id=message.job_run_id,
        failure=failure_from_message(message),
    )


def job_run_to_message(record: JobRunRecord) -> sv.JobRun:
    return sv.JobRun(
        job_run_id=record.job_run_id,
        build_request_id=record.build_request_id,
        number=record.number,
        task_id=record.task_id,
        job_label=record.job_label,
        attempt=record.attempt,
        status=JOB.message_name(record.status),
        scheduled_time=time_to_message(record.scheduled_time),
        started_time=time_to_message(record.started_time),
        ended_time=time_to_message(record.ended_time),
        exit_code=record.exit_code,
        duration_seconds=record.duration_seconds,
        cpu_seconds=record.cpu_seconds,
        peak_memory_bytes=record.peak_memory_bytes,
        failure=failure_to_message(record.failure),
        executor=record.executor,
        machine=record.machine,
        placed_time=time_to_message(record.placed_time),
        queued_seconds=record.queued_seconds,
        log_store=record.log_store,
        stdout_bytes=record.stdout_bytes,
        stderr_bytes=record.stderr_bytes,
        worker_id=record.worker_id,
        worker_request=record.worker_request,
    )


def job_run_from_message(message: sv.JobRun) -> JobRunRecord:
    return JobRunRecord(
        job_run_id=message.job_run_id,
        build_request_id=message.build_request_id,
        number=message.number,
        task_id=message.task_id,
        job_label=message.job_label,
        attempt=message.attempt,
        status=JOB.name(message.status),
        scheduled_time=time_from_message(message.scheduled_time),
        started_time=time_from_message(message.started_time),
        ended_time=time_from_message(message.ended_time),
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        duration_seconds=message.duration_seconds,
        cpu_seconds=message.cpu_seconds,
        peak_memory_bytes=int(message.peak_memory_bytes),
        executor=message.executor,
        machine=message.machine,
        placed_time=time_from_message(message.placed_time),
        queued_seconds=message.queued_seconds,
        log_store=message.log_store,
        stdout_bytes=message.stdout_bytes if message.HasField("stdout_bytes") else None,
        stderr_bytes=message.stderr_bytes if message.HasField("stderr_bytes") else None,
        worker_id=message.worker_id,
        worker_request=message.worker_request,
        failure=failure_from_message(message),
    )
