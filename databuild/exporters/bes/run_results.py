"""Results of job runs and of checks as results of tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import islice
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

NANOSECONDS: Final = 1_000_000_000
"""The nanoseconds of a second."""

_STREAMS: Final = ("stdout", "stderr")
_RAN: Final = frozenset({ev.JOB_STATUS_COMPLETED, ev.JOB_STATUS_FAILED})
_NANOSECONDS_PER_MS: Final = 1_000_000
_MAX_LISTED: Final = 200
"""The number of logs in a folder from which on they are looked up one by one."""

_MAX_USES: Final = 1_000
"""The number of results after which the message that is filled for them is replaced."""

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
        self._listed: dict[str, frozenset[str] | None] = {}

    def look_again(self) -> None:
        """Forgets which job runs have logs. To be called whenever events were read."""
        self._listed.clear()

    def files(self, event: ev.BuildEvent, log_store: str) -> Sequence[bep.File]:
        """Returns the logs that are not empty of a job run whose end is an event."""
        if not log_store:
            build = event.build_request_id
            if build not in self._listed:
                # All job runs whose end was read have their logs by now.
                self._listed[build] = _list_logs(os.path.dirname(self._place(run_of(event, ""), _STREAMS[0])))  # noqa: PTH120
            listed = self._listed[build]
            if listed is not None and event.job.job_run_id not in listed:
                return ()
        job_run = run_of(event, log_store)
        return [file for stream in _STREAMS if (file := self._file(job_run, stream)) is not None]

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


def _list_logs(folder: str) -> frozenset[str] | None:
    """Returns the job runs with logs in a folder; None if there are too many to list, or if it cannot be read.

    A log has the name of its job run and of the stream (`log_files.log_path`).
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _MAX_LISTED)]
    except FileNotFoundError:
        return frozenset()
    except OSError:
        return None
    return frozenset(name.rpartition(".")[0] for name in names) if len(names) < _MAX_LISTED else None


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


def has_run(job: ev.JobEvent) -> bool:
    """Returns True for the end of a job run whose process was started, or could not be."""
    return job.status in _RAN or job.duration_seconds > 0


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


class RunResults:
    """Makes the events with the results of job runs.

    One message is filled for many of them, and copied: messages take three times as long to make from their parts.
    """

    def __init__(self) -> None:
        self._begin_event()

    def _begin_event(self) -> None:
        """Makes the message. protobuf keeps the memory of every value that a field ever had, so it is replaced."""
        self._uses = 0
        result = bep.TestResult(
            test_attempt_start=Timestamp(),
            test_attempt_duration=Duration(),
            execution_info=bep.TestResult.ExecutionInfo(),
        )
        self._event = bep.BuildEvent(test_result=result)
        self._result = self._event.test_result
        self._start = self._result.test_attempt_start
        self._duration = self._result.test_attempt_duration
        self._execution = self._result.execution_info

    def event(
        self,
        result_id: bep.BuildEventId,
        job: ev.JobEvent,
        status: bep.TestStatus,
        started: int,
        placement: ev.PlacementEvent | None,
        files: Sequence[bep.File],
    ) -> bep.BuildEvent:
        """Returns the event with the result of a job run that has run.

        Args:
            result_id: Its id.
            job: The end of the job run.
            status: Its status.
            started: The time at which it has started, in nanoseconds since the epoch.
            placement: Where an engine has run it; None for this machine.
            files: Its logs.
        """
        if self._uses == _MAX_USES:
            self._begin_event()
        self._uses += 1
        seconds = job.duration_seconds
        self._event.id.CopyFrom(result_id)
        self._result.status = status
        self._result.status_details = job.failure.message
        self._start.seconds, self._start.nanos = divmod(started, NANOSECONDS)
        self._result.test_attempt_start_millis_epoch = started // _NANOSECONDS_PER_MS
        self._duration.seconds, self._duration.nanos = divmod(int(seconds * NANOSECONDS), NANOSECONDS)
        self._result.test_attempt_duration_millis = int(seconds * 1000)
        self._execution.strategy = "remote" if placement else "worker" if job.worker_id else "local"
        self._execution.hostname = placement.machine if placement else ""
        self._execution.exit_code = job.exit_code
        event = bep.BuildEvent()
        event.CopyFrom(self._event)
        event.test_result.test_action_output.extend(files)
        return event


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
