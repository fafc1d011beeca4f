"""Runs builds in this process."""

from __future__ import annotations

import asyncio
import contextlib
import os

from databuild.cli.backend.build_end import BuildEnd, Stopped, Summary, summarize
from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.other_states import print_hint
from databuild.cli.backend.planning import settings
from databuild.cli.display.build_display import BuildDisplay
from databuild.errors import DataBuildError
from databuild.event_log.log import EventLog
from databuild.executors.capacity import capacity_of
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.executor import Capacity
from databuild.executors.local import LocalExecutor
from databuild.graph.catalog import JobCatalog
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest
from databuild.orchestration.telemetry.telemetry import Telemetry
from databuild.orchestration.telemetry.telemetry_setup import telemetry_from_environment

FORCED_GRACE_SECONDS = 0.5
"""The grace period of job processes after a second signal."""


def number_of_jobs(call: Invocation, capacity: Capacity | None = None) -> int:
    """Returns the maximum of concurrent job runs, and prints a line if that exceeds the capacity.

    Args:
        call: The invocation.
        capacity: The maximum of concurrent processes; None for that of this machine.
    """
    jobs: int = call.flags["jobs"] or len(os.sched_getaffinity(0))
    capacity = capacity or capacity_of(DescriptorLimit())
    if jobs > capacity.processes:
        call.err.line(
            f"databuild: --jobs={jobs} is more than fits: at most {capacity.processes:,} job runs at once, for "
            f"{capacity.reason}"
        )
    return jobs


def telemetry(call: Invocation) -> Telemetry | None:
    """Returns the telemetry that the `OTEL_*` variables ask for; None for none."""
    return telemetry_from_environment(call.environ, lambda text: call.err.line(f"databuild: {text}"))


def run(call: Invocation, request: BuildRequest, display: BuildDisplay) -> BuildEnd:
    """Runs a build and returns its end."""
    catalog = call.catalog()
    print_hint(call)
    event_log = call.open_event_log()
    display.announce(request.build_request_id, request.retry_of)
    try:
        return asyncio.run(_build(call, catalog, request, event_log, display))
    except DataBuildError as error:
        return Stopped(request.build_request_id, error)


async def _build(
    call: Invocation, catalog: JobCatalog, request: BuildRequest, event_log: EventLog, display: BuildDisplay
) -> Summary:
    progress = display.progress
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
        await asyncio.sleep(0)  # a task that has started records its end, even if it is cancelled immediately

        def stop(by: str) -> str:
            work.cancel(by)
            return "stopping the build; once more ends its job processes at once"

        def force_stop() -> str:
            executor.grace_seconds = min(executor.grace_seconds, FORCED_GRACE_SECONDS)
            return "ending the job processes now"

        display.handle_signals(stop, force_stop)
        ticking = asyncio.create_task(display.tick(), name="progress")
        try:
            result = await work
        finally:
            ticking.cancel()
        with contextlib.closing(event_log.reader()) as reader:
            return summarize(reader, request.build_request_id, result, progress.counts.delegations)
    finally:
        await event_log.close()
