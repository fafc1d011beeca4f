"""Cursors of exporters in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager

from databuild.event_log.cursors import SqlCursors
from databuild.event_log.sqlite.connection import QUERIES, connect_for_writing, event_log_error


class SqliteCursors(SqlCursors):
    """`Cursors` over one connection."""

    def __init__(self, path: str, *, clock: Callable[[], float], lock: AbstractContextManager[object]) -> None:
        """Opens the file, as `connect_for_writing` says.

        Args:
            path: The file.
            clock: Returns the time in seconds since the epoch.
            lock: Held while the file is opened, and during each transaction.
        """
        self._path = path
        self._clock = clock
        self._lock = lock
        with lock:
            self._connection = connect_for_writing(path)
            # Builds wait while a cursor moves, so it does not wait for the disk. A power failure may move it back to
            # where it was seconds before, and then events are sent again (sqlite.org/pragma.html#pragma_synchronous).
            self._connection.execute("PRAGMA synchronous = NORMAL")

    def close(self) -> None:
        self._connection.close()

    def _rows(self, query: str, **values: object) -> list[tuple[str, ...]]:
        try:
            with self._lock:
                return self._connection.execute(QUERIES[query], {**values, "now": self._clock()}).fetchall()
        except sqlite3.Error as error:
            raise event_log_error(error, self._path) from error
