"""Runs a build for a person: progress while it runs, a graceful end on Ctrl-C, and its result in the end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial

from databuild.cli.author import author
from databuild.cli.error_text import error_text
from databuild.cli.exit_codes import exit_code_of
from databuild.cli.invocation import Invocation
from databuild.cli.other_states import print_hint
from databuild.cli.planning import settings
from databuild.cli.progress import TICK_SECONDS, Progress, progress_for
from databuild.cli.summary import Summary, exit_code_of_result, print_summary, summarize
from databuild.cli.task_states import RUNS_PER_JOB
from databuild.errors import DataBuildError, InvalidRequestError, OrchestrationError
from databuild.event_log.log import EventLog
from databuild.executors.budget import capacity_of
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.executor import Capacity
from databuild.executors.local import LocalExecutor
from databuild.graph.catalog import JobCatalog
from databuild.model.build_request_id import check_build_request_id, new_build_request_id
from databuild.model.records import JobRunRecord
from databuild.orchestration.build_context import BuildContext
from databuild.orchestration.build_ids import LATEST
from databuild.orchestration.run_build import run_build
from databuild.orchestration.settings import BuildRequest
from databuild.orchestration.telemetry import Telemetry
from databuild.orchestration.telemetry_setup import telemetry_from_environment

HURRIED_GRACE_SECONDS = 0.5


def number_of_jobs(call: Invocation, capacity: Capacity | None = None) -> int:
    """Returns how many job runs may run at once, and says so where that is more than can.

    Args:
        call: The invocation.
        capacity: How many can; None for as many as fit on this machine.
    """
    jobs: int = call.flags["jobs"] or len(os.sched_getaffinity(0))
    capacity = capacity or capacity_of(DescriptorLimit())
    if jobs > capacity.processes:
        call.err.line(
            f"databuild: --jobs={jobs} is more than fits: at most {capacity.processes:,} job runs at once, for "
            f"{capacity.reason}"
        )
    return jobs


def chosen_id(call: Invocation) -> str:
    """Returns the id that the build is to have: what the flag says, or else a new one.

    Raises:
        InvalidRequestError: The flag says what cannot be an id, or that of another build.
    """
    told: str = call.flags["build_request_id"]
    if not told:
        return new_build_request_id()
    check_build_request_id(told)
    if told == LATEST:
        message = f"{LATEST!r} cannot be the id of a build: it means the newest one"
        raise InvalidRequestError(message)
    known = call.reader().build(told) if call.event_log_uri != "memory:" else None
    if known is not None:
        message = f"there is a build {told} already, and it is {known.status}; choose another id, or leave it out"
        raise InvalidRequestError(message)
    return told


def build(call: Invocation, catalog: JobCatalog, request: BuildRequest) -> int:
    """Runs a build, prints its result and returns the exit code."""
    print_hint(call)
    event_log = call.open_event_log()
    call.err.line(f"databuild: build {request.build_request_id}")
    if request.retry_of:
        call.err.line(f"databuild: builds again what build {request.retry_of} was asked for")
    call.err.flush()
    progress = progress_for(call.err, call.environ, partial(_earlier_runs, event_log))
    progress.start()
    try:
        summary = asyncio.run(_build(call, catalog, request, event_log, progress))
    except DataBuildError as error:
        progress.stop()
        return report_error(call, request.build_request_id, error)
    finally:
        progress.stop()
    return print_result(call, summary, progress)


def _earlier_runs(event_log: EventLog, job_labels: Sequence[str]) -> Iterator[tuple[str, Sequence[JobRunRecord]]]:
    with closing(event_log.reader()) as reader:
        for label in job_labels:
            yield label, reader.runs_of_job(label, limit=RUNS_PER_JOB)


def print_result(call: Invocation, summary: Summary, progress: Progress) -> int:
    """Prints the result of a build, and returns the exit code."""
    print_summary(call, summary, progress.counts)
    return exit_code_of_result(summary.result)


def report_error(call: Invocation, build_request_id: str, error: DataBuildError) -> int:
    """Tells of a build that an error ended, and returns the exit code."""
    code = exit_code_of(error)
    # Where the event log is at fault, it may not have been able to take the end.
    status = "STOPPED" if isinstance(error, OrchestrationError) else "FAILED"
    message = error_text(error)
    if call.json:
        facts = {"build_request_id": build_request_id, "status": status, "exit_code": code, "message": message}
        call.out.json(facts)
    call.err.line(f"databuild: {message}")
    call.err.line(f"databuild: build {build_request_id} {status}")
    return code


async def _build(
    call: Invocation, catalog: JobCatalog, request: BuildRequest, event_log: EventLog, progress: Progress
) -> Summary:
    executor = LocalExecutor(base_env=call.job_environ, grace_seconds=call.flags["grace_period"])
    try:
        work = asyncio.create_task(
            run_build(
                request,
                BuildContext(
                    catalog=catalog,
                    event_log=event_log,
                    executor=executor,
                    settings=settings(call),
                    telemetry=telemetry(call),
                    on_event=progress.on_event,
                    planning=progress,
                ),
            ),
            name=request.build_request_id,
        )
        await asyncio.sleep(0)  # once it has begun, it has an end, also when it is cancelled at once
        _end_on_signals(call, work, executor)
        ticking = asyncio.create_task(_tick(progress), name="progress")
        try:
            result = await work
        finally:
            ticking.cancel()
        return summarize(event_log.reader(), request.build_request_id, result, progress.counts.delegations)
    finally:
        await event_log.close()


def telemetry(call: Invocation) -> Telemetry | None:
    """Returns the telemetry that the `OTEL_*` variables ask for; None for none."""
    return telemetry_from_environment(call.environ, lambda text: call.err.line(f"databuild: {text}"))


async def _tick(progress: Progress) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        progress.tick()


def _end_on_signals(call: Invocation, work: asyncio.Task[object], executor: LocalExecutor) -> None:
    """Makes the first signal cancel the build, and a second one cut its job processes' grace period short."""
    loop = asyncio.get_running_loop()
    interrupted = False

    def interrupt(by: str) -> None:
        nonlocal interrupted
        if interrupted:
            executor.grace_seconds = min(executor.grace_seconds, HURRIED_GRACE_SECONDS)
            call.err.line("databuild: ending the job processes now")
        else:
            interrupted = True
            work.cancel(by)
            call.err.line("databuild: stopping the build; once more ends its job processes at once")
        call.err.flush()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            by = author(call) if number == signal.SIGINT else f"the signal {number.name}"
            loop.add_signal_handler(number, interrupt, by)
