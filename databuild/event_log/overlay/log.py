"""Writes of an environment: to its own log, after a copy of what the base knows about the same partitions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from databuild.errors import BuildNotFoundError
from databuild.event_log.overlay.reader import OverlayReader

if TYPE_CHECKING:
    from databuild.event_log.coordination import Claim, ClaimRequest, LeaseOwner
    from databuild.event_log.cursors import Cursors
    from databuild.event_log.log import EventLog, Observer, Pruner
    from databuild.event_log.reads import Reader
    from databuild.v1.events_pb2 import BuildEvent

_AUTHOR: Final = "databuild"


class OverlayEventLog:
    """An `EventLog` that writes to the log of an environment.

    Statements about data of the base, such as a taint or a loss, concern the environment only. So its record is first
    copied to the environment.
    """

    def __init__(
        self, own: EventLog, open_base: Callable[[], Reader], *, clock: Callable[[], float] = time.time
    ) -> None:
        """Reads nothing yet.

        Args:
            own: The log of the environment.
            open_base: Returns a new reader of the base.
            clock: Returns the time in seconds since the epoch, for copies of records.
        """
        self._own = own
        self._open_base = open_base
        self._clock = clock
        self._reader: OverlayReader | None = None

    def append(self, events: Sequence[BuildEvent]) -> Awaitable[None]:
        target = events[0].cancel_request.target_build_request_id if events else ""
        if target and self._reading().own.build(target) is None:
            return _refuse(BuildNotFoundError(target))
        copied = self._copied(events)
        if copied is None:
            return self._own.append(events)
        return _both(self._own.append([copied]), self._own.append(events))

    def claim(self, requests: Sequence[ClaimRequest]) -> Awaitable[Sequence[Claim]]:
        return self._own.claim(requests)

    def renew_lease(
        self, build_request_id: str, holder: str, seconds: float, owner: LeaseOwner | None = None
    ) -> Awaitable[None]:
        return self._own.renew_lease(build_request_id, holder, seconds, owner)

    def remove_lease(self, build_request_id: str, holder: str) -> Awaitable[None]:
        return self._own.remove_lease(build_request_id, holder)

    def observe(self, observer: Observer) -> None:
        self._own.observe(observer)

    def reader(self) -> OverlayReader:
        return OverlayReader(self._own.reader(), self._open_base())

    def follow(self) -> OverlayReader:
        return OverlayReader(self._own.follow(), self._open_base())

    def pruner(self) -> Pruner:
        return self._own.pruner()

    def cursors(self) -> Cursors:
        return self._own.cursors()

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        await self._own.close()

    def _reading(self) -> OverlayReader:
        if self._reader is None:
            self._reader = self.reader()
        return self._reader

    def _copied(self, events: Sequence[BuildEvent]) -> BuildEvent | None:
        """Returns the event that copies records of the base about which events say something; None for no records."""
        subjects = _subjects(events)
        if not subjects:
            return None
        from databuild.model.adoption_events import adoption_event
        from databuild.model.build_request_id import new_build_request_id

        reader = self._reading()
        own = reader.own_refs(subjects)
        records = reader.base.partition_records([ref for ref in subjects if ref not in own])
        records = {
            ref: record for ref, record in records.items() if record.available and subjects[ref] in {"", record.version}
        }
        if not records:
            return None
        now = self._clock()
        return adoption_event(
            sorted(records),
            operation_id=new_build_request_id(now),
            author=_AUTHOR,
            reason="data of the base",
            time=now,
            force=True,
            records=[records[ref] for ref in sorted(records)],
        )


def _subjects(events: Iterable[BuildEvent]) -> dict[str, str]:
    """Returns the partitions whose data events taint or report lost, each with its version; empty for any version."""
    from databuild.v1 import partition_pb2 as pt

    subjects: dict[str, str] = {}
    for event in events:
        kind = event.WhichOneof("event")
        if kind == "taint":
            subjects.update((ref.str, "") for ref in event.taint.partitions)
        elif kind == "missing":
            subjects.update((lost.ref, lost.version) for lost in event.missing.partitions)
        elif kind == "partition" and event.partition.status == pt.PARTITION_STATUS_MISSING:
            subjects[event.partition.ref] = event.partition.version
    return subjects


def _both(first: Awaitable[None], second: Awaitable[None]) -> Awaitable[None]:
    """Returns the result of two appends, which need not be awaited."""

    async def wait() -> None:
        await first
        await second

    waiting = asyncio.ensure_future(wait())
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
    return waiting


async def _refuse(error: Exception) -> None:
    raise error
