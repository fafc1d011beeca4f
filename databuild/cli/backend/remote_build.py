"""Builds on a service: submits a build and watches it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from databuild.cli import quick_asyncio
from databuild.cli.backend.build_outcome import BuildOutcome, Stopped, summarize
from databuild.cli.backend.records import Records
from databuild.cli.display.build_display import BuildDisplay
from databuild.cli.display.error_text import error_text
from databuild.cli.display.output import Output
from databuild.client import AsyncDatabuildClient, BuildResult, Failed
from databuild.errors import DataBuildError
from databuild.model.views import BuildView

Submit: TypeAlias = Callable[[AsyncDatabuildClient], Coroutine[Any, Any, BuildView]]


def run(
    client: AsyncDatabuildClient,
    submit: Submit,
    build_request_id: str,
    *,
    display: BuildDisplay,
    records: Records,
    err: Output,
) -> BuildOutcome:
    """Submits a build, and watches it to its end.

    Args:
        client: The client, which is closed in the end.
        submit: Submits the build.
        build_request_id: The id of the build.
        display: Shows the build.
        records: Reads the records for the summary.
        err: The output of messages besides the display.

    Raises:
        KeyboardInterrupt: A second signal came before the build had ended. The service continues to cancel it.
    """
    result = quick_asyncio.run(_watched(client, submit, build_request_id, display, err))
    if isinstance(result, Failed) and result.error is not None:
        return Stopped(build_request_id, result.error)
    return summarize(records, build_request_id, result, display.progress.counts.delegations)


async def _watched(
    client: AsyncDatabuildClient, submit: Submit, build_request_id: str, display: BuildDisplay, err: Output
) -> BuildResult:
    progress = display.progress
    async with client:
        submitted = asyncio.Event()

        async def watch() -> BuildResult:
            view = await submit(client)
            submitted.set()
            display.announce(view.build.build_request_id, view.build.retry_of_build_request_id)
            build = client.create_orchestrator(build_request_id=build_request_id)
            async for event in client.watch_known(build_request_id):
                progress.on_event(event)
                if event.HasField("build_request"):  # only these have the result; the display counts all others
                    build.add(event)
            return build.result or await client.wait(build_request_id)

        async def cancel(author: str) -> None:
            await submitted.wait()  # the service knows the build only then
            try:
                await client.cancel(build_request_id, author=author)
            except DataBuildError as error:
                err.line(f"databuild: {error_text(error)}")

        async def poll() -> None:
            with contextlib.suppress(DataBuildError):  # watch() raises it as well
                view = await client.get(build_request_id)
                if view.planning is not None:
                    progress.planning(view.planning)
                for warning in view.warnings:
                    progress.warned(warning)

        watching = asyncio.create_task(watch(), name=build_request_id)
        cancelling: list[asyncio.Task[None]] = []

        def stop(author: str) -> str:
            # The event loop holds only weak references to tasks.
            cancelling.append(asyncio.create_task(cancel(author), name="cancel"))
            return "stopping the build; after a second signal, this command does not wait for its end"

        def force_stop() -> str:
            watching.cancel()
            return ""

        display.handle_signals(stop, force_stop)
        ticking = asyncio.create_task(display.tick(poll), name="progress")
        try:
            return await watching
        except asyncio.CancelledError:
            err.line(f"databuild: not waiting for build {build_request_id}, which the service was asked to stop")
            raise KeyboardInterrupt from None
        finally:
            ticking.cancel()
