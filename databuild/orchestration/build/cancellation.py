"""Cancellation of a build: requests from other processes, and parts of a build that must run to their end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from databuild.event_log.reads import BuildReads


class Cancellation:
    """Cancels the task of one build, and remembers the author of the request."""

    def __init__(self, reader: BuildReads, build_request_id: str, *, poll_seconds: float) -> None:
        self._reader = reader
        self._build_request_id = build_request_id
        self._poll_seconds = poll_seconds
        self._author = ""

    def cancel(self, author: str) -> None:
        """Ends the build from inside its own task.

        Raises:
            asyncio.CancelledError: Always.
        """
        self._author = author
        raise asyncio.CancelledError

    @contextlib.asynccontextmanager
    async def on_request(self) -> AsyncIterator[None]:
        """While the context is active, cancels the current task when the event log gets a cancel request."""
        inside = asyncio.current_task()
        assert inside is not None

        async def poll() -> None:
            while True:
                await asyncio.sleep(self._poll_seconds)
                # Not the record of the build, which may have tens of thousands of requested partitions.
                requests = self._reader.cancel_requests([self._build_request_id])
                if requests:
                    self._author = requests[self._build_request_id]
                    inside.cancel()
                    return

        polling = asyncio.create_task(poll(), name="cancel-requests")
        try:
            yield
        finally:
            polling.cancel()

    def accept(self, cancelled: asyncio.CancelledError) -> str:
        """Lets the current task continue after its cancellation.

        Returns:
            The author: of the cancel request in the event log, or else the message of the cancellation.
        """
        _uncancel()
        return self._author or " ".join(map(str, cancelled.args))


async def run_to_end(work: Coroutine[Any, Any, None], *, name: str) -> None:
    """Awaits a coroutine to its end, even if the current task is cancelled meanwhile. The cancellation is dropped."""
    task = asyncio.create_task(work, name=name)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # the work itself was cancelled, and not only the wait for it
                raise
            _uncancel()
    task.result()


def _uncancel() -> None:
    # `cancel` counts. With a count above zero, `asyncio.timeout` and `TaskGroup` would take their own cancellations for
    # one from outside.
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
