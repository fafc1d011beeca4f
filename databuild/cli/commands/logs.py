"""`logs [BUILD|JOB_RUN]`: what job runs wrote, whole or as it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.output import time_text
from databuild.cli.flags.exit_codes import BUILT
from databuild.model import statuses
from databuild.model.paging import read_rows
from databuild.orchestration.coordination.build_ids import LATEST
from databuild.orchestration.jobs.log_files import STREAMS

if TYPE_CHECKING:
    from databuild.model.records import BuildRecord, JobRunRecord

POLL_SECONDS = 0.2
LOOKS_PER_LOOK_FOR_DEATH = 5


def run(call: Invocation) -> int:
    """Prints the logs of one job run, or of all those of a build in the order in which they were scheduled."""
    backend = call.backend()
    reader = backend.records
    wanted = call.positionals[0] if call.positionals else LATEST
    job_run = reader.job_run(wanted) if "." in wanted else None
    build = backend.find_build(wanted if job_run is None else job_run.build_request_id)
    if call.json:
        runs = [job_run] if job_run is not None else _all_runs(call, build.build_request_id, 0)
        facts = {"build_request_id": build.build_request_id, "pruned": _pruned(call, build)}
        call.out.json({**facts, "job_runs": [_as_json(call, run) for run in runs]})
        return BUILT
    printer = _Printer(call)
    if job_run is not None:
        printer.add(job_run)
    known = looks = 0
    while True:
        # Looked up before the files are read: what an ended build wrote is all there.
        ended = build.status in statuses.BUILD.ended
        if job_run is None:
            fresh = _all_runs(call, build.build_request_id, known)
            known = fresh[-1].number if fresh else known
            for one in fresh:
                printer.add(one)
        printer.print_new()
        if ended or call.out.closed or not call.flags["follow"]:
            if not printer.current:
                why = _pruned(call, build) or f"no job run of {wanted} has written anything"
                call.err.line(f"databuild: {why}")
            return BUILT
        call.out.flush()
        looks += 1
        if looks % LOOKS_PER_LOOK_FOR_DEATH == 0 and (fault := backend.dead_build_message(build.build_request_id)):
            printer.print_new()
            call.err.line(f"databuild: {fault}")
            return BUILT
        call.sleep(POLL_SECONDS)
        build = reader.build(build.build_request_id) or build


def _pruned(call: Invocation, build: BuildRecord) -> str:
    """Returns why logs of a build are missing; empty where none were removed."""
    if build.pruned_time:
        return f"the logs of build {build.build_request_id} were pruned with it, {time_text(build.pruned_time)} UTC"
    before = call.backend().logs_pruned_before()
    if build.status in statuses.BUILD.ended and build.updated_time < before:
        what = f"the logs of build {build.build_request_id} were pruned for their age"
        return f"{what}: those of builds that ended before {time_text(before)} UTC are gone"
    return ""


class _Printer:
    """Prints what has come since it last did, under a heading wherever another file goes on.

    Attributes:
        current: The job run and stream that were printed last; None for none.
    """

    def __init__(self, call: Invocation) -> None:
        self._call = call
        self._backend = call.backend()
        self._files: dict[tuple[JobRunRecord, str], tuple[str, int]] = {}
        self.current: tuple[JobRunRecord, str] | None = None

    def add(self, job_run: JobRunRecord) -> None:
        """Takes a job run among those to print."""
        for stream in STREAMS:
            heading = f"==> {job_run.job_run_id} {job_run.job_label} ({stream}) <=="
            self._files[job_run, stream] = (heading, 0)

    def print_new(self) -> None:
        """Prints what the files have grown by."""
        for file, (heading, offset) in self._files.items():
            data = self._backend.read_log(*file, offset)
            if not data:
                continue
            text = data.decode(errors="replace")
            if file != self.current:
                self.current = file
                self._call.out.line(heading)
            self._call.out.write(text)
            if not text.endswith("\n") and not self._call.flags["follow"]:
                self._call.out.line()
            self._files[file] = (heading, offset + len(data))


def _all_runs(call: Invocation, build_request_id: str, after: int) -> list[JobRunRecord]:
    reader = call.backend().records
    runs = read_rows(
        lambda last, limit: reader.job_runs(build_request_id, after=last, limit=limit),
        key=lambda run: run.number,
        start=after,
    )
    return list(runs)


def _as_json(call: Invocation, job_run: JobRunRecord) -> dict[str, str]:
    backend = call.backend()
    texts = {stream: backend.read_log(job_run, stream, 0).decode(errors="replace") for stream in STREAMS}
    return {"job_run_id": job_run.job_run_id, "job_label": job_run.job_label, "status": job_run.status, **texts}
