"""The event log in a SQLite file, or in memory."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

from databuild.event_log.coordination import Claim, ClaimRequest, LeaseOwner
from databuild.event_log.group_commit import Append, ClaimAll, GroupCommit, RenewLease
from databuild.event_log.log import Observer
from databuild.event_log.sqlite.pruning import SqlitePruner
from databuild.event_log.sqlite.reader import SqliteReader
from databuild.event_log.sqlite.writer import SqliteWriter
from databuild.v1.events_pb2 import BuildEvent

_memories = itertools.count(1)


class SqliteEventLog:
    """Fits `EventLog`: one thread writes, readers have connections of their own."""

    def __init__(self, path: str, *, clock: Callable[[], float] = time.time) -> None:
        """Opens the file, making it where there is none; an empty path is a log in memory.

        Args:
            path: The file.
            clock: Returns the time in seconds since the epoch, for leases.

        Raises:
            EventLogError: It cannot be opened or written.
            SchemaTooNewError: A newer DataBuild wrote it.
        """
        self._path = path or f"file:databuild-{os.getpid()}-{next(_memories)}?mode=memory&cache=shared"
        self._clock = clock
        # Connections to one database in memory lock whole tables, and do not wait for each other.
        self._lock = contextlib.nullcontext() if path else threading.RLock()
        self._writer = SqliteWriter(self._path, clock=clock, lock=self._lock)
        self._commit = GroupCommit(self._writer)

    def append(self, events: Sequence[BuildEvent]) -> Awaitable[None]:
        """Takes events of one build to be written together, as `EventLog.append` says."""
        return self._commit.take(Append(events))

    def claim(self, requests: Sequence[ClaimRequest]) -> Awaitable[Sequence[Claim]]:
        """Claims the outputs of job runs, as `EventLog.claim` says."""
        return self._commit.take(ClaimAll(requests))

    def renew_lease(
        self, build_request_id: str, holder: str, seconds: float, owner: LeaseOwner | None = None
    ) -> Awaitable[None]:
        """Makes a build count as alive, as `EventLog.renew_lease` says."""
        return self._commit.take(RenewLease(build_request_id, holder, seconds, owner))

    def observe(self, observer: Observer) -> None:
        """Notifies an observer of events that are durable, as `EventLog.observe` says."""
        self._commit.observe(observer)

    def reader(self) -> SqliteReader:
        """Returns a reader that sees everything that is durable."""
        return SqliteReader(self._path, clock=self._clock, lock=self._lock)

    def pruner(self) -> SqlitePruner:
        """Returns what prunes builds."""
        return SqlitePruner(self._path, lock=self._lock)

    async def close(self) -> None:
        """Writes what is waiting and closes the file."""
        await self._commit.close()
        self._writer.close()
