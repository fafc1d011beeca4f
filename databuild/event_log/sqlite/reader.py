"""Reads the read models and the events in SQLite. Imports little, so that commands that only read start fast."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from databuild.event_log.sql_reader import ResultSet, SqlReader
from databuild.event_log.sqlite.connection import QUERIES, connect_for_reading, event_log_error

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from databuild.event_log.recent_events import RecentEvents
    from databuild.v1.events_pb2 import BuildEvent

_POLL_SECONDS = 0.05


class SqliteReader(SqlReader):
    """Reads one file."""

    def __init__(
        self,
        path: str,
        *,
        clock: Callable[[], float] = time.time,
        lock: AbstractContextManager[object] | None = None,
        recent: RecentEvents | None = None,
    ) -> None:
        """Opens nothing yet; the first query does.

        Args:
            path: The file.
            clock: The clock of leases.
            lock: Held while the file is opened, and during each query; None for no lock.
            recent: The newest events that this process has written; None if it keeps none.
        """
        super().__init__(QUERIES, self._execute, clock)
        self._path = path
        self._lock = lock
        self._recent = recent
        self._connection: sqlite3.Connection | None = None
        self._newest: list[Any] | None = None

    def connect(self) -> sqlite3.Connection:
        """Returns the connection; opens it first if necessary, see `connect_for_reading`."""
        if self._connection is None:
            with self._lock or contextlib.nullcontext():
                self._connection = connect_for_reading(self._path)
        return self._connection

    def all_events(self, *, after_position: int = 0, limit: int = 1000) -> Iterator[tuple[int, BuildEvent]]:
        from databuild.v1.events_pb2 import BuildEvent

        in_snapshot = self._connection is not None and self._connection.in_transaction
        rows = self._recent.after(after_position, limit) if self._recent is not None and not in_snapshot else []
        if len(rows) < limit:  # other processes may have written further events
            last = rows[-1][0] if rows else after_position
            rows += self._rows("all_events", after=last, limit=limit - len(rows))
        return ((position, BuildEvent.FromString(payload)) for position, payload in rows)

    def size(self) -> int:
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
        with self._lock or contextlib.nullcontext():
            self._execute("BEGIN", {})
            try:
                yield
            finally:
                self._execute("ROLLBACK", {})

    def wait(self, seconds: float) -> bool:
        """Waits by polling the newest position, since SQLite has no notifications between processes."""
        deadline = time.monotonic() + seconds
        while True:
            newest = self._rows("newest_position")
            if newest != self._newest:
                self._newest = newest
                return True
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            time.sleep(min(remaining, _POLL_SECONDS))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _execute(self, statement: str, values: Mapping[str, Any]) -> ResultSet:
        connection = self._connection or self.connect()
        try:
            with self._lock or contextlib.nullcontext():
                cursor = connection.execute(statement, values)
                return ResultSet(tuple([name for name, *_ in cursor.description or ()]), cursor.fetchall())
        except sqlite3.Error as error:
            raise event_log_error(error, self._path) from error
