"""The last events of a stream: the end of the build and its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from databuild.error_codes import restore_error
from databuild.exporters.bes import build_event_stream_pb2 as bep
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from databuild.exporters.bes.targets import Target

BUILT: Final = 0
JOB_FAILED: Final = 1
OUR_FAILURE: Final = 3
INTERRUPTED: Final = 130

_MAX_KINDS: Final = 100
"""The maximum number of jobs with metrics of their own."""

_NANOSECONDS_PER_MS: Final = 1_000_000

_NAMES: Final = {
    BUILT: "SUCCESS",
    JOB_FAILED: "BUILD_FAILURE",
    2: "COMMAND_LINE_ERROR",
    OUR_FAILURE: "LOCAL_ENVIRONMENTAL_ERROR",
    4: "PLAN_CHANGED",
    INTERRUPTED: "INTERRUPTED",
}
"""Names of exit codes: those of Bazel where it has a code with the same meaning."""


class Progression:
    """When a build has reached its stages, and what it has produced."""

    def __init__(self, received: Timestamp) -> None:
        self.received = received
        self.planning: Timestamp | None = None
        self.planned: Timestamp | None = None
        self.executing: Timestamp | None = None
        self.partitions = 0
        self.bytes = 0


def exit_code_of(end: ev.BuildRequestEvent, of_error: Callable[[BaseException], int]) -> int:
    """Returns the exit code with which the command line ends after a build.

    Args:
        end: The terminal status of the build.
        of_error: Returns the exit code of an error.
    """
    if end.status == ev.BUILD_STATUS_COMPLETED:
        return BUILT
    if end.status == ev.BUILD_STATUS_CANCELLED:
        return INTERRUPTED
    if end.HasField("error"):
        return of_error(restore_error(end.error.code, end.error.message, {}))
    ours = not end.jobs_failed and end.failure.category == pt.FAILURE_CATEGORY_INFRASTRUCTURE
    return OUR_FAILURE if ours else JOB_FAILED


def finished(event: ev.BuildEvent, exit_code: int) -> bep.BuildFinished:
    """Returns the end of a build whose last event is `event`."""
    end = event.build_request
    finished = bep.BuildFinished(
        overall_success=exit_code == BUILT,
        exit_code=bep.BuildFinished.ExitCode(name=_NAMES.get(exit_code, "FAILURE"), code=exit_code),
        finish_time=event.time,
        finish_time_millis=event.time.ToMilliseconds(),
    )
    if exit_code != BUILT:
        finished.failure_detail.message = end.error.message or end.failure.message
    return finished


def metrics(progression: Progression, jobs: Iterable[Target], tasks: int, end: Timestamp) -> bep.BuildMetrics:
    """Returns the metrics of a build.

    Args:
        progression: Its stages.
        jobs: The targets of its jobs.
        tasks: The number of tasks of its job graph.
        end: The time of its end.
    """
    jobs = list(jobs)
    executed = sum(job.executed for job in jobs)
    cpu = sum(job.cpu_seconds for job in jobs)
    summary = bep.BuildMetrics.ActionSummary(
        actions_created=tasks,
        actions_executed=executed,
        action_data=[_action_data(job) for job in jobs if job.executed][:_MAX_KINDS],
        runner_count=[bep.BuildMetrics.ActionSummary.RunnerCount(name="total", count=executed)],
    )
    timing = bep.BuildMetrics.TimingMetrics(
        cpu_time_in_ms=int(cpu * 1000),
        wall_time_in_ms=_milliseconds(progression.received, end),
        analysis_phase_time_in_ms=_milliseconds(progression.planning, progression.planned or end),
        execution_phase_time_in_ms=_milliseconds(progression.executing, end),
    )
    outputs = bep.BuildMetrics.ArtifactMetrics.FilesMetric(
        count=progression.partitions, size_in_bytes=progression.bytes
    )
    return bep.BuildMetrics(
        action_summary=summary,
        target_metrics=bep.BuildMetrics.TargetMetrics(targets_configured=len(jobs)),
        timing_metrics=timing,
        artifact_metrics=bep.BuildMetrics.ArtifactMetrics(output_artifacts_seen=outputs),
    )


def _action_data(job: Target) -> bep.BuildMetrics.ActionSummary.ActionData:
    data = bep.BuildMetrics.ActionSummary.ActionData(
        mnemonic=job.label,
        actions_executed=job.executed,
        first_started_ms=job.first // _NANOSECONDS_PER_MS,
        last_ended_ms=job.last // _NANOSECONDS_PER_MS,
    )
    data.user_time.FromNanoseconds(int(job.cpu_seconds * 1e9))
    return data


def _milliseconds(start: Timestamp | None, end: Timestamp) -> int:
    return max(end.ToMilliseconds() - start.ToMilliseconds(), 0) if start is not None else 0
