"""Conversion between the answers of the service and their messages."""

from __future__ import annotations

from databuild.model.plan_messages import (
    absent_inputs_from_messages,
    absent_inputs_to_messages,
    planned_from_message,
    planned_to_message,
)
from databuild.model.planning import PlanningProgress
from databuild.model.pruning import Pruned, PrunedBuild
from databuild.model.record_messages import (
    failure_from_message,
    failure_to_message,
    job_run_from_message,
    job_run_to_message,
    partition_from_message,
    partition_to_message,
    time_from_message,
    time_to_message,
)
from databuild.model.records import BuildRecord, LogSizes
from databuild.model.statuses import BUILD, PARTITION
from databuild.model.views import (
    BuildView,
    DownstreamPage,
    DownstreamPartition,
    Explanation,
    JobStatistics,
    Lineage,
    LogChunk,
    LogFault,
    PartitionView,
    StorageUsage,
    Verification,
)
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import service_pb2 as sv


def build_to_message(view: BuildView) -> sv.BuildSummary:
    build = view.build
    return sv.BuildSummary(
        build_request_id=build.build_request_id,
        status=BUILD.message_name(build.status),
        graph_label=build.graph_label,
        requested=[pt.PartitionRef(str=ref) for ref in build.requested],
        received_time=time_to_message(build.received_time),
        updated_time=time_to_message(build.updated_time),
        last_sequence=build.last_sequence,
        total_tasks=build.total_tasks,
        jobs_completed=build.jobs_completed,
        jobs_failed=build.jobs_failed,
        partitions_available=build.partitions_available,
        partitions_delegated=build.partitions_delegated,
        partitions_failed=build.partitions_failed,
        retry_of_build_request_id=build.retry_of_build_request_id,
        cancel_requested_by=build.cancel_requested_by,
        failure=failure_to_message(build.failure),
        pruned_time=time_to_message(build.pruned_time),
        queue_position=view.queue_position,
        waiting_for=view.waiting_for,
        dead_reason=view.dead_reason,
        planning=sv.PlanningProgress(**view.planning._asdict()) if view.planning is not None else None,
        warnings=view.warnings,
    )


def build_from_message(message: sv.BuildSummary) -> BuildView:
    build = BuildRecord(
        build_request_id=message.build_request_id,
        status=BUILD.name(message.status),
        graph_label=message.graph_label,
        requested=tuple(ref.str for ref in message.requested),
        received_time=time_from_message(message.received_time),
        updated_time=time_from_message(message.updated_time),
        last_sequence=message.last_sequence,
        total_tasks=message.total_tasks,
        jobs_completed=message.jobs_completed,
        jobs_failed=message.jobs_failed,
        partitions_available=message.partitions_available,
        partitions_delegated=message.partitions_delegated,
        partitions_failed=message.partitions_failed,
        retry_of_build_request_id=message.retry_of_build_request_id,
        cancel_requested_by=message.cancel_requested_by,
        failure=failure_from_message(message),
        pruned_time=time_from_message(message.pruned_time),
    )
    progress = message.planning
    planning = PlanningProgress(
        progress.levels, progress.partitions, progress.config_calls, tuple(progress.configuring_jobs)
    )
    return BuildView(
        build,
        queue_position=message.queue_position,
        waiting_for=tuple(message.waiting_for),
        dead_reason=message.dead_reason,
        planning=planning if message.HasField("planning") else None,
        warnings=tuple(message.warnings),
    )


def partition_view_to_message(view: PartitionView) -> sv.PartitionDetail:
    return sv.PartitionDetail(
        ref=view.ref,
        job_label=view.job_label,
        record=partition_to_message(view.record) if view.record is not None else None,
        history=map(job_run_to_message, view.history),
    )


def partition_view_from_message(message: sv.PartitionDetail) -> PartitionView:
    return PartitionView(
        message.ref,
        message.job_label,
        record=partition_from_message(message.record) if message.HasField("record") else None,
        history=tuple(map(job_run_from_message, message.history)),
    )


def explanation_to_message(explanation: Explanation) -> sv.PartitionExplanation:
    return sv.PartitionExplanation(
        partition=partition_view_to_message(explanation.view),
        planned=planned_to_message(explanation.planned),
        total_tasks=explanation.tasks,
        absent_inputs=absent_inputs_to_messages(explanation.absent_inputs),
        warnings=explanation.warnings,
    )


def explanation_from_message(message: sv.PartitionExplanation) -> Explanation:
    return Explanation(
        partition_view_from_message(message.partition),
        planned_from_message(message.planned),
        tasks=message.total_tasks,
        absent_inputs=absent_inputs_from_messages(message.absent_inputs),
        warnings=tuple(message.warnings),
    )


def lineage_to_message(lineage: Lineage) -> sv.Lineage:
    edges = [
        sv.LineageEdge(input=edge.input, output=edge.output, version=edge.version, query=edge.query)
        for edge in lineage.edges
    ]
    return sv.Lineage(edges=edges, complete=lineage.complete)


def downstream_to_message(page: DownstreamPage) -> sv.ListDownstreamResponse:
    partitions = [
        sv.DownstreamPartition(**{**partition._asdict(), "status": PARTITION.number(partition.status)})
        for partition in page.partitions
    ]
    return sv.ListDownstreamResponse(
        partitions=partitions, next_page_token=page.next_page_token, truncated=page.truncated
    )


def downstream_from_message(message: sv.ListDownstreamResponse) -> DownstreamPage:
    partitions = tuple(
        DownstreamPartition(
            partition.ref,
            partition.distance,
            partition.input,
            partition.version,
            query=partition.query,
            status=PARTITION.name(partition.status),
            available=partition.available,
            tainted=partition.tainted,
            input_changed=partition.input_changed,
        )
        for partition in message.partitions
    )
    return DownstreamPage(partitions, message.next_page_token, truncated=message.truncated)


def job_to_message(statistics: JobStatistics) -> sv.JobSummary:
    return sv.JobSummary(
        job_label=statistics.job_label,
        outputs=statistics.outputs,
        tags=statistics.tags,
        recent_runs=statistics.runs,
        recent_completed=statistics.completed,
        recent_failed=statistics.failed,
        median_seconds=statistics.median_seconds,
        p95_seconds=statistics.p95_seconds,
        last_ended_time=time_to_message(statistics.last_ended_time),
    )


def log_chunk_to_message(chunk: LogChunk) -> sv.LogChunk:
    return sv.LogChunk(
        data=chunk.data,
        offset=chunk.offset,
        next_offset=chunk.next_offset,
        ended=chunk.ended,
        path=chunk.path,
        total_bytes=chunk.total_bytes,
    )


def log_chunk_from_message(message: sv.LogChunk) -> LogChunk:
    return LogChunk(message.data, message.offset, message.ended, message.path, message.total_bytes)


def storage_to_message(room: StorageUsage) -> sv.Storage:
    sizes = room.sizes
    message = sv.Storage(
        event_log_bytes=room.event_log_bytes,
        job_log_bytes=room.job_log_bytes,
        logs_pruned_before_time=time_to_message(room.logs_pruned_before),
    )
    if sizes is not None:
        message.builds, message.pruned_builds, message.events = sizes.builds, sizes.pruned_builds, sizes.events
    return message


def storage_from_message(message: sv.Storage, *, counted: bool) -> StorageUsage:
    """Converts the sizes of event log and job logs.

    Args:
        message: The message.
        counted: True if builds and events were counted; otherwise, their numbers in the message mean nothing.
    """
    sizes = LogSizes(message.builds, message.pruned_builds, message.events, message.event_log_bytes)
    before = time_from_message(message.logs_pruned_before_time)
    return StorageUsage(message.event_log_bytes, message.job_log_bytes, sizes if counted else None, before)


def pruned_to_message(pruned: Pruned) -> sv.PruneBuildsResponse:
    builds = [
        sv.PrunedBuild(
            build_request_id=build.build_request_id,
            status=BUILD.message_name(build.status),
            ended_time=time_to_message(build.ended_time),
            events=build.events,
        )
        for build in pruned.builds
    ]
    return sv.PruneBuildsResponse(**{**pruned._asdict(), "builds": builds})


def pruned_from_message(message: sv.PruneBuildsResponse) -> Pruned:
    builds = tuple(
        PrunedBuild(build.build_request_id, BUILD.name(build.status), time_from_message(build.ended_time), build.events)
        for build in message.builds
    )
    return Pruned(
        builds,
        events=message.events,
        event_bytes=message.event_bytes,
        log_builds=message.log_builds,
        log_bytes=message.log_bytes,
        freed_bytes=message.freed_bytes,
        more=message.more,
    )


def verification_to_message(verification_id: str, result: Verification | None) -> sv.VerifyEventsResponse:
    if result is None:
        return sv.VerifyEventsResponse(verification_id=verification_id, running=True)
    reported = [
        sv.EventLogFault(build_request_id=fault.build_request_id, message=fault.message) for fault in result.reported
    ]
    return sv.VerifyEventsResponse(
        verification_id=verification_id,
        events=result.events,
        builds=result.builds,
        faults=result.faults,
        reported_faults=reported,
    )


def verification_from_message(message: sv.VerifyEventsResponse) -> Verification:
    reported = tuple(LogFault(fault.build_request_id, fault.message) for fault in message.reported_faults)
    return Verification(message.events, message.builds, message.faults, reported)
