"""An event log that tells of what has become durable, and opens its readers when they first read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from databuild.event_log.log import Claim, ClaimRequest, EventLog, Pruner, Queued, Reader

if TYPE_CHECKING:
    from databuild.v1.events_pb2 import BuildEvent


class ToldEventLog:
    """Fits `EventLog`, over another one."""

    def __init__(self, log: EventLog, tell: Callable[[Sequence[BuildEvent]], None]) -> None:
        """Takes the log, and who is told the events of one build that have become durable, in order."""
        self._log = log
        self._tell = tell

    def append(self, events: Sequence[BuildEvent]) -> Awaitable[None]:
        """Appends to the log, and tells when that is durable."""
        durable = asyncio.ensure_future(self._log.append(events))
        durable.add_done_callback(lambda done: self._written(done, events))
        return durable

    def claim(self, requests: Sequence[ClaimRequest]) -> Awaitable[Sequence[Claim]]:
        """Claims in the log."""
        return self._log.claim(requests)

    def renew_lease(
        self, build_request_id: str, holder: str, seconds: float, queued: Queued | None = None
    ) -> Awaitable[None]:
        """Renews a lease in the log."""
        return self._log.renew_lease(build_request_id, holder, seconds, queued)

    def reader(self) -> Reader:
        """Returns a reader that holds no connection before it reads: many builds may wait for their turn."""
        return cast("Reader", _OpenedLate(self._log.reader))

    def pruner(self) -> Pruner:
        """Returns what prunes builds of the log."""
        return self._log.pruner()

    async def close(self) -> None:
        """Closes the log."""
        await self._log.close()

    def _written(self, done: asyncio.Future[None], events: Sequence[BuildEvent]) -> None:
        if events and not done.cancelled() and done.exception() is None:
            self._tell(events)


class _OpenedLate:
    """A reader that is opened when it is first used."""

    def __init__(self, open_reader: Callable[[], Reader]) -> None:
        self._open = open_reader

    def __getattr__(self, name: str) -> Any:
        reader = self.__dict__.setdefault("_reader", None) or self._open()
        self.__dict__["_reader"] = reader
        return getattr(reader, name)

    def close(self) -> None:
        if (reader := self.__dict__.get("_reader")) is not None:
            reader.close()
