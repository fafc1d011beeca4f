"""Prunes builds in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from databuild.event_log.sql_pruner import SqlPruner
from databuild.event_log.sqlite.connection import QUERIES, connect_for_writing, fault

_NO_LOCK = nullcontext()
_PAGES: Final = 250
"""How many pages of the file one transaction gives back."""


class SqlitePruner(SqlPruner):
    """Fits `Pruner` and, with one connection, `Rows`."""

    def __init__(self, path: str, *, lock: AbstractContextManager[object] = _NO_LOCK) -> None:
        """Opens the file, as `connect_for_writing` says.

        Args:
            path: The file.
            lock: Held during each transaction.
        """
        super().__init__(self._query, self._transact)
        self._path = path
        self._lock = lock
        self._connection = connect_for_writing(path)

    def give_back(self) -> int:
        """Gives unused room at the end of the file back to the disk, and returns how many bytes that is."""
        (size,) = self._execute("PRAGMA page_size")[0]
        before = unused = self._unused()
        while unused:
            self._execute(f"PRAGMA incremental_vacuum({_PAGES})")
            still = self._unused()
            if still >= unused:
                break  # a file from before room could be given back, or others are quicker to use it
            unused = still
        self._execute("PRAGMA wal_checkpoint(PASSIVE)")
        return max(before - unused, 0) * int(size)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _unused(self) -> int:
        return int(self._execute("PRAGMA freelist_count")[0][0])

    def _query(self, query: str, **values: Any) -> list[Any]:
        return self._execute(QUERIES[query], values)

    def _transact(self, *queries: str, builds: Sequence[str] = (), **values: Any) -> int:  # noqa: ARG002 - one writer at a time
        """Runs one query: a statement is a transaction, and locks the file."""
        (query,) = queries
        before = self._connection.total_changes
        self._query(query, **values)
        return self._connection.total_changes - before

    def _execute(self, statement: str, values: Any = ()) -> list[Any]:
        """Runs one statement, which is a transaction."""
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise fault(error, self._path) from error
