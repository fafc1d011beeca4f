"""The event log in a SQLite file, or in memory."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from databuild.event_log.coordination import Claim, ClaimRequest, LeaseOwner
from databuild.event_log.group_commit import Append, ClaimAll, GroupCommit, RemoveLease, RenewLease
from databuild.event_log.log import Observer
from databuild.event_log.sqlite.reader import SqliteReader
from databuild.event_log.sqlite.writer import SqliteWriter
from databuild.v1.events_pb2 import BuildEvent

if TYPE_CHECKING:
    from databuild.event_log.recent_events import RecentEvents
    from databuild.event_log.sqlite.cursors import SqliteCursors
    from databuild.event_log.sqlite.pruning import SqlitePruner

_memory_log_numbers = itertools.count(1)


class SqliteEventLog:
    """An `EventLog` in which one thread writes, and each reader has its own connection."""

    def __init__(self, path: str, *, clock: Callable[[], float] = time.time) -> None:
        """Opens the file, and creates it if it does not exist.

        Args:
            path: The file; empty for a log in memory.
            clock: Returns the time in seconds since the epoch, for leases.

        Raises:
            EventLogError: The file cannot be opened or written.
            SchemaTooNewError: A newer DataBuild wrote it.
        """
        self._path = path or f"file:databuild-{os.getpid()}-{next(_memory_log_numbers)}?mode=memory&cache=shared"
        self._clock = clock
        # Connections with a shared cache lock whole tables and fail instead of waiting (sqlite.org/sharedcache.html).
        self._lock = contextlib.nullcontext() if path else threading.RLock()
        self._writer = SqliteWriter(self._path, clock=clock, lock=self._lock)
        self._commit = GroupCommit(self._writer)
        self._recent: RecentEvents | None = None

    def append(self, events: Sequence[BuildEvent]) -> Awaitable[None]:
        return self._commit.submit(Append(events))

    def claim(self, requests: Sequence[ClaimRequest]) -> Awaitable[Sequence[Claim]]:
        return self._commit.submit(ClaimAll(requests))

    def renew_lease(
        self, build_request_id: str, holder: str, seconds: float, owner: LeaseOwner | None = None
    ) -> Awaitable[None]:
        return self._commit.submit(RenewLease(build_request_id, holder, seconds, owner))

    def remove_lease(self, build_request_id: str, holder: str) -> Awaitable[None]:
        return self._commit.submit(RemoveLease(build_request_id, holder))

    def observe(self, observer: Observer) -> None:
        self._commit.observe(observer)

    def reader(self) -> SqliteReader:
        return SqliteReader(self._path, clock=self._clock, lock=self._lock)

    def follow(self) -> SqliteReader:
        from databuild.event_log.recent_events import RecentEvents

        if self._recent is None:
            self._recent = RecentEvents()
            self._writer.keep_recent(self._recent)
        return SqliteReader(self._path, clock=self._clock, lock=self._lock, recent=self._recent)

    def pruner(self) -> SqlitePruner:
        from databuild.event_log.sqlite.pruning import SqlitePruner

        return SqlitePruner(self._path, lock=self._lock)

    def cursors(self) -> SqliteCursors:
        from databuild.event_log.sqlite.cursors import SqliteCursors

        return SqliteCursors(self._path, clock=self._clock, lock=self._lock)

    async def close(self) -> None:
        await self._commit.close()
        self._writer.close()
