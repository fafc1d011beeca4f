"""The event log in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from databuild.event_log.coordination import Claim, ClaimRequest, LeaseOwner
from databuild.event_log.group_commit import Append, ClaimAll, GroupCommit, RemoveLease, RenewLease
from databuild.event_log.log import Observer
from databuild.event_log.postgresql.cursors import PostgresqlCursors
from databuild.event_log.postgresql.pruning import PostgresqlPruner
from databuild.event_log.postgresql.reader import PostgresqlReader
from databuild.event_log.postgresql.writer import PostgresqlWriter
from databuild.v1.events_pb2 import BuildEvent


class PostgresqlEventLog:
    """An `EventLog` in which one thread writes, and each reader has its own connection."""

    def __init__(self, uri: str, *, clock: Callable[[], float] | None = None) -> None:
        """Connects, and creates the tables if they do not exist.

        Args:
            uri: The database.
            clock: Returns the time in seconds since the epoch, for leases; by default the server's clock.

        Raises:
            InvalidRequestError: The URI cannot be read.
            EventLogError: The database cannot be reached or written.
            SchemaTooNewError: A newer DataBuild wrote it.
        """
        self._uri = uri
        self._clock = clock
        self._writer = PostgresqlWriter(uri, clock=clock)
        self._commit = GroupCommit(self._writer)

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

    def reader(self) -> PostgresqlReader:
        return PostgresqlReader(self._uri, clock=self._clock)

    def follow(self) -> PostgresqlReader:
        return self.reader()

    def pruner(self) -> PostgresqlPruner:
        return PostgresqlPruner(self._uri)

    def cursors(self) -> PostgresqlCursors:
        return PostgresqlCursors(self._uri, clock=self._clock)

    async def close(self) -> None:
        await self._commit.close()
        self._writer.close()
