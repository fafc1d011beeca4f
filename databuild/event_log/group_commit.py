"""Group commit: many waiting appends share one transaction, written by one thread.

It knows threads and futures; what a transaction is, the store knows.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from typing import Final, Protocol

from databuild.errors import DataBuildError, EventLogError
from databuild.v1.events_pb2 import BuildEvent

MOST_APPENDS: Final = 1000
"""How many appends share one transaction at most, so that none waits long for the others."""

_Waiting = tuple[Sequence[BuildEvent], "asyncio.Future[None]"]


class Store(Protocol):
    """Writes appends; is used by one thread only."""

    def write(self, appends: Sequence[Sequence[BuildEvent]]) -> Sequence[DataBuildError | None]:
        """Writes appends in one transaction, and returns for each why it was refused, or None.

        Raises:
            EventLogError: The transaction failed; nothing was written.
        """
        ...


class GroupCommit:
    """Takes appends in order and has them written in order."""

    def __init__(self, store: Store) -> None:
        """Starts the writing thread at the first append."""
        self._store = store
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def append(self, events: Sequence[BuildEvent]) -> asyncio.Future[None]:
        """Takes events of one build to be written together; the result is done when they are durable."""
        loop = asyncio.get_running_loop()
        durable: asyncio.Future[None] = loop.create_future()
        if self._closed:
            durable.set_exception(EventLogError("it has been closed"))
            return durable
        if not events:
            durable.set_result(None)
            return durable
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
            self._thread.start()
        self._waiting.put((events, durable))
        return durable

    async def close(self) -> None:
        """Waits until everything that was taken is written."""
        if self._thread is not None and not self._closed:
            self._waiting.put(None)
            await asyncio.to_thread(self._thread.join)
        self._closed = True

    def _run(self) -> None:
        while True:
            batch: list[_Waiting] = []
            taken = self._waiting.get()
            while taken is not None:
                batch.append(taken)
                if len(batch) == MOST_APPENDS:
                    break
                try:
                    taken = self._waiting.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._write(batch)
            if taken is None:
                return

    def _write(self, batch: list[_Waiting]) -> None:
        results: Sequence[BaseException | None]
        try:
            results = self._store.write([events for events, _ in batch])
        except BaseException as error:
            results = [error] * len(batch)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[None], BaseException | None]]] = {}
        for (_, durable), result in zip(batch, results, strict=True):
            by_loop.setdefault(durable.get_loop(), []).append((durable, result))
        for loop, settled in by_loop.items():
            try:
                loop.call_soon_threadsafe(_settle, settled)
            except RuntimeError:
                continue  # the loop was closed: nobody waits any more


def _settle(settled: list[tuple[asyncio.Future[None], BaseException | None]]) -> None:
    for durable, error in settled:
        if durable.done():  # whoever waited was cancelled
            continue
        if error is None:
            durable.set_result(None)
        else:
            durable.set_exception(error)
