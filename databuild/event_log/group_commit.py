"""Group commit: many waiting operations share one transaction, written by one thread.

What somebody waits for is written at once, and everything else a few milliseconds later, so that a build whose job runs
are short writes many of them together. It knows threads and futures; what a transaction is, the store knows.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from databuild.errors import EventLogError
from databuild.event_log.log import ClaimRequest, Queued
from databuild.v1.events_pb2 import BuildEvent

LINGER_SECONDS: Final = 0.005
"""How long an operation that nobody waits for may wait for others."""

MOST_OPERATIONS: Final = 1000
"""How many operations share one transaction at most, so that none waits long for the others."""


class Append(NamedTuple):
    """Events of one build, to be written together."""

    events: Sequence[BuildEvent]


class ClaimAll(NamedTuple):
    """Claims to be granted, each whole or not at all."""

    requests: Sequence[ClaimRequest]


class RenewLease(NamedTuple):
    """A lease to be taken, or taken further."""

    build_request_id: str
    holder: str
    seconds: float
    queued: Queued | None = None


Operation = Append | ClaimAll | RenewLease


class Store(Protocol):
    """Performs operations; is used by one thread only."""

    def write(self, operations: Sequence[Operation]) -> Sequence[object]:
        """Performs operations in one transaction, and returns for each its result or, as an error, why it was refused.

        Claims are granted after all appends, whatever their order.

        Raises:
            EventLogError: The transaction failed; nothing was written.
        """
        ...


class GroupCommit:
    """Takes operations and has them performed in order. Used from one event loop."""

    def __init__(self, store: Store) -> None:
        """Starts the writing thread at the first operation."""
        self._store = store
        self._taken: list[_Taken] = []
        self._timer: asyncio.TimerHandle | None = None
        self._batches: queue.SimpleQueue[list[_Taken] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def take(self, operation: Operation) -> asyncio.Future[Any]:
        """Takes an operation; its result is there when it is durable."""
        durable = _Taken(self, operation)
        if self._closed:
            durable.set_exception(EventLogError("it has been closed"))
        elif not operation[0]:
            durable.set_result(None)
        else:
            self._taken.append(durable)
            if len(self._taken) == MOST_OPERATIONS:
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
        while batch := self._next():
            results: Sequence[object]
            try:
                results = self._store.write([taken.operation for taken in batch])
            except BaseException as error:
                results = [error] * len(batch)
            try:
                batch[0].get_loop().call_soon_threadsafe(_settle, batch, results)
            except RuntimeError:
                continue  # the loop was closed: nobody waits any more

    def _next(self) -> list[_Taken]:
        """Returns everything that has come while the last transaction was written; nothing when there is no more."""
        batch: list[_Taken] = []
        while not batch or (not self._batches.empty() and len(batch) < MOST_OPERATIONS):
            more = self._batches.get()
            if more is None:
                if batch:
                    self._batches.put(None)  # for the next time
                break
            batch += more
        return batch


class _Taken(asyncio.Future[Any]):
    """An operation that was taken; awaiting it has it performed at once."""

    def __init__(self, commit: GroupCommit, operation: Operation) -> None:
        super().__init__()
        self.operation = operation
        self._commit = commit

    def __await__(self) -> Generator[None, None, Any]:
        if not self.done():
            self._commit.flush()
        return (yield from super().__await__())

    __iter__ = __await__


def _settle(batch: Sequence[_Taken], results: Sequence[object]) -> None:
    for taken, result in zip(batch, results, strict=True):
        if taken.done():  # whoever waited was cancelled
            continue
        if isinstance(result, BaseException):
            taken.set_exception(result)
        else:
            taken.set_result(result)
