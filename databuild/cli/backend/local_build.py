"""Builds in this process."""

from __future__ import annotations

import asyncio
import contextlib
import os

from databuild.cli import quick_asyncio
from databuild.cli.backend.build_outcome import BuildOutcome, Stopped, Summary, summarize
from databuild.cli.backend.build_settings import build_settings
from databuild.cli.backend.engines import chosen_executor, engines
from databuild.cli.backend.exporting import open_exporters, start_exports
from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.log_stores import InvocationUploads, chosen_log_store
from databuild.cli.backend.origin import with_origin
from databuild.cli.backend.state_directories import print_hint
from databuild.cli.display.build_display import BuildDisplay
from databuild.errors import DataBuildError
from databuild.event_log import liveness
from databuild.event_log.log import EventLog
from databuild.executors.capacity import capacity_of
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.executor import Capacity
from databuild.executors.local import LocalExecutor
from databuild.graph.catalog import JobCatalog
from databuild.model.build_options import BuildOptions
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.continued_builds import ContinuedBuilds
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest

FORCED_GRACE_SECONDS = 0.5
"""The grace period of job processes after a second signal."""


def number_of_jobs(call: Invocation, capacity: Capacity | None = None) -> int:
    """Returns the maximum number of job runs at once, and prints a line if it exceeds the capacity.

    Args:
        call: The invocation.
        capacity: The maximum number of job processes; None for that of this machine.
    """
    jobs: int = call.flags["jobs"] or len(os.sched_getaffinity(0))
    capacity = capacity or capacity_of(DescriptorLimit())
    if jobs > capacity.processes:
        call.err.line(
            f"databuild: --jobs={jobs} exceeds the capacity: at most {capacity.processes:,} job runs at once, "
            f"because of {capacity.reason}"
        )
    return jobs


def completed_options(call: Invocation, options: BuildOptions) -> BuildOptions:
    """Returns the options of a build with the executor, the place of logs and the number of jobs that apply."""
    engines(call)  # checks the flags before the build is announced
    executor = chosen_executor(call)
    # An engine says how many jobs it runs at once when the build connects to it.
    jobs = options.jobs if executor else number_of_jobs(call)
    return options._replace(executor=executor, log_store=chosen_log_store(call), jobs=jobs)


def run(call: Invocation, request: BuildRequest, display: BuildDisplay) -> BuildOutcome:
    """Runs a build to its end, and shows it on the display."""
    catalog = call.catalog()
    print_hint(call)
    exporters = open_exporters(call, call.environment)  # first, so that a wrong address creates no log
    event_log = call.open_event_log()
    exports = start_exports(call, event_log, exporters)
    display.announce(request.build_request_id, request.retry_of)
    outcome: BuildOutcome
    try:
        outcome = quick_asyncio.run(_build(call, catalog, request, event_log, display))
    except DataBuildError as error:
        outcome = Stopped(request.build_request_id, error)
    if exports is not None:
        exported = exports.stop(call.flags["exporter_seconds"])
        outcome = outcome._replace(exported=exported)
    return outcome


async def _build(
    call: Invocation, catalog: JobCatalog, request: BuildRequest, event_log: EventLog, display: BuildDisplay
) -> Summary:
    progress = display.progress
    executor = LocalExecutor(
        base_env=call.job_environ,
        grace_seconds=call.flags["grace_period"],
        process=liveness.this_process(),
        max_processes=request.options.jobs,
    )
    used = engines(call)
    uploads = InvocationUploads(call)
    context = BuildContext(
        catalog=catalog,
        event_log=event_log,
        executor=executor,
        settings=with_origin(build_settings(call), call),
        engines=used,
        log_uploads=uploads,
        on_event=progress.on_event,
        planning=progress,
    )

    def announce(text: str) -> None:
        call.err.line(f"databuild: {text}")
        call.err.flush()

    continued = ContinuedBuilds(context, announce=announce)
    interrupted = asyncio.Event()
    try:
        work = asyncio.create_task(
            run_build(request, context._replace(continue_build=continued)), name=request.build_request_id
        )
        # Let the task start: a task that is cancelled before that records nothing.
        await asyncio.sleep(0)

        def stop(author: str) -> str:
            interrupted.set()
            if work.done():
                return "leaving the builds that were continued to the next build"
            work.cancel(author)  # the message of the cancellation is recorded as its author
            return "stopping the build; a second signal ends its job processes at once"

        def force_stop() -> str:
            executor.grace_seconds = min(executor.grace_seconds, FORCED_GRACE_SECONDS)
            return "ending the job processes now"

        display.handle_signals(stop, force_stop)
        ticking = asyncio.create_task(display.tick(), name="progress")
        try:
            result = await work
        finally:
            ticking.cancel()
        await continued.wait(interrupted)
        with contextlib.closing(event_log.reader()) as reader:
            return summarize(reader, request.build_request_id, result, progress.counts.delegations)
    finally:
        await event_log.close()
        used.leave()
        await continued.leave()
        await executor.close()
        await used.close()
        uploads.close()
