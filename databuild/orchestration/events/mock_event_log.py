"""Event log for tests that keeps events in a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from databuild.event_log.coordination import Claim, ClaimRequest, LeaseOwner
from databuild.event_log.log import Observer
from databuild.v1 import events_pb2 as ev


class MockEventLog:
    """Keeps appended events in `events`, and grants every claim. It cannot be read."""

    def __init__(self) -> None:
        self.events: list[ev.BuildEvent] = []
        self._observers: list[Observer] = []

    async def append(self, events: Sequence[ev.BuildEvent]) -> None:
        self.events.extend(events)
        for observer in self._observers:
            observer.notify(events)

    async def claim(self, requests: Sequence[ClaimRequest]) -> Sequence[Claim]:
        return [Claim(number) for number, _ in enumerate(requests, 1)]

    async def renew_lease(
        self, build_request_id: str, holder: str, seconds: float, owner: LeaseOwner | None = None
    ) -> None:
        pass

    async def remove_lease(self, build_request_id: str, holder: str) -> None:
        pass

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def reader(self) -> Any:
        message = "a mock event log cannot be read; use `memory:`"
        raise TypeError(message)

    def follow(self) -> Any:
        return self.reader()

    def pruner(self) -> Any:
        message = "a mock event log cannot be pruned; use `memory:`"
        raise TypeError(message)

    def cursors(self) -> Any:
        message = "a mock event log has no cursors; use `memory:`"
        raise TypeError(message)

    async def close(self) -> None:
        pass
