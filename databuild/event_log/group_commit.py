"""Group commit: many pending operations share one transaction, written by one thread.

An operation that is awaited is written immediately, others a few milliseconds later, so that a build with short job
runs writes many of their events together. It knows threads and futures; the store knows transactions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Generator, Sequence
from typing import Any, Final, Protocol

from databuild.errors import EventLogError
from databuild.event_log.coordination import ClaimRequest, LeaseOwner
from databuild.event_log.log import Observer
from databuild.tuples import NamedTuple
from databuild.v1.events_pb2 import BuildEvent

LINGER_SECONDS: Final = 0.005
"""The maximum delay of an operation that is not awaited."""

MAX_OPERATIONS: Final = 1000
"""The maximum number of operations in one transaction, so that none waits long for the others."""

_log = logging.getLogger("databuild.event_log")


class Append(NamedTuple):
    """Appends events of one build, all or none."""

    events: Sequence[BuildEvent]


class ClaimAll(NamedTuple):
    """Requests claims; each is granted completely or not at all."""

    requests: Sequence[ClaimRequest]


class RenewLease(NamedTuple):
    """Acquires or renews a lease."""

    build_request_id: str
    holder: str
    seconds: float
    owner: LeaseOwner | None = None


class RemoveLease(NamedTuple):
    """Removes the lease of a build that is not in the log."""

    build_request_id: str
    holder: str


Operation = Append | ClaimAll | RenewLease | RemoveLease


def _is_empty(operation: Operation) -> bool:
    match operation:
        case Append(events):
            return not events
        case ClaimAll(requests):
            return not requests
        case RenewLease() | RemoveLease():
            return not operation.build_request_id  # an orchestrator that only ends dead builds has no build of its own


class Store(Protocol):
    """Performs operations in transactions. It is used by one thread only."""

    def write(self, operations: Sequence[Operation]) -> Sequence[object]:
        """Performs operations in one transaction, and returns the result of each; a refused one has an error as result.

        Claims are granted after all appends, whatever their order.

        Raises:
            EventLogError: The transaction failed; nothing was written.
        """
        ...


def builds_of_refused(operations: Sequence[Operation], results: Sequence[object]) -> set[str]:
    """Returns the builds of events and leases that were refused, since another process may write these builds now.

    A writer forgets their states. If its process takes a build back, the state is loaded again.
    """
    return {
        operation.events[0].build_request_id if isinstance(operation, Append) else operation.build_request_id
        for operation, result in zip(operations, results, strict=True)
        if result is not None and isinstance(operation, (Append, RenewLease))
    }


class GroupCommit:
    """A queue of operations, which are performed in order. Use it from one event loop.

    The writing thread starts with the first operation, so that a log which is only read has none.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: list[_PendingOperation] = []
        self._timer: asyncio.TimerHandle | None = None
        self._batches: queue.SimpleQueue[list[_PendingOperation] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._observers: list[Observer] = []
        self._closed = False
        self._ending: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def observe(self, observer: Observer) -> None:
        """Notifies an observer of the events of every later append when they are durable."""
        self._observers.append(observer)

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        """Queues an operation, and returns a future of its result, which is done when the operation is durable.

        Awaiting the future flushes the queue. Cancelling it does not withdraw the operation.
        """
        pending = _PendingOperation(self, operation)
        if self._closed:
            pending.set_exception(EventLogError("it has been closed"))
        elif _is_empty(operation):
            pending.set_result(None)
        else:
            self._pending.append(pending)
            if len(self._pending) == MAX_OPERATIONS:
                self.flush()
            elif self._timer is None:
                self._timer = pending.get_loop().call_later(LINGER_SECONDS, self.flush)
        return pending

    def flush(self) -> None:
        """Passes all queued operations to the writing thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending:
            if self._thread is None:
                # A daemon, so that a process which fails before `close` can exit.
                self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
                self._thread.start()
            self._batches.put(self._pending)
            self._pending = []

    async def close(self) -> None:
        """Writes all queued operations, notifies the observers, and closes them."""
        self.flush()
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._ending = (asyncio.get_running_loop(), asyncio.Event())
            self._batches.put(None)
            await self._ending[1].wait()  # after the last `_settle`, which the thread has scheduled before
            self._thread.join()
        for observer in self._observers:
            observer.close()

    def _run(self) -> None:
        while batch := self._next():
            results: Sequence[object]
            try:
                results = self._store.write([pending.operation for pending in batch])
            except BaseException as error:  # also of a bug: without a result, callers would wait for ever
                results = [error] * len(batch)
            try:
                batch[0].get_loop().call_soon_threadsafe(self._settle, batch, results)
            except RuntimeError:
                continue  # the event loop was closed, so no caller is waiting
        if self._ending is not None:
            loop, ended = self._ending
            with contextlib.suppress(RuntimeError):  # as above
                loop.call_soon_threadsafe(ended.set)

    def _settle(self, batch: Sequence[_PendingOperation], results: Sequence[object]) -> None:
        for pending, result in zip(batch, results, strict=True):
            if isinstance(result, BaseException):
                if not pending.done():  # the waiting task was not cancelled
                    pending.set_exception(result)
                continue
            if self._observers and isinstance(pending.operation, Append):
                self._notify(pending.operation.events)
            if not pending.done():
                pending.set_result(result)

    def _notify(self, events: Sequence[BuildEvent]) -> None:
        for observer in self._observers:
            try:
                observer.notify(events)
            except Exception:
                _log.exception("%s failed on events of build %s", observer, events[0].build_request_id)

    def _next(self) -> list[_PendingOperation]:
        """Waits for operations, and returns all that are queued up to the limit; empty when the log is closed."""
        batch: list[_PendingOperation] = []
        while not batch or (not self._batches.empty() and len(batch) < MAX_OPERATIONS):
            queued = self._batches.get()
            if queued is None:
                if batch:
                    self._batches.put(None)  # write this batch first; the next call ends
                break
            batch += queued
        return batch


class _PendingOperation(asyncio.Future[Any]):
    """The future result of a queued operation. Awaiting it flushes the queue."""

    def __init__(self, commit: GroupCommit, operation: Operation) -> None:
        super().__init__()
        self.operation = operation
        self._commit = commit

    def __await__(self) -> Generator[None, None, Any]:
        if not self.done():
            self._commit.flush()
        return (yield from super().__await__())

    __iter__ = __await__
