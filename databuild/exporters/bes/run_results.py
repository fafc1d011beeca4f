"""Results of job runs and of checks as results of tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from databuild.errors import StorageError
from databuild.exporters.bes import build_event_stream_pb2 as bep
from databuild.model.enum_names import severity_name
from databuild.model.records import JobRunRecord
from databuild.model.statuses import JOB
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_STREAMS: Final = ("stdout", "stderr")
_NANOSECONDS: Final = 1_000_000_000
_MAX_BYTES: Final = 4096
_MAX_LINES: Final = 12
"""The size of the end of a log that a failed job run shows."""


class RunLogs:
    """The logs of job runs, which may be files of this machine or objects in a store."""

    def __init__(
        self, place: Callable[[JobRunRecord, str], str], read: Callable[[JobRunRecord, str, int], bytes]
    ) -> None:
        """Reads nothing yet.

        Args:
            place: Returns the path or the URI of a log.
            read: Returns the end of a log, up to a number of bytes. It may raise OSError and StorageError.
        """
        self._place = place
        self._read = read

    def files(self, job_run: JobRunRecord) -> Sequence[bep.File]:
        """Returns the logs of a job run that are not empty."""
        files = (self._file(job_run, stream) for stream in _STREAMS)
        return [file for file in files if file is not None]

    def end(self, job_run: JobRunRecord) -> Sequence[str]:
        """Returns the last lines of the errors of a job run, or of its output; empty if they cannot be read."""
        for stream in reversed(_STREAMS):
            try:
                text = self._read(job_run, stream, _MAX_BYTES).decode(errors="replace")
            except (OSError, StorageError):
                text = ""
            if text.strip():
                return text.splitlines()[-_MAX_LINES:]
        return ()

    def _file(self, job_run: JobRunRecord, stream: str) -> bep.File | None:
        place = self._place(job_run, stream)
        length = job_run.stdout_bytes if stream == "stdout" else job_run.stderr_bytes
        if job_run.log_store:
            if length == 0:
                return None
        else:
            try:
                length = os.stat(place).st_size  # noqa: PTH116 (pathlib takes longer than the call)
            except OSError:  # job runs without output have no file
                return None
        if "://" not in place:
            from pathlib import Path

            place = Path(place).absolute().as_uri()
        return bep.File(name=stream, uri=place, length=length or 0)


def run_of(event: ev.BuildEvent, log_store: str) -> JobRunRecord:
    """Returns the part of the record of a job run that its logs need, from the event of its end."""
    job = event.job
    return JobRunRecord(
        job_run_id=job.job_run_id,
        build_request_id=event.build_request_id,
        number=0,
        task_id=job.task_id,
        job_label=job.job_label,
        attempt=job.attempt,
        status=JOB.name(job.status),
        duration_seconds=job.duration_seconds,
        log_store=log_store,
        stdout_bytes=job.stdout_bytes if job.HasField("stdout_bytes") else None,
        stderr_bytes=job.stderr_bytes if job.HasField("stderr_bytes") else None,
    )


def started_of(event: ev.BuildEvent) -> Timestamp:
    """Returns the time at which a job run started whose end is an event."""
    # `FromNanoseconds` takes three times as long.
    time = event.time
    seconds, nanos = divmod(
        time.seconds * _NANOSECONDS + time.nanos - int(event.job.duration_seconds * 1e9), _NANOSECONDS
    )
    return Timestamp(seconds=seconds, nanos=nanos)


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


def result_of(
    event: ev.BuildEvent, status: bep.TestStatus, started: Timestamp, placement: ev.PlacementEvent | None
) -> bep.TestResult:
    """Returns the result of a job run that has run.

    Args:
        event: Its end.
        status: Its status.
        started: The time at which it has started.
        placement: Where an engine has run it; None for this machine.
    """
    job = event.job
    strategy = "worker" if job.worker_id else "local"
    seconds, nanos = divmod(int(job.duration_seconds * 1e9), _NANOSECONDS)
    return bep.TestResult(
        status=status,
        status_details=job.failure.message,
        test_attempt_start=started,
        test_attempt_start_millis_epoch=started.seconds * 1000 + started.nanos // 1_000_000,
        test_attempt_duration=Duration(seconds=seconds, nanos=nanos),
        test_attempt_duration_millis=int(job.duration_seconds * 1000),
        execution_info=bep.TestResult.ExecutionInfo(
            strategy="remote" if placement else strategy,
            hostname=placement.machine if placement else "",
            exit_code=job.exit_code,
        ),
    )


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
