"""The event log in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from databuild.event_log.group_commit import GroupCommit
from databuild.event_log.postgresql.reader import PostgresqlReader
from databuild.event_log.postgresql.writer import PostgresqlWriter
from databuild.v1.events_pb2 import BuildEvent


class PostgresqlEventLog:
    """Fits `EventLog`: one thread writes, readers have connections of their own."""

    def __init__(self, uri: str) -> None:
        """Connects, making the tables where there are none.

        Raises:
            InvalidRequestError: The URI cannot be read.
            EventLogError: The database cannot be reached or written.
            SchemaTooNewError: A newer DataBuild wrote it.
        """
        self._uri = uri
        self._writer = PostgresqlWriter(uri)
        self._commit = GroupCommit(self._writer)

    def append(self, events: Sequence[BuildEvent]) -> Awaitable[None]:
        """Takes events of one build to be written together, as `EventLog.append` says."""
        return self._commit.append(events)

    def reader(self) -> PostgresqlReader:
        """Returns a reader that sees everything that is durable."""
        return PostgresqlReader(self._uri)

    async def close(self) -> None:
        """Writes what is waiting and closes the connection."""
        await self._commit.close()
        self._writer.close()
