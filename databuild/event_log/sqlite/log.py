"""The event log in a SQLite file, or in memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Sequence

from databuild.event_log.group_commit import GroupCommit
from databuild.event_log.sqlite.reader import SqliteReader
from databuild.event_log.sqlite.writer import SqliteWriter
from databuild.v1.events_pb2 import BuildEvent

_memories = itertools.count(1)


class SqliteEventLog:
    """Fits `EventLog`: one thread writes, readers have connections of their own."""

    def __init__(self, path: str) -> None:
        """Opens the file, making it where there is none; an empty path is a log in memory.

        Raises:
            EventLogError: It cannot be opened or written.
            SchemaTooNewError: A newer DataBuild wrote it.
        """
        self._path = path or f"file:databuild-{os.getpid()}-{next(_memories)}?mode=memory&cache=shared"
        self._writer = SqliteWriter(self._path)
        self._commit = GroupCommit(self._writer)

    def append(self, events: Sequence[BuildEvent]) -> Awaitable[None]:
        """Takes events of one build to be written together, as `EventLog.append` says."""
        return self._commit.append(events)

    def reader(self) -> SqliteReader:
        """Returns a reader that sees everything that is durable."""
        return SqliteReader(self._path)

    async def close(self) -> None:
        """Writes what is waiting and closes the file."""
        await self._commit.close()
        self._writer.close()
