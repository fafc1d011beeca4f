"""Prunes builds in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from databuild.event_log.sql_pruner import SqlPruner
from databuild.event_log.sqlite.connection import QUERIES, connect_for_writing, event_log_error

_NO_LOCK = nullcontext()
_PAGES: Final = 250
"""The number of pages that one transaction returns to the file system, so that writers do not wait long."""


class SqlitePruner(SqlPruner):
    """A `Pruner` over one connection, which is also its `PrunableTables`."""

    def __init__(self, path: str, *, lock: AbstractContextManager[object] = _NO_LOCK) -> None:
        """Opens the file, as `connect_for_writing` says.

        Args:
            path: The file.
            lock: Held while the file is opened, and during each transaction.
        """
        super().__init__(self._query, self._transact)
        self._path = path
        self._lock = lock
        with lock:
            self._connection = connect_for_writing(path)

    def vacuum(self) -> int:
        (page_size,) = self._execute("PRAGMA page_size")[0]
        before = unused = self._unused_pages()
        while unused:
            self._execute(f"PRAGMA incremental_vacuum({_PAGES})")
            remaining = self._unused_pages()
            if remaining >= unused:
                break  # the file was created without auto_vacuum, or writers free pages faster
            unused = remaining
        self._execute("PRAGMA wal_checkpoint(PASSIVE)")
        return max(before - unused, 0) * int(page_size)

    def close(self) -> None:
        self._connection.close()

    def _unused_pages(self) -> int:
        return int(self._execute("PRAGMA freelist_count")[0][0])

    def _query(self, query: str, **values: Any) -> list[Any]:
        return self._execute(QUERIES[query], values)

    def _transact(self, *queries: str, builds: Sequence[str] = (), **values: Any) -> int:  # noqa: ARG002 - one writer at a time
        """Runs one query. Builds need no lock: a statement is a transaction, which locks the file."""
        (query,) = queries
        before = self._connection.total_changes
        self._query(query, **values)
        return self._connection.total_changes - before

    def _execute(self, statement: str, values: Any = ()) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise event_log_error(error, self._path) from error
