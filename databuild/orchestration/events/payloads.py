"""Payloads of events: the messages inside, before the orchestrator adds sequence number and time."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Final

from google.protobuf import struct_pb2

from databuild.error_codes import code_of, facts_of
from databuild.model.results import BuildResult, Cancelled, Failed, FailFast, Success
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import plan_pb2

TASKS_PER_EVENT: Final = 1000
"""Maximum number of tasks in one event of a job graph, so that no event is too large to send."""

REFS_PER_EVENT: Final = 10_000
"""Maximum number of outputs and inputs of all tasks in one event; a single larger task has an event of its own."""

Payload = tuple[str, Any]
"""The name of a field of the BuildEvent oneof, and its message."""


def build_received(
    requested: Sequence[str],
    *,
    graph_label: str,
    options: ev.BuildOptions | None,
    retry_of: str,
    downstream_of: Sequence[str],
    warnings: Sequence[str],
    environment: str,
    origin: ev.BuildOrigin | None,
    traceparent: str,
    bazel_invocation_id: str,
) -> Payload:
    """Returns the first event of a build, RECEIVED."""
    received = ev.BuildRequestEvent(
        status=ev.BUILD_STATUS_RECEIVED,
        requested=[pt.PartitionRef(str=ref) for ref in requested],
        options=options,
        graph_label=graph_label,
        retry_of_build_request_id=retry_of,
        warnings=warnings,
        downstream_of=[pt.PartitionRef(str=ref) for ref in downstream_of],
        environment=environment,
        origin=origin,
        traceparent=traceparent,
        bazel_invocation_id=bazel_invocation_id,
    )
    return ("build_request", received)


def build_status(
    status: ev.BuildStatus, warnings: Sequence[str] = (), config_calls: Sequence[ev.ConfigCall] = ()
) -> Payload:
    """Returns the event that a build has reached a status that is not terminal."""
    return ("build_request", ev.BuildRequestEvent(status=status, warnings=warnings, config_calls=config_calls))


def partition_requested(ref: str) -> Payload:
    return ("partition", ev.PartitionEvent(ref=ref, status=pt.PARTITION_STATUS_REQUESTED))


def partition_scheduled(ref: str, task_id: int, reason: pt.Reason, cause: str = "") -> Payload:
    return (
        "partition",
        ev.PartitionEvent(ref=ref, status=pt.PARTITION_STATUS_SCHEDULED, task_id=task_id, reason=reason, cause=cause),
    )


def partition_building(ref: str, task_id: int, job_run_id: str) -> Payload:
    return (
        "partition",
        ev.PartitionEvent(ref=ref, status=pt.PARTITION_STATUS_BUILDING, task_id=task_id, job_run_id=job_run_id),
    )


def partition_available(
    ref: str,
    task_id: int,
    job_run_id: str,
    version: str = "",
    metadata: Mapping[str, Any] | struct_pb2.Struct | None = None,
    location: pt.Location | None = None,
) -> Payload:
    """Returns the event that a partition is complete. Without a version, its version is the id of the job run."""
    event = ev.PartitionEvent(
        ref=ref,
        status=pt.PARTITION_STATUS_AVAILABLE,
        task_id=task_id,
        job_run_id=job_run_id,
        version=version or job_run_id,
        location=location,
    )
    if isinstance(metadata, struct_pb2.Struct):
        event.metadata.CopyFrom(metadata)
    elif metadata:
        event.metadata.update(metadata)
    return ("partition", event)


def partition_missing(ref: str, version: str, reported_by: str = "") -> Payload:
    """Returns the event that the data of a partition is no longer in its store.

    Args:
        ref: The partition.
        version: The version of the lost data; empty if none is known.
        reported_by: The job run that reported it; empty if the build itself looked.
    """
    return (
        "partition",
        ev.PartitionEvent(ref=ref, status=pt.PARTITION_STATUS_MISSING, version=version, cause=reported_by),
    )


def partition_failed(ref: str, failure: pt.Failure, task_id: int = 0, job_run_id: str = "") -> Payload:
    event = ev.PartitionEvent(
        ref=ref, status=pt.PARTITION_STATUS_FAILED, task_id=task_id, job_run_id=job_run_id, failure=failure
    )
    return ("partition", event)


def partitions_delegated(
    delegated_to: str, job_label: str, refs: Sequence[str], own_partitions: Container[str], *, running: bool
) -> list[Payload]:
    """Returns the events that partitions are left to another build.

    Args:
        delegated_to: The other build.
        job_label: The job that produces the partitions.
        refs: The partitions.
        own_partitions: The partitions of this build. Those of `refs` that are among them become DELEGATED.
        running: True if the other build is still running.
    """
    ordered = sorted(refs)
    delegation = ev.DelegationEvent(
        delegated_to_build_request_id=delegated_to,
        job_label=job_label,
        partitions=[pt.PartitionRef(str=ref) for ref in ordered],
        running=running,
    )
    status = pt.PARTITION_STATUS_DELEGATED
    return [
        ("delegation", delegation),
        *(
            ("partition", ev.PartitionEvent(ref=ref, status=status, cause=delegated_to))
            for ref in ordered
            if ref in own_partitions
        ),
    ]


def job_event(
    job_run_id: str,
    task_id: int,
    job_label: str,
    status: ev.JobStatus,
    attempt: int = 1,
    failure: pt.Failure | None = None,
) -> ev.JobEvent:
    """Returns the message for the field `job` of a BuildEvent."""
    return ev.JobEvent(
        job_run_id=job_run_id, task_id=task_id, job_label=job_label, status=status, attempt=attempt, failure=failure
    )


def job_graph_events(tasks: Sequence[plan_pb2.Task], code_digests: Mapping[str, str]) -> Iterator[ev.JobGraphEvent]:
    """Yields the events of a job graph, at least one."""
    part: list[plan_pb2.Task] = []
    refs = 0
    for task in tasks:
        size = len(task.config.outputs) + len(task.config.inputs)
        if part and (len(part) == TASKS_PER_EVENT or refs + size > REFS_PER_EVENT):
            yield _part(part, len(tasks), code_digests)
            part, refs = [], 0
        part.append(task)
        refs += size
    yield _part(part, len(tasks), code_digests)


def _part(tasks: Sequence[plan_pb2.Task], total: int, code_digests: Mapping[str, str]) -> ev.JobGraphEvent:
    # Only the digests of the jobs in this part: a graph may have more jobs than a part has tasks.
    labels = dict.fromkeys(task.job_label for task in tasks)
    digests = {label: code_digests[label] for label in labels if label in code_digests}
    return ev.JobGraphEvent(tasks=tasks, total_tasks=total, code_digests=digests)


def terminal_event(result: BuildResult) -> ev.BuildRequestEvent:
    if isinstance(result, Success):
        return ev.BuildRequestEvent(status=ev.BUILD_STATUS_COMPLETED, jobs_completed=result.jobs_completed)
    if isinstance(result, Cancelled):
        return ev.BuildRequestEvent(
            status=ev.BUILD_STATUS_CANCELLED,
            jobs_completed=result.jobs_completed,
            failure=pt.Failure(category=pt.FAILURE_CATEGORY_CANCELLED, message=unfinished_message(result)),
            cancelled_by=result.author,
        )
    event = ev.BuildRequestEvent(
        status=ev.BUILD_STATUS_FAILED, jobs_completed=result.jobs_completed, jobs_failed=result.jobs_failed
    )
    if isinstance(result, FailFast):
        event.trigger_job = result.trigger_job
        event.failure.category = pt.FAILURE_CATEGORY_USER
        event.failure.message = f"stopped after {result.trigger_job} failed"
    else:
        event.failure.category = result.category
        event.failure.message = result.message or f"{result.jobs_failed} jobs failed"
        if result.error is not None:
            event.error.code = code_of(result.error)
            event.error.message = str(result.error)
            event.error.facts.update(facts_of(result.error))
    return event


def unfinished_category(result: BuildResult) -> pt.FailureCategory:
    """Returns the failure category of job runs and partitions that are open when the build ends."""
    return result.category if isinstance(result, Failed) else pt.FAILURE_CATEGORY_CANCELLED


def unfinished_message(result: BuildResult) -> str:
    """Returns the failure message of job runs and partitions that are open when the build ends."""
    if isinstance(result, Cancelled):
        return f"the build was cancelled by {result.author}" if result.author else "the build was cancelled"
    if isinstance(result, FailFast):
        return f"not built: the build stopped after {result.trigger_job} failed"
    return (isinstance(result, Failed) and result.message) or "the build failed"
