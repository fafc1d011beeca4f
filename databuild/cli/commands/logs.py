"""`logs [BUILD|JOB_RUN]`: prints the standard output and standard error of job runs, and follows them as they grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import place_text, time_text
from databuild.cli.flags.exit_codes import BUILT
from databuild.model import statuses
from databuild.model.paging import read_rows
from databuild.orchestration.logs.log_files import STREAMS, known_size

if TYPE_CHECKING:
    from databuild.model.records import BuildRecord, JobRunRecord

POLL_SECONDS = 0.2
STORE_POLL_SECONDS = 1.0
"""As long as a listing of a store is used again."""
POLLS_PER_LIVENESS_CHECK = 5
"""Checking that a build is alive costs more than reading its logs, and may be late by a second."""


def run(call: Invocation) -> int:
    """Prints the logs of one job run, or of all job runs of a build in the order in which they were scheduled."""
    text = call.one_build()
    backend = call.backend()
    reader = backend.records
    # A build id has no dot, and a job run id is BUILD.TASK.ATTEMPT.
    job_run = reader.job_run(text) if "." in text else None
    build = backend.find_build(text if job_run is None else job_run.build_request_id)
    if call.json:
        runs = [job_run] if job_run is not None else _job_runs(call, build.build_request_id, 0)
        facts = {"build_request_id": build.build_request_id, "pruned": _pruned_message(call, build)}
        call.out.json({**facts, "job_runs": [_as_json(call, run) for run in runs]})
        return BUILT
    printer = _LogPrinter(call)
    if job_run is not None:
        printer.add(job_run)
    last_number = polls = 0
    while True:
        # Read the status before the logs: if the build has ended, its logs are complete.
        ended = build.status in statuses.BUILD.ended
        printer.refresh()
        if job_run is None:
            for new_run in _job_runs(call, build.build_request_id, last_number):
                printer.add(new_run)
                last_number = new_run.number
        printer.print_new()
        if ended or call.out.closed or not call.flags["follow"]:
            printer.report_missing()
            if not printer.current:
                empty = f"no job run of {text} has written anything" if job_run is None else f"{text} wrote nothing"
                reason = _pruned_message(call, build) or empty
                call.err.line(f"databuild: {reason}")
            return BUILT
        call.out.flush()
        polls += 1
        if polls % POLLS_PER_LIVENESS_CHECK == 0 and (fault := backend.dead_build_message(build.build_request_id)):
            printer.print_new()
            call.err.line(f"databuild: {fault}")
            return BUILT
        call.sleep(STORE_POLL_SECONDS if printer.reads_store else POLL_SECONDS)
        build = reader.build(build.build_request_id) or build


def _pruned_message(call: Invocation, build: BuildRecord) -> str:
    """Returns why the logs of a build are missing; empty if they were not pruned."""
    if build.pruned_time:
        return f"the logs of build {build.build_request_id} were pruned with it, {time_text(build.pruned_time)} UTC"
    before = call.backend().logs_pruned_before()
    if build.status in statuses.BUILD.ended and build.updated_time < before:
        logs = f"the logs of build {build.build_request_id} were pruned for their age"
        return f"{logs}: logs of builds that ended before {time_text(before)} UTC have been removed"
    return ""


class _LogPrinter:
    """Prints the new content of logs, under a heading whenever the log changes.

    Attributes:
        current: The job run and stream that were printed last; None if nothing was printed.
    """

    def __init__(self, call: Invocation) -> None:
        self._call = call
        self._backend = call.backend()
        self._runs: dict[str, JobRunRecord] = {}
        # Heading and offset in bytes, by job run and stream.
        self._logs: dict[tuple[str, str], tuple[str, int]] = {}
        self.current: tuple[str, str] | None = None

    @property
    def reads_store(self) -> bool:
        """True if a log is in a store, not in a state directory."""
        return any(run.log_store for run in self._runs.values())

    def add(self, job_run: JobRunRecord) -> None:
        self._runs[job_run.job_run_id] = job_run
        place = place_text(job_run, self._call.clock())
        where = f" {place}" if place else ""
        for stream in STREAMS:
            heading = f"==> {job_run.job_run_id} {job_run.job_label}{where} ({stream}) <=="
            self._logs[job_run.job_run_id, stream] = (heading, 0)

    def refresh(self) -> None:
        """Reads the records of job runs again that had not ended: an end has the sizes of logs in a store."""
        for run in self._runs.values():
            if run.status not in statuses.JOB.ended:
                self._runs[run.job_run_id] = self._backend.records.job_run(run.job_run_id) or run

    def report_missing(self) -> None:
        """Prints a line about each log whose store does not have all of it."""
        for (job_run_id, stream), (_, offset) in self._logs.items():
            run = self._runs[job_run_id]
            missing = (known_size(run, stream) or 0) - offset
            if missing > 0:
                place = self._backend.log_path(run, stream)
                self._call.err.line(
                    f"databuild: {missing} bytes of {place} are missing: they were pruned, or the machine that ran the "
                    "build has not stored them yet"
                )

    def print_new(self) -> None:
        """Prints the content that was added to the logs since the last call."""
        for log, (heading, offset) in self._logs.items():
            data = self._backend.read_log(self._runs[log[0]], log[1], offset)
            if not data:
                continue
            text = data.decode(errors="replace")
            if log != self.current:
                self.current = log
                self._call.out.line(heading)
            self._call.out.write(text)
            # While the log grows, the rest of the line may follow.
            if not text.endswith("\n") and not self._call.flags["follow"]:
                self._call.out.line()
            self._logs[log] = (heading, offset + len(data))


def _job_runs(call: Invocation, build_request_id: str, after: int) -> list[JobRunRecord]:
    reader = call.backend().records
    runs = read_rows(
        lambda last, limit: reader.job_runs(build_request_id, after=last, limit=limit),
        key=lambda run: run.number,
        start=after,
    )
    return list(runs)


def _as_json(call: Invocation, job_run: JobRunRecord) -> dict[str, Any]:
    backend = call.backend()
    texts = {stream: backend.read_log(job_run, stream, 0).decode(errors="replace") for stream in STREAMS}
    names = (
        *("job_run_id", "job_label", "status", "executor", "machine", "placed_time", "queued_seconds"),
        *("worker_id", "worker_request"),
    )
    return {**{name: getattr(job_run, name) for name in names}, **texts}
