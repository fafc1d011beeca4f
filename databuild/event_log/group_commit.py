"""Group commit: many waiting operations share one transaction, written by one thread.

What somebody waits for is written at once, and everything else a few milliseconds later, so that a build whose job runs
are short writes many of them together. It knows threads and futures; what a transaction is, the store knows.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from databuild.errors import EventLogError
from databuild.event_log.coordination import ClaimRequest, LeaseOwner
from databuild.event_log.log import Observer
from databuild.v1.events_pb2 import BuildEvent

LINGER_SECONDS: Final = 0.005
"""How long an operation that nobody waits for may wait for others."""

MAX_OPERATIONS: Final = 1000
"""How many operations share one transaction at most, so that none waits long for the others."""


_log = logging.getLogger("databuild.event_log")


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
    owner: LeaseOwner | None = None


Operation = Append | ClaimAll | RenewLease


def _is_empty(operation: Operation) -> bool:
    match operation:
        case Append(events):
            return not events
        case ClaimAll(requests):
            return not requests
        case RenewLease():
            return not operation.build_request_id  # of what only ends dead builds


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
        self._observers: list[Observer] = []
        self._closed = False

    def observe(self, observer: Observer) -> None:
        """Notifies an observer of the events of every append from now on, once they are durable."""
        self._observers.append(observer)

    def take(self, operation: Operation) -> asyncio.Future[Any]:
        """Takes an operation; its result is there when it is durable."""
        durable = _Taken(self, operation)
        if self._closed:
            durable.set_exception(EventLogError("it has been closed"))
        elif _is_empty(operation):
            durable.set_result(None)
        else:
            self._taken.append(durable)
            if len(self._taken) == MAX_OPERATIONS:
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
        """Waits until everything that was taken is written and observers were notified of it, and closes these."""
        self.flush()
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._batches.put(None)
            await asyncio.to_thread(self._thread.join)
            await asyncio.sleep(0)  # what the thread called last
        for observer in self._observers:
            observer.close()

    def _run(self) -> None:
        while batch := self._next():
            results: Sequence[object]
            try:
                results = self._store.write([taken.operation for taken in batch])
            except BaseException as error:
                results = [error] * len(batch)
            try:
                batch[0].get_loop().call_soon_threadsafe(self._settle, batch, results)
            except RuntimeError:
                continue  # the loop was closed: nobody waits any more

    def _settle(self, batch: Sequence[_Taken], results: Sequence[object]) -> None:
        for taken, result in zip(batch, results, strict=True):
            if isinstance(result, BaseException):
                if not taken.done():  # the waiting task was not cancelled
                    taken.set_exception(result)
                continue
            if self._observers and isinstance(taken.operation, Append):
                self._notify(taken.operation.events)
            if not taken.done():
                taken.set_result(result)

    def _notify(self, events: Sequence[BuildEvent]) -> None:
        for observer in self._observers:
            try:
                observer.notify(events)
            except Exception:
                _log.exception("%s failed on events of build %s", observer, events[0].build_request_id)

    def _next(self) -> list[_Taken]:
        """Returns everything that has come while the last transaction was written; nothing when there is no more."""
        batch: list[_Taken] = []
        while not batch or (not self._batches.empty() and len(batch) < MAX_OPERATIONS):
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
