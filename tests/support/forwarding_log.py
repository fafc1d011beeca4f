"""An event log that wraps another one, for tests that change single operations."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from databuild.event_log.coordination import Claim, ClaimRequest, LeaseOwner
from databuild.event_log.cursors import Cursors
from databuild.event_log.log import EventLog, Observer, Pruner
from databuild.event_log.reads import Reader
from databuild.v1.events_pb2 import BuildEvent


class ForwardingLog:
    """Forwards every operation to another event log."""

    def __init__(self, log: EventLog) -> None:
        self.log = log

    def append(self, events: Sequence[BuildEvent]) -> Awaitable[None]:
        return self.log.append(events)

    def claim(self, requests: Sequence[ClaimRequest]) -> Awaitable[Sequence[Claim]]:
        return self.log.claim(requests)

    def renew_lease(
        self, build_request_id: str, holder: str, seconds: float, owner: LeaseOwner | None = None
    ) -> Awaitable[None]:
        return self.log.renew_lease(build_request_id, holder, seconds, owner)

    def remove_lease(self, build_request_id: str, holder: str) -> Awaitable[None]:
        return self.log.remove_lease(build_request_id, holder)

    def observe(self, observer: Observer) -> None:
        self.log.observe(observer)

    def reader(self) -> Reader:
        return self.log.reader()

    def follow(self) -> Reader:
        return self.log.follow()

    def pruner(self) -> Pruner:
        return self.log.pruner()

    def cursors(self) -> Cursors:
        return self.log.cursors()

    async def close(self) -> None:
        await self.log.close()
