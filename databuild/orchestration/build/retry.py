"""Retry of a build: the partitions that it requests."""

from __future__ import annotations

from databuild.errors import BuildNotFoundError, BuildPrunedError, BuildStateError, InvalidRequestError
from databuild.event_log.reads import BuildReads, OpenBuildReads
from databuild.model import statuses
from databuild.model.paging import read_rows
from databuild.model.records import BuildRecord
from databuild.orchestration.coordination.dead_builds import find_dead_builds


def check_may_be_retried(reader: OpenBuildReads, build: BuildRecord) -> None:
    """Checks that a build has ended or is dead.

    Raises:
        BuildStateError: The build is running or waiting.
    """
    # The retry is a new build, which ends dead builds when it starts.
    if build.status not in statuses.BUILD.ended and build.build_request_id not in find_dead_builds(reader):
        fault = f"has not ended: {build.status}; cancel it first"
        raise BuildStateError(build.build_request_id, build.status, fault)


def partitions_to_retry(
    reader: BuildReads, build_request_id: str, *, failed_jobs_only: bool = False
) -> tuple[str, ...]:
    """Returns the partitions that a retry requests. Partitions that the build has completed are not built again.

    Args:
        reader: Reads the event log.
        build_request_id: The build to retry.
        failed_jobs_only: True to request only the outputs of jobs that ran and failed, without their downstream.

    Raises:
        BuildNotFoundError: There is no such build.
        InvalidRequestError: The build completed, or none of its jobs failed.
        BuildPrunedError: `failed_jobs_only` needs events that were pruned.
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
