"""Results of job runs and of checks as results of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from databuild.exporters.bes import build_event_stream_pb2 as bep
from databuild.model.enum_names import severity_name
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from collections.abc import Sequence

STREAMS: Final = ("stdout", "stderr")


class RunLogs(Protocol):
    """The logs of job runs."""

    def uri(self, job_run_id: str, stream: str, log_store: str) -> str:
        """Returns the URI of a log; empty if the job run has none.

        Args:
            job_run_id: The job run.
            stream: One of STREAMS.
            log_store: The place of the logs of the build; empty for the state directory.
        """
        ...

    def end(self, job_run_id: str, log_store: str) -> str:
        """Returns the last lines of the output of a job run; empty if there is none, or if it cannot be read."""
        ...


class NoLogs:
    """`RunLogs` of a process that knows no place of logs."""

    def uri(self, job_run_id: str, stream: str, log_store: str) -> str:  # noqa: ARG002 (the names of the Protocol)
        return ""

    def end(self, job_run_id: str, log_store: str) -> str:  # noqa: ARG002 (the names of the Protocol)
        return ""


def started_of(event: ev.BuildEvent) -> Timestamp:
    """Returns the time at which a job run started whose end is an event."""
    started = Timestamp()
    started.FromNanoseconds(event.time.ToNanoseconds() - int(event.job.duration_seconds * 1e9))
    return started


def has_run(job: ev.JobEvent) -> bool:
    """Returns True for the end of a job run whose process was started, or could not be."""
    return job.status in {ev.JOB_STATUS_COMPLETED, ev.JOB_STATUS_FAILED} or job.duration_seconds > 0


def status_of(job: ev.JobEvent, *, remote: bool) -> bep.TestStatus:
    """Returns the status of a job run that has run."""
    if job.status == ev.JOB_STATUS_COMPLETED:
        return bep.PASSED
    if job.status != ev.JOB_STATUS_FAILED:
        return bep.INCOMPLETE
    if job.failure.category == pt.FAILURE_CATEGORY_TIMEOUT:
        return bep.TIMEOUT
    infrastructure = job.failure.category in {pt.FAILURE_CATEGORY_INFRASTRUCTURE, pt.FAILURE_CATEGORY_LOST}
    return bep.REMOTE_FAILURE if infrastructure and remote else bep.FAILED


def result_of(event: ev.BuildEvent, status: bep.TestStatus, placement: ev.PlacementEvent | None) -> bep.TestResult:
    """Returns the result of a job run that has run.

    Args:
        event: Its end.
        status: Its status.
        placement: Where an engine has run it; None for this machine.
    """
    job = event.job
    strategy = "worker" if job.worker_id else "local"
    started = started_of(event)
    result = bep.TestResult(
        status=status,
        status_details=job.failure.message,
        test_attempt_start=started,
        test_attempt_start_millis_epoch=started.ToMilliseconds(),
        test_attempt_duration_millis=int(job.duration_seconds * 1000),
        execution_info=bep.TestResult.ExecutionInfo(
            strategy="remote" if placement else strategy,
            hostname=placement.machine if placement else "",
            exit_code=job.exit_code,
        ),
    )
    result.test_attempt_duration.FromNanoseconds(int(job.duration_seconds * 1e9))
    return result


def abortion_of(job: ev.JobEvent) -> bep.Aborted:
    """Returns the reason why a job run never ran."""
    reason = bep.Aborted.SKIPPED
    if job.status == ev.JOB_STATUS_CANCELLED:
        interrupted = job.failure.category == pt.FAILURE_CATEGORY_CANCELLED
        reason = bep.Aborted.USER_INTERRUPTED if interrupted else bep.Aborted.INCOMPLETE
    return bep.Aborted(reason=reason, description=job.failure.message)


def result_of_check(event: ev.BuildEvent) -> bep.TestResult:
    """Returns the result of a check."""
    check = event.check.result
    words = [severity_name(check.severity) if check.severity and not check.passed else "", check.ref, check.message]
    return bep.TestResult(
        status=bep.PASSED if check.passed else bep.FAILED,
        status_details=": ".join(word for word in words if word),
        test_attempt_start=event.time,
        test_attempt_start_millis_epoch=event.time.ToMilliseconds(),
    )


def files_of(logs: RunLogs, job_run_id: str, log_store: str) -> Sequence[bep.File]:
    """Returns the logs of a job run."""
    uris = {stream: logs.uri(job_run_id, stream, log_store) for stream in STREAMS}
    return [bep.File(name=stream, uri=uri) for stream, uri in uris.items() if uri]
