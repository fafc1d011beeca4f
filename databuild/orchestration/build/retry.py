"""What a retry of a build asks for."""

from __future__ import annotations

from databuild.errors import BuildNotFoundError, BuildPrunedError, BuildStateError, InvalidRequestError
from databuild.event_log.reads import BuildReads, OpenBuildReads
from databuild.model import statuses
from databuild.model.paging import read_rows
from databuild.model.records import BuildRecord
from databuild.orchestration.coordination.dead_builds import find_dead


def check_may_be_retried(reader: OpenBuildReads, build: BuildRecord) -> None:
    """Checks that nobody is at a build any more.

    Raises:
        BuildStateError: Its orchestrator lives.
    """
    # What is dead without an end gets one from the build that begins now.
    if build.status not in statuses.BUILD.ended and build.build_request_id not in find_dead(reader):
        fault = f"has not ended: {build.status}; cancel it first"
        raise BuildStateError(build.build_request_id, build.status, fault)


def partitions_to_retry(
    reader: BuildReads, build_request_id: str, *, failed_jobs_only: bool = False
) -> tuple[str, ...]:
    """Returns what to request so that a build is tried again; what it finished is not built again.

    Args:
        reader: Reads the event log.
        build_request_id: The build to retry.
        failed_jobs_only: Whether to ask only for the outputs of jobs that ran and failed, and not for what depended on
            them.

    Raises:
        BuildNotFoundError: There is no such build.
        InvalidRequestError: It completed, or no job of it failed.
        BuildPrunedError: Which jobs failed is asked for, and was pruned.
    """
    build = reader.build(build_request_id)
    if build is None:
        raise BuildNotFoundError(build_request_id)
    if build.status == "COMPLETED":
        message = f"build {build_request_id} completed: there is nothing to retry"
        raise InvalidRequestError(message).with_remedy("BUILD_WITH_FORCE")
    if not failed_jobs_only:
        return build.requested
    if build.pruned_time:
        raise BuildPrunedError(build_request_id, "which of its jobs failed is not known any more")
    partitions = read_rows(
        lambda after, limit: reader.build_partitions(build_request_id, status="FAILED", after=after, limit=limit),
        key=lambda partition: partition.ref,
        start="",
    )
    failed = tuple(partition.ref for partition in partitions if partition.job_run_id)
    if not failed:
        message = f"no job of build {build_request_id} failed"
        raise InvalidRequestError(message).with_remedy("RETRY_EVERYTHING")
    return failed
