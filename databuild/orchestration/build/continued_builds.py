"""Builds that this process continues because their orchestrators have died, beside a build of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Final

from databuild.errors import DataBuildError
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import continue_build

_MAX_ATTEMPTS: Final = 3
"""The number of times that a process continues the same build before it ends the build instead."""


class ContinuedBuilds:
    """Continues each such build in a task of its own."""

    def __init__(self, context: BuildContext, *, announce: Callable[[str], None]) -> None:
        """Continues nothing yet.

        Args:
            context: The context of the build of this process. Builds that are continued do not notify its observers.
            announce: Called with a sentence about each build that is continued, and about its end.
        """
        self._context = context._replace(on_event=None, planning=None, continue_build=self)
        self._announce = announce
        self._left = False
        self._attempts: Counter[str] = Counter()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __call__(self, build_request_id: str, holder: str) -> bool:
        """Continues a build in a new task. Returns False if this process cannot, or has failed to several times."""
        earlier = self._tasks.get(build_request_id)
        if self._left or (earlier is not None and not earlier.done()):
            return True
        self._attempts[build_request_id] += 1
        if self._attempts[build_request_id] > _MAX_ATTEMPTS:
            return False
        from databuild.orchestration.build.begun_build import read_begun_build

        context = self._context
        with contextlib.closing(context.event_log.reader()) as reader:
            begun = read_begun_build(reader, build_request_id, holder, catalog=context.catalog, engines=context.engines)
        if begun is None:
            return False
        running = len(begun.running)
        self._announce(
            f"continuing build {build_request_id}, whose orchestrator has died; {running} of its job runs may be going "
            f"on at {begun.request.options.executor}"
        )

        async def run() -> None:
            try:
                result = await continue_build(begun, context)
            except DataBuildError as error:
                if not self._left:
                    self._announce(f"build {build_request_id}: {error}")
            else:
                self._announce(f"build {build_request_id} has ended: {type(result).__name__}")

        self._tasks[build_request_id] = asyncio.create_task(run(), name=build_request_id)
        return True

    async def wait(self, interrupted: asyncio.Event | None = None) -> None:
        """Waits until all of them have ended, or an event is set."""
        interruption = asyncio.create_task(interrupted.wait()) if interrupted is not None else None
        try:
            while open_tasks := {task for task in self._tasks.values() if not task.done()}:
                waiting = open_tasks | ({interruption} if interruption is not None else set())
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if interruption is not None and interruption.done():
                    return
        finally:
            if interruption is not None:
                interruption.cancel()

    async def leave(self) -> None:
        """Stops without an end of any of them, for another process to continue.

        Call it when the event log is closed and the engines leave their runs alone.
        """
        self._left = True
        for task in self._tasks.values():
            task.cancel()
        await self.wait()
