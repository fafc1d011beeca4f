"""`status [BUILD]`: shows the state of a build, with its failed and its running job runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import build_duration_text, bytes_text, counted, place_text, some_of, time_text
from databuild.cli.display.output import as_json
from databuild.cli.flags.exit_codes import BUILT
from databuild.model import statuses
from databuild.model.job_run_id import format_job_run_id
from databuild.orchestration.coordination.dead_builds import next_step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from databuild.cli.backend.records import Records
    from databuild.model.records import BuildRecord, JobRunRecord

MAX_RUNS = 10


def run(call: Invocation) -> int:
    text = call.one_build()
    backend = call.backend()
    reader = backend.records
    build = backend.find_build(text)
    failed, retried = _failed_runs(reader, build)
    ended = build.status in statuses.BUILD.ended
    running = () if ended else reader.job_runs(build.build_request_id, status="RUNNING", limit=MAX_RUNS)
    dead = None if ended else backend.deaths([build.build_request_id]).get(build.build_request_id)
    waits = () if ended else backend.waits(build.build_request_id)
    sizes = backend.sizes(count=call.flags["sizes"])
    if call.json:
        call.out.json(
            {
                **as_json(build),
                "dead": dead,
                "waiting_for": waits,
                "failed_job_runs": failed,
                "retried_job_runs": retried,
                "running_job_runs": running,
                "sizes": sizes,
            }
        )
        return BUILT
    _print_build(call, build, f"{dead}; {next_step(reader, build.build_request_id)}" if dead else "")
    for line in waits:
        call.out.line(f"waiting    {line}")
    _print_sizes(call, sizes)
    # The job runs of a dead build are recorded as running until the next build ends or continues it.
    for title, runs, partitions in (
        ("running", () if dead else running, "BUILDING"),
        ("failed", failed, "FAILED"),
        ("retried", retried, ""),
    ):
        outputs = _outputs(reader, build.build_request_id, partitions) if runs and partitions else {}
        for job_run in runs:
            refs = some_of(outputs.get(job_run.job_run_id, ()), limit=1)
            call.out.line(f"{title:<11}{_run_text(job_run, refs, call.clock())}")
    next_commands = [f"logs {failed[0].job_run_id}"] if failed else []
    if failed or dead:
        next_commands.append(f"retry {build.build_request_id}")
    for title, command in zip(("next", ""), next_commands, strict=False):
        call.out.line(f"{title:<11}{call.follow_up(command)}")
    return BUILT


def _failed_runs(reader: Records, build: BuildRecord) -> tuple[Sequence[JobRunRecord], Sequence[JobRunRecord]]:
    """Returns the first failed job runs of a build: the last ones of their tasks, and those that others followed."""
    runs = reader.job_runs(build.build_request_id, status="FAILED")
    if build.status == "COMPLETED":
        return (), runs[:MAX_RUNS]
    failed: list[JobRunRecord] = []
    newest = {run.task_id: run for run in runs}
    for run in newest.values():
        # A task that was cancelled before its next attempt ends with a run of the number 0.
        later = (format_job_run_id(run.build_request_id, run.task_id, attempt) for attempt in (run.attempt + 1, 0))
        if all(reader.job_run(job_run_id) is None for job_run_id in later):
            failed.append(run)
            if len(failed) == MAX_RUNS:
                break
    return failed, () if failed else runs[:MAX_RUNS]


def _outputs(reader: Records, build_request_id: str, status: str) -> Mapping[str, Sequence[str]]:
    """Returns the first partitions of a build that have a status, by the job run that makes or made them."""
    outputs: dict[str, list[str]] = {}
    for partition in reader.build_partitions(build_request_id, status=status):
        outputs.setdefault(partition.job_run_id, []).append(partition.ref)
    return outputs


def _print_sizes(call: Invocation, sizes: Mapping[str, int]) -> None:
    line = f"event log  {bytes_text(sizes['event_log_bytes'])}"
    if "events" in sizes:
        builds = counted(sizes["builds"], "build")
        line += f": {counted(sizes['events'], 'event')}, {builds}, of which {sizes['pruned_builds']} pruned"
        call.out.line(line)
        line = f"job logs   {bytes_text(sizes['job_log_bytes'])}"
    call.out.line(line)


def _print_build(call: Invocation, build: BuildRecord, dead: str) -> None:
    ended = build.status in statuses.BUILD.ended
    kind = "duration" if ended else "last event after" if dead else "running for"
    cancel = f" (cancel requested by {build.cancel_requested_by})" if build.cancel_requested_by else ""
    fault = f", but {dead}" if dead else ""
    duration = build_duration_text(build, alive=not ended and not dead, now=call.clock())
    call.out.line(f"build      {build.build_request_id}  {build.status}{cancel}{fault}")
    call.out.line(f"graph      {build.graph_label}")
    call.out.line(f"requested  {some_of(build.requested)}")
    call.out.line(f"received   {time_text(build.received_time)} UTC, {kind} {duration}")
    if build.retry_of_build_request_id:
        call.out.line(f"retry of   {build.retry_of_build_request_id}")
    rest = "not run" if build.status == "COMPLETED" else "not run or stopped" if ended else "not run or not ended"
    call.out.line(
        f"tasks      {build.total_tasks}: {build.jobs_completed} completed, {build.jobs_failed} failed, "
        f"{max(build.total_tasks - build.jobs_completed - build.jobs_failed, 0)} {rest}"
    )
    call.out.line(
        f"partitions {build.partitions_available} built, {build.partitions_delegated} taken from other builds, "
        f"{build.partitions_failed} failed"
    )
    if build.pruned_time:
        call.out.line(f"pruned     {time_text(build.pruned_time)} UTC, with its events and job logs")
    if build.failure is not None:
        call.out.line(f"failure    {build.failure.category}: {build.failure.message}")


def _run_text(job_run: JobRunRecord, outputs: str, now: float) -> str:
    text = f"{job_run.job_run_id}  {job_run.job_label}"
    if outputs:
        text += f" {outputs}"
    if job_run.attempt > 1:
        text += f", attempt {job_run.attempt}"
    if place := place_text(job_run, now):
        text += f", {place}"
    if job_run.failure is not None:
        text += f"  {job_run.failure.category}: {job_run.failure.message}"
    return text
