"""Reads the read models and the events. Imports little, so that commands that only read start fast."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from databuild.event_log.sql_reader import Fetched, SqlReader
from databuild.event_log.sqlite.connection import QUERIES, connect_for_reading, fault

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from databuild.v1.events_pb2 import BuildEvent

_LOOK_SECONDS = 0.05


class SqliteReader(SqlReader):
    """Reads one file."""

    def __init__(
        self,
        path: str,
        *,
        clock: Callable[[], float] = time.time,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        """Opens nothing yet: the first query does, as `connect_for_reading` says.

        Args:
            path: The file.
            clock: The clock of leases.
            lock: Held during each query, where there is one.
        """
        super().__init__(QUERIES, self._execute, clock)
        self._path = path
        self._lock = lock
        self._connection: sqlite3.Connection | None = None
        self._newest: list[Any] | None = None

    def connect(self) -> sqlite3.Connection:
        """Returns the connection, which is opened where there is none, as `connect_for_reading` says."""
        if self._connection is None:
            self._connection = connect_for_reading(self._path)
        return self._connection

    def all_events(self, *, after_position: int = 0, limit: int = 1000) -> Iterator[tuple[int, BuildEvent]]:
        """Returns events of all builds in the order in which they were written, each with its position."""
        from databuild.v1.events_pb2 import BuildEvent

        rows = self._rows("all_events", after=after_position, limit=limit)
        return ((position, BuildEvent.FromString(payload)) for position, payload in rows)

    def size(self) -> int:
        """Returns how many bytes the log takes."""
        if self._path.startswith("file:"):
            ((pages,),), ((size,),) = (self._execute(f"PRAGMA page_{name}", {}).rows for name in ("count", "size"))
            return int(pages * size)
        total = 0
        for path in (self._path, f"{self._path}-wal"):
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(path).st_size  # noqa: PTH116 (pathlib costs 8 ms)
        return total

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Returns a context in which every call sees the same state."""
        with self._lock or contextlib.nullcontext():
            self._execute("BEGIN", {})
            try:
                yield
            finally:
                self._execute("ROLLBACK", {})

    def wait(self, seconds: float) -> bool:
        """Waits for news, at most so long, by looking again and again."""
        deadline = time.monotonic() + seconds
        while True:
            newest = self._rows("newest_position")
            if newest != self._newest:
                self._newest = newest
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, _LOOK_SECONDS))

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()

    def _execute(self, statement: str, values: Mapping[str, Any]) -> Fetched:
        connection = self._connection or self.connect()
        try:
            with self._lock or contextlib.nullcontext():
                cursor = connection.execute(statement, values)
                return Fetched(tuple([name for name, *_ in cursor.description or ()]), cursor.fetchall())
        except sqlite3.Error as error:
            raise fault(error, self._path) from error
