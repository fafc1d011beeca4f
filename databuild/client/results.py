"""What came of a build, from its last event."""

from __future__ import annotations

from typing import cast

from google.protobuf.json_format import MessageToDict

from databuild.error_codes import restore_error
from databuild.errors import BuildFailedError
from databuild.model.records import BuildRecord
from databuild.model.results import BuildResult, Cancelled, Failed, FailFast, Success
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


def result_of(end: ev.BuildRequestEvent) -> BuildResult:
    """Returns what came of a build.

    Args:
        end: The event that ended it.
    """
    if end.status == ev.BUILD_STATUS_COMPLETED:
        return Success(jobs_completed=end.jobs_completed)
    if end.status == ev.BUILD_STATUS_CANCELLED:
        return Cancelled(jobs_completed=end.jobs_completed, author=end.cancelled_by)
    if end.trigger_job:
        return FailFast(trigger_job=end.trigger_job, jobs_completed=end.jobs_completed, jobs_failed=end.jobs_failed)
    error = end.error
    return Failed(
        jobs_completed=end.jobs_completed,
        jobs_failed=end.jobs_failed,
        category=end.failure.category,
        message=end.failure.message,
        error=restore_error(error.code, error.message, MessageToDict(error.facts)) if end.HasField("error") else None,
    )


def result_of_pruned(build: BuildRecord) -> BuildResult:
    """Returns what came of a build whose events are not kept any more, as far as that is known."""
    if build.status == "COMPLETED":
        return Success(jobs_completed=build.jobs_completed)
    if build.status == "CANCELLED":
        return Cancelled(jobs_completed=build.jobs_completed, author=build.cancel_requested_by)
    failure = build.failure
    category = pt.FailureCategory.Value(f"FAILURE_CATEGORY_{failure.category if failure else 'USER'}")
    return Failed(
        jobs_completed=build.jobs_completed,
        jobs_failed=build.jobs_failed,
        category=cast("pt.FailureCategory", category),
        message=failure.message if failure else "",
    )


def check_success(build_request_id: str, result: BuildResult) -> None:
    """Checks that a build succeeded.

    Raises:
        DataBuildError: What ended the build, where no job did.
        BuildFailedError: It failed otherwise, or was cancelled.
    """
    if isinstance(result, Success):
        return
    if isinstance(result, Cancelled):
        fault = f"cancelled by {result.author}" if result.author else ""
        raise BuildFailedError(build_request_id, "CANCELLED", fault)
    if isinstance(result, FailFast):
        raise BuildFailedError(build_request_id, "FAILED", f"stopped after {result.trigger_job} failed")
    raise result.error or BuildFailedError(build_request_id, "FAILED", result.message)
