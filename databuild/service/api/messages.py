"""Records as messages: the one file that converts between the read models and the service's protobuf."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from databuild.model.job_graph import PlannedPartition
from databuild.model.planning import PlanningProgress
from databuild.model.pruning import Pruned
from databuild.model.records import BuildPartitionRecord, FailureRecord, JobRunRecord, PartitionRecord
from databuild.model.statuses import BUILD, JOB, PARTITION
from databuild.model.views import BuildView, PartitionView, Room, Verification
from databuild.service.job_runs.jobs import JobStatistics
from databuild.service.partitions.partitions import Lineage
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import plan_pb2
from databuild.v1 import service_pb2 as sv


def build_message(view: BuildView) -> sv.BuildSummary:
    """Returns how a build stands."""
    build = view.build
    return sv.BuildSummary(
        build_request_id=build.build_request_id,
        status=BUILD.message_name(build.status),
        graph_label=build.graph_label,
        requested=refs_message(build.requested),
        received_time=_time(build.received_time),
        updated_time=_time(build.updated_time),
        total_tasks=build.total_tasks,
        jobs_completed=build.jobs_completed,
        jobs_failed=build.jobs_failed,
        failure=_failure(build.failure),
        partitions_available=build.partitions_available,
        partitions_delegated=build.partitions_delegated,
        partitions_failed=build.partitions_failed,
        retry_of_build_request_id=build.retry_of_build_request_id,
        cancel_requested_by=build.cancel_requested_by,
        last_sequence=build.last_sequence,
        queue_position=view.queue_position,
        waiting_for=view.waiting_for,
        pruned_time=_time(build.pruned_time),
        dead_reason=view.dead,
        planning=_planning(view.planning),
        warnings=view.warnings,
    )


def _planning(progress: PlanningProgress | None) -> sv.PlanningProgress | None:
    if progress is None:
        return None
    return sv.PlanningProgress(
        levels=progress.levels,
        partitions=progress.partitions,
        config_calls=progress.config_calls,
        configuring_jobs=progress.asking,
    )


def refs_message(refs: Iterable[str]) -> list[pt.PartitionRef]:
    """Returns refs."""
    return [pt.PartitionRef(str=ref) for ref in refs]


def build_partition_message(record: BuildPartitionRecord) -> sv.BuildPartition:
    """Returns where a partition stands within one build."""
    return sv.BuildPartition(
        ref=record.ref,
        status=PARTITION.message_name(record.status),
        task_id=record.task_id,
        reason=f"REASON_{record.reason}" if record.reason else None,
        cause=record.cause,
        job_run_id=record.job_run_id,
        failure=_failure(record.failure),
    )


def job_run_message(record: JobRunRecord) -> sv.JobRun:
    """Returns how a job run stands."""
    return sv.JobRun(
        job_run_id=record.job_run_id,
        build_request_id=record.build_request_id,
        task_id=record.task_id,
        job_label=record.job_label,
        attempt=record.attempt,
        status=JOB.message_name(record.status),
        scheduled_time=_time(record.scheduled_time),
        started_time=_time(record.started_time),
        ended_time=_time(record.ended_time),
        exit_code=record.exit_code,
        duration_seconds=record.duration_seconds,
        cpu_seconds=record.cpu_seconds,
        peak_memory_bytes=record.peak_memory_bytes,
        failure=_failure(record.failure),
        number=record.number,
    )


def partition_message(record: PartitionRecord) -> pt.PartitionRecord:
    """Returns what is known of a partition."""
    message = pt.PartitionRecord(
        ref=record.ref,
        status=PARTITION.message_name(record.status),
        build_request_id=record.build_request_id,
        time=_time(record.time),
        available=record.available,
        version=record.version,
        job_run_id=record.job_run_id,
        tainted=record.tainted,
        taint_reason=record.taint_reason,
        failure=_failure(record.failure),
        produced_by_build_request_id=record.produced_by_build_request_id,
        claimed_by_build_request_id=record.claimed_by_build_request_id,
    )
    message.metadata.update(record.metadata)
    if (adoption := record.adoption) is not None:
        message.adoption.operation_id = adoption.operation_id
        message.adoption.author = adoption.author
        message.adoption.reason = adoption.reason
        message.adoption.time.CopyFrom(_time(adoption.time) or Timestamp())
    if (manifest := record.manifest) is not None:
        message.manifest.job_label = manifest.job_label
        message.manifest.code_digest = manifest.code_digest
        message.manifest.configuration_digest = manifest.configuration_digest
        for known in manifest.inputs:
            message.manifest.inputs.add(ref=known.ref, version=known.version, query=known.query)
    return message


def partition_detail_message(view: PartitionView) -> sv.PartitionDetail:
    """Returns what is known of one partition."""
    return sv.PartitionDetail(
        ref=view.ref,
        job_label=view.job_label,
        record=None if view.record is None else partition_message(view.record),
        history=map(job_run_message, view.history),
    )


def planned_message(planned: PlannedPartition) -> plan_pb2.PlannedPartition:
    """Returns what planning decided about one partition."""
    return plan_pb2.PlannedPartition(
        ref=planned.ref,
        job_label=planned.job_label,
        task_id=planned.task_id,
        reason=pt.Reason.Name(planned.reason),
        cause=planned.cause,
        version=planned.version,
        delegated_to_build_request_id=planned.delegated_to,
        requested=planned.requested,
    )


def lineage_message(lineage: Lineage) -> sv.Lineage:
    """Returns partitions that were made from each other."""
    edges = [
        sv.LineageEdge(input=edge.input, output=edge.output, version=edge.version, query=edge.query)
        for edge in lineage.edges
    ]
    return sv.Lineage(edges=edges, complete=lineage.complete)


def job_message(statistics: JobStatistics) -> sv.JobSummary:
    """Returns a job, and how its newest runs went."""
    return sv.JobSummary(
        job_label=statistics.job.label,
        outputs=statistics.job.outputs,
        tags=statistics.job.tags,
        recent_runs=statistics.runs,
        recent_completed=statistics.completed,
        recent_failed=statistics.failed,
        median_seconds=statistics.median_seconds,
        p95_seconds=statistics.p95_seconds,
        last_ended_time=_time(statistics.last_ended_time),
    )


def storage_message(room: Room) -> sv.Storage:
    """Returns how much room things take."""
    sizes = room.sizes
    message = sv.Storage(
        event_log_bytes=room.event_log_bytes,
        job_log_bytes=room.job_log_bytes,
        logs_pruned_before_time=_time(room.logs_pruned_before),
    )
    if sizes is not None:
        message.builds, message.pruned_builds, message.events = sizes.builds, sizes.pruned_builds, sizes.events
    return message


def pruned_message(pruned: Pruned) -> sv.PruneBuildsResponse:
    """Returns builds and job logs that were pruned, or would be."""
    builds = [
        sv.PrunedBuild(
            build_request_id=build.build_request_id,
            status=BUILD.message_name(build.status),
            ended_time=_time(build.ended_time),
            events=build.events,
        )
        for build in pruned.builds
    ]
    return sv.PruneBuildsResponse(
        builds=builds,
        events=pruned.events,
        event_bytes=pruned.event_bytes,
        log_builds=pruned.log_builds,
        log_bytes=pruned.log_bytes,
        freed_bytes=pruned.freed_bytes,
        more=pruned.more,
    )


def verification_message(verification_id: str, result: Verification | None) -> sv.VerifyEventsResponse:
    """Returns the result of a verification; None stands for one that is still running."""
    if result is None:
        return sv.VerifyEventsResponse(verification_id=verification_id, running=True)
    reported = [
        sv.EventLogFault(build_request_id=fault.build_request_id, message=fault.message) for fault in result.told
    ]
    return sv.VerifyEventsResponse(
        verification_id=verification_id,
        events=result.events,
        builds=result.builds,
        faults=result.faults,
        reported_faults=reported,
    )


def _time(seconds: float) -> Timestamp | None:
    """Returns a time of seconds since the epoch; None for none."""
    if not seconds:
        return None
    whole = int(seconds)
    return Timestamp(seconds=whole, nanos=int((seconds - whole) * 1e9))  # so that the same comes out again


def _failure(failure: FailureRecord | None) -> pt.Failure | None:
    if failure is None:
        return None
    category = f"FAILURE_CATEGORY_{failure.category}"
    return pt.Failure(category=category, message=failure.message)
