"""Group commit: many waiting appends share one transaction, written by one thread.

What somebody waits for is written at once, and everything else a few milliseconds later, so that a build whose job runs
are short writes many of them together. It knows threads and futures; what a transaction is, the store knows.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Generator, Sequence
from typing import Final, Protocol

from databuild.errors import DataBuildError, EventLogError
from databuild.v1.events_pb2 import BuildEvent

LINGER_SECONDS: Final = 0.005
"""How long an append that nobody waits for may wait for others."""

MOST_APPENDS: Final = 1000
"""How many appends share one transaction at most, so that none waits long for the others."""


class Store(Protocol):
    """Writes appends; is used by one thread only."""

    def write(self, appends: Sequence[Sequence[BuildEvent]]) -> Sequence[DataBuildError | None]:
        """Writes appends in one transaction, and returns for each why it was refused, or None.

        Raises:
            EventLogError: The transaction failed; nothing was written.
        """
        ...


class GroupCommit:
    """Takes appends in order and has them written in order. Used from one event loop."""

    def __init__(self, store: Store) -> None:
        """Starts the writing thread at the first append."""
        self._store = store
        self._taken: list[_Append] = []
        self._timer: asyncio.TimerHandle | None = None
        self._batches: queue.SimpleQueue[list[_Append] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def append(self, events: Sequence[BuildEvent]) -> asyncio.Future[None]:
        """Takes events of one build to be written together; the result is done when they are durable."""
        durable = _Append(self, events)
        if self._closed:
            durable.set_exception(EventLogError("it has been closed"))
        elif not events:
            durable.set_result(None)
        else:
            self._taken.append(durable)
            if len(self._taken) == MOST_APPENDS:
                self.flush()
            elif self._timer is None:
                self._timer = durable.get_loop().call_later(LINGER_SECONDS, self.flush)
        return durable

    def flush(self) -> None:
        """Has everything that was taken written now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._taken:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
                self._thread.start()
            self._batches.put(self._taken)
            self._taken = []

    async def close(self) -> None:
        """Waits until everything that was taken is written."""
        self.flush()
        if self._thread is not None and not self._closed:
            self._batches.put(None)
            await asyncio.to_thread(self._thread.join)
        self._closed = True

    def _run(self) -> None:
        batch: list[_Append] | None
        while (batch := self._batches.get()) is not None:
            results: Sequence[BaseException | None]
            try:
                results = self._store.write([append.events for append in batch])
            except BaseException as error:
                results = [error] * len(batch)
            try:
                batch[0].get_loop().call_soon_threadsafe(_settle, batch, results)
            except RuntimeError:
                continue  # the loop was closed: nobody waits any more


class _Append(asyncio.Future[None]):
    """An append that was taken; awaiting it has it written at once."""

    def __init__(self, commit: GroupCommit, events: Sequence[BuildEvent]) -> None:
        super().__init__()
        self.events = events
        self._commit = commit

    def __await__(self) -> Generator[None, None, None]:
        if not self.done():
            self._commit.flush()
        return (yield from super().__await__())

    __iter__ = __await__


def _settle(batch: Sequence[_Append], results: Sequence[BaseException | None]) -> None:
    for append, error in zip(batch, results, strict=True):
        if append.done():  # whoever waited was cancelled
            continue
        if error is None:
            append.set_result(None)
        else:
            append.set_exception(error)
