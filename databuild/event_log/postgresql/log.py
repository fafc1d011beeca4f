"""The event log in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from databuild.event_log.coordination import Claim, ClaimRequest, LeaseOwner
from databuild.event_log.group_commit import Append, ClaimAll, GroupCommit, RenewLease
from databuild.event_log.log import Observer
from databuild.event_log.postgresql.pruning import PostgresqlPruner
from databuild.event_log.postgresql.reader import PostgresqlReader
from databuild.event_log.postgresql.writer import PostgresqlWriter
from databuild.v1.events_pb2 import BuildEvent


class PostgresqlEventLog:
    """Fits `EventLog`: one thread writes, readers have connections of their own."""

    def __init__(self, uri: str, *, clock: Callable[[], float] | None = None) -> None:
        """Connects, making the tables where there are none.

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

    def reader(self) -> PostgresqlReader:
        """Returns a reader that sees everything that is durable."""
        return PostgresqlReader(self._uri, clock=self._clock)

    def pruner(self) -> PostgresqlPruner:
        """Returns what prunes builds."""
        return PostgresqlPruner(self._uri)

    async def close(self) -> None:
        """Writes what is waiting and closes the connection."""
        await self._commit.close()
        self._writer.close()
