"""Messages as records: the one file that converts from the service's protobuf to what callers get."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from databuild.model.job_graph import AbsentInput, PlannedPartition
from databuild.model.metadata import metadata_json
from databuild.model.planning import PlanningProgress
from databuild.model.pruning import Pruned, PrunedBuild
from databuild.model.records import (
    AdoptionRecord,
    BuildPartitionRecord,
    BuildRecord,
    FailureRecord,
    InputVersion,
    JobRunRecord,
    LogSizes,
    Manifest,
    PartitionRecord,
)
from databuild.model.statuses import BUILD, JOB, PARTITION
from databuild.model.views import BuildView, Difference, Explanation, LogChunk, PartitionView, Room, Verification
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import plan_pb2
from databuild.v1 import service_pb2 as sv


def build_view(message: sv.BuildSummary) -> BuildView:
    """Returns how a build stands."""
    build = BuildRecord(
        build_request_id=message.build_request_id,
        status=BUILD.name(message.status),
        graph_label=message.graph_label,
        requested=tuple(ref.str for ref in message.requested),
        received_time=_seconds(message.received_time),
        updated_time=_seconds(message.updated_time),
        last_sequence=message.last_sequence,
        total_tasks=message.total_tasks,
        jobs_completed=message.jobs_completed,
        jobs_failed=message.jobs_failed,
        partitions_available=message.partitions_available,
        partitions_delegated=message.partitions_delegated,
        partitions_failed=message.partitions_failed,
        retry_of_build_request_id=message.retry_of_build_request_id,
        cancel_requested_by=message.cancel_requested_by,
        failure=_failure(message),
        pruned_time=_seconds(message.pruned_time),
    )
    told = message.planning
    planning = PlanningProgress(told.levels, told.partitions, told.config_calls, tuple(told.configuring_jobs))
    return BuildView(
        build,
        message.queue_position,
        tuple(message.waiting_for),
        message.dead_reason,
        planning if message.HasField("planning") else None,
        tuple(message.warnings),
    )


def build_partition(message: sv.BuildPartition) -> BuildPartitionRecord:
    """Returns where a partition stands within one build."""
    return BuildPartitionRecord(
        ref=message.ref,
        status=PARTITION.name(message.status),
        task_id=message.task_id,
        reason=pt.Reason.Name(message.reason).removeprefix("REASON_") if message.reason else "",
        cause=message.cause,
        job_run_id=message.job_run_id,
        failure=_failure(message),
    )


def job_run(message: sv.JobRun) -> JobRunRecord:
    """Returns how a job run stands."""
    return JobRunRecord(
        job_run_id=message.job_run_id,
        build_request_id=message.build_request_id,
        number=message.number,
        task_id=message.task_id,
        job_label=message.job_label,
        attempt=message.attempt,
        status=JOB.name(message.status),
        scheduled_time=_seconds(message.scheduled_time),
        started_time=_seconds(message.started_time),
        ended_time=_seconds(message.ended_time),
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        duration_seconds=message.duration_seconds,
        cpu_seconds=message.cpu_seconds,
        peak_memory_bytes=int(message.peak_memory_bytes),
        failure=_failure(message),
    )


def partition(message: pt.PartitionRecord) -> PartitionRecord:
    """Returns what is known of a partition."""
    adoption = message.adoption
    return PartitionRecord(
        ref=message.ref,
        status=PARTITION.name(message.status),
        build_request_id=message.build_request_id,
        time=_seconds(message.time),
        available=message.available,
        version=message.version,
        job_run_id=message.job_run_id,
        produced_by_build_request_id=message.produced_by_build_request_id,
        manifest=_manifest(message.manifest) if message.HasField("manifest") else None,
        metadata=json.loads(metadata_json(message.metadata)),
        tainted=message.tainted,
        taint_reason=message.taint_reason,
        failure=_failure(message),
        claimed_by_build_request_id=message.claimed_by_build_request_id,
        adoption=AdoptionRecord(adoption.operation_id, adoption.author, adoption.reason, _seconds(adoption.time))
        if message.HasField("adoption")
        else None,
    )


def partition_view(message: sv.PartitionDetail) -> PartitionView:
    """Returns what is known of one partition, with its history."""
    record = partition(message.record) if message.HasField("record") else None
    return PartitionView(message.ref, message.job_label, record, tuple(job_run(run) for run in message.history))


def explanation(message: sv.PartitionExplanation) -> Explanation:
    """Returns what a build would do with a partition."""
    absent = tuple(AbsentInput(one.ref, one.job_label, one.read_by) for one in message.absent_inputs)
    planned = _planned(message.planned)
    return Explanation(partition_view(message.partition), planned, message.total_tasks, absent, tuple(message.warnings))


def log_chunk(message: sv.LogChunk) -> LogChunk:
    """Returns a piece of a log."""
    return LogChunk(message.data, message.offset, message.ended, message.path, message.total_bytes)


def room(message: sv.Storage, *, counted: bool) -> Room:
    """Returns how much room things take, and what they hold where that was counted."""
    sizes = LogSizes(message.builds, message.pruned_builds, message.events, message.event_log_bytes)
    before = _seconds(message.logs_pruned_before_time)
    return Room(message.event_log_bytes, message.job_log_bytes, sizes if counted else None, before)


def pruned(message: sv.PruneBuildsResponse) -> Pruned:
    """Returns builds and job logs that were pruned, or would be."""
    builds = tuple(
        PrunedBuild(build.build_request_id, BUILD.name(build.status), _seconds(build.ended_time), build.events)
        for build in message.builds
    )
    return Pruned(
        builds,
        message.events,
        message.event_bytes,
        message.log_builds,
        message.log_bytes,
        message.freed_bytes,
        message.more,
    )


def verification(message: sv.VerifyEventsResponse) -> Verification:
    """Returns the result of a verification that has ended."""
    told = tuple(Difference(fault.build_request_id, fault.message) for fault in message.reported_faults)
    return Verification(message.events, message.builds, message.faults, told)


def _planned(message: plan_pb2.PlannedPartition) -> PlannedPartition:
    return PlannedPartition(
        ref=message.ref,
        job_label=message.job_label,
        task_id=message.task_id,
        reason=message.reason,
        cause=message.cause,
        version=message.version,
        delegated_to=message.delegated_to_build_request_id,
        requested=message.requested,
    )


def _manifest(message: pt.Manifest) -> Manifest:
    return Manifest(
        job_label=message.job_label,
        code_digest=message.code_digest,
        configuration_digest=message.configuration_digest,
        inputs=tuple(InputVersion(known.ref, known.version, known.query) for known in message.inputs),
    )


def _failure(message: Any) -> FailureRecord | None:
    if not message.HasField("failure"):
        return None
    category = pt.FailureCategory.Name(message.failure.category).removeprefix("FAILURE_CATEGORY_")
    return FailureRecord(category, message.failure.message)


def _seconds(time: Timestamp) -> float:
    """Returns seconds since the epoch; 0 for a time that is not set."""
    return time.seconds + time.nanos / 1e9
