"""The contents of events, before they have a number and a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from databuild.error_codes import code_of, facts_of
from databuild.orchestration.results import BuildResult, Cancelled, Failed, FailFast, Success
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import plan_pb2

TASKS_PER_EVENT: Final = 1000
"""How many tasks one event of a job graph holds at most, so that none grows too large to send."""

REFS_PER_EVENT: Final = 10_000
"""How many outputs and inputs the tasks of one event have together at most; more only where one task has."""

Payload = tuple[str, Any]
"""The name of a field of the BuildEvent oneof, and its message."""


def partition_scheduled(ref: str, task_id: int, reason: pt.Reason, cause: str = "") -> Payload:
    """Returns the event that a task will produce a partition."""
    return (
        "partition",
        ev.PartitionEvent(ref=ref, status=pt.PARTITION_STATUS_SCHEDULED, task_id=task_id, reason=reason, cause=cause),
    )


def partition_available(
    ref: str, task_id: int, job_run_id: str, version: str = "", metadata: Mapping[str, Any] | None = None
) -> Payload:
    """Returns the event that a partition is complete."""
    event = ev.PartitionEvent(
        ref=ref,
        status=pt.PARTITION_STATUS_AVAILABLE,
        task_id=task_id,
        job_run_id=job_run_id,
        version=version or job_run_id,
    )
    if metadata:
        event.metadata.update(metadata)
    return ("partition", event)


def parts_of_job_graph(tasks: Sequence[plan_pb2.Task], code_digests: Mapping[str, str]) -> Iterator[ev.JobGraphEvent]:
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
    labels = dict.fromkeys(task.job_label for task in tasks)
    digests = {label: code_digests[label] for label in labels if label in code_digests}
    return ev.JobGraphEvent(tasks=tasks, total_tasks=total, code_digests=digests)


def terminal_event(result: BuildResult) -> ev.BuildRequestEvent:
    """Returns the event that ends a build as its result says."""
    if isinstance(result, Success):
        return ev.BuildRequestEvent(status=ev.BUILD_STATUS_COMPLETED, jobs_completed=result.jobs_completed)
    if isinstance(result, Cancelled):
        return ev.BuildRequestEvent(
            status=ev.BUILD_STATUS_CANCELLED,
            jobs_completed=result.jobs_completed,
            failure=pt.Failure(category=pt.FAILURE_CATEGORY_CANCELLED, message=why_unfinished(result)),
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


def category_of_unfinished(result: BuildResult) -> pt.FailureCategory:
    """Returns whose fault it is that something of a build has no end of its own."""
    return result.category if isinstance(result, Failed) else pt.FAILURE_CATEGORY_CANCELLED


def why_unfinished(result: BuildResult) -> str:
    """Returns why something of a build has no end of its own, in one sentence."""
    if isinstance(result, Cancelled):
        return f"the build was cancelled by {result.author}" if result.author else "the build was cancelled"
    if isinstance(result, FailFast):
        return f"not built: the build stopped after {result.trigger_job} failed"
    return (isinstance(result, Failed) and result.message) or "the build failed"
