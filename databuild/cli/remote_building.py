"""Has a service build, for a person: progress as it comes, an end in order on Ctrl-C, and the result like any other."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any

from databuild.cli.author import author
from databuild.cli.building import chosen_id, print_result, report_error
from databuild.cli.error_text import error_text
from databuild.cli.invocation import Invocation
from databuild.cli.partitions import named_commands
from databuild.cli.progress import TICK_SECONDS, Progress, progress_for
from databuild.cli.remote import client_settings
from databuild.cli.summary import summarize
from databuild.cli.task_states import RUNS_PER_JOB
from databuild.client import AsyncDatabuildClient, BuildResult, DatabuildClient, Failed
from databuild.errors import DataBuildError
from databuild.model.job_graph import Plan
from databuild.model.records import JobRunRecord
from databuild.model.views import BuildView

_Start = Callable[[AsyncDatabuildClient, str], Coroutine[Any, Any, BuildView]]


def build(call: Invocation, plan: Plan | None) -> int:
    """Builds what is asked for, or what a plan says, and returns the exit code."""
    flags = call.flags

    async def start(client: AsyncDatabuildClient, build_request_id: str) -> BuildView:
        with named_commands():
            return await client.submit(
                call.positionals,
                build_request_id=build_request_id,
                keep_going=flags["keep_going"],
                jobs=flags["jobs"] or 0,
                force=flags["force"],
                reuse_stale=flags["stale"] == "reuse",
                plan=plan,
            )

    return _run(call, start)


def retry(call: Invocation) -> int:
    """Builds again what a build was asked for, and returns the exit code."""

    async def start(client: AsyncDatabuildClient, build_request_id: str) -> BuildView:
        return await client.retry(
            *call.positionals[:1],
            build_request_id=build_request_id,
            failed_jobs_only=call.flags["failed_jobs_only"],
            keep_going=call.flags["keep_going"],
            jobs=call.flags["jobs"] or 0,
        )

    return _run(call, start)


def _run(call: Invocation, start: _Start) -> int:
    build_request_id = chosen_id(call)
    progress = progress_for(call.err, call.environ, partial(_earlier_runs, call))
    try:
        result = asyncio.run(_watched(call, build_request_id, start, progress))
    finally:
        progress.stop()
    if isinstance(result, Failed) and result.error is not None:
        return report_error(call, build_request_id, result.error)
    return print_result(call, summarize(call.reader(), build_request_id, result, progress.counts.delegations), progress)


def _earlier_runs(call: Invocation, job_labels: Sequence[str]) -> Iterator[tuple[str, Sequence[JobRunRecord]]]:
    with DatabuildClient(call.server, **client_settings(call)) as client:  # type: ignore[arg-type]
        for label in job_labels:
            yield label, client.runs_of_job(label, limit=RUNS_PER_JOB)


async def _watched(call: Invocation, build_request_id: str, start: _Start, progress: Progress) -> BuildResult:
    async with AsyncDatabuildClient(call.server, **client_settings(call)) as client:  # type: ignore[arg-type]
        submitted = asyncio.Event()

        async def watch() -> BuildResult:
            view = await start(client, build_request_id)
            submitted.set()
            _announce(call, view)
            progress.start()
            build = client.create_orchestrator(build_request_id=build_request_id)
            async for event in client.watch(build_request_id):
                build.add(event)
                progress.on_event(event)
            return build.result or await client.wait(build_request_id)

        async def cancel(by: str) -> None:
            await submitted.wait()
            try:
                await client.cancel(build_request_id, author=by)
            except DataBuildError as error:
                call.err.line(f"databuild: {error_text(error)}")

        watching = asyncio.create_task(watch(), name=build_request_id)
        _cancel_on_signals(call, cancel, watching)
        ticking = asyncio.create_task(_tick(client, build_request_id, progress), name="progress")
        try:
            return await watching
        except asyncio.CancelledError:
            call.err.line(f"databuild: build {build_request_id} is left to the service, which was asked to stop it")
            raise KeyboardInterrupt from None
        finally:
            ticking.cancel()


def _announce(call: Invocation, view: BuildView) -> None:
    call.err.line(f"databuild: build {view.build.build_request_id}")
    if view.build.retry_of_build_request_id:
        call.err.line(f"databuild: builds again what build {view.build.retry_of_build_request_id} was asked for")
    call.err.flush()


async def _tick(client: AsyncDatabuildClient, build_request_id: str, progress: Progress) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        if progress.counts.phase == "planning":
            with contextlib.suppress(DataBuildError):  # whoever watches meets it as well
                view = await client.get(build_request_id)
                if view.planning is not None:
                    progress.planning(view.planning)
                for warning in view.warnings:
                    progress.warned(warning)
        progress.tick()


def _cancel_on_signals(
    call: Invocation, cancel: Callable[[str], Coroutine[Any, Any, None]], watching: asyncio.Task[BuildResult]
) -> None:
    """Makes the first signal cancel the build, and a second one not wait for its end."""
    loop = asyncio.get_running_loop()
    cancelling: list[asyncio.Task[None]] = []

    def interrupt(by: str) -> None:
        if cancelling:
            watching.cancel()
        else:
            cancelling.append(loop.create_task(cancel(by), name="cancel"))
            call.err.line("databuild: stopping the build; once more does not wait for its end")
        call.err.flush()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            by = author(call) if number == signal.SIGINT else f"the signal {number.name}"
            loop.add_signal_handler(number, interrupt, by)
