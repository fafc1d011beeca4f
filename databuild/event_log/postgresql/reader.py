"""Reads the read models and the events in PostgreSQL."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from databuild.event_log.postgresql.connection import (
    CHANNEL,
    QUERIES,
    RECONNECT_SECONDS,
    connect,
    connect_again,
    event_log_error,
    is_lost,
)
from databuild.event_log.postgresql.positions import settled_events
from databuild.event_log.postgresql.statements import as_json
from databuild.event_log.sql_reader import ResultSet, SqlReader

if TYPE_CHECKING:
    from databuild.v1.events_pb2 import BuildEvent

_T = TypeVar("_T")


class PostgresqlReader(SqlReader):
    """Reads one database, and reconnects when the connection is lost."""

    def __init__(
        self,
        uri: str,
        *,
        clock: Callable[[], float] | None = None,
        reconnect_seconds: float = RECONNECT_SECONDS,
    ) -> None:
        """Connects to nothing yet; the first query does.

        Args:
            uri: The database.
            clock: The clock of leases; by default the server's.
            reconnect_seconds: The time for which a read tries to reconnect before it fails.
        """
        super().__init__(QUERIES, self._execute, clock or (lambda: None), as_json)
        self._uri = uri
        self._reconnect_seconds = reconnect_seconds
        self._connection: psycopg.Connection[Any] | None = None
        self._listens = False
        self._in_snapshot = False

    def connect(self) -> psycopg.Connection[Any]:
        """Returns the connection; connects first if necessary, see `connection.connect`."""
        if self._connection is None:
            self._connection = connect(self._uri)
        return self._connection

    def all_events(self, *, after_position: int = 0, limit: int = 1000) -> Iterator[tuple[int, BuildEvent]]:
        from databuild.v1.events_pb2 import BuildEvent

        default: list[tuple[int, bytes]] = []
        rows = self._read(lambda connection: settled_events(connection, after_position, limit), default)
        return ((position, BuildEvent.FromString(payload)) for position, payload in rows)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Returns a context in which every call sees the same state; calls fail if the connection is lost."""
        self._do(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._in_snapshot = True
        try:
            yield
        finally:
            self._in_snapshot = False
            if not self.connect().closed:
                self._do(b"ROLLBACK")

    def wait(self, seconds: float) -> bool:
        def wait(connection: psycopg.Connection[Any]) -> bool:
            if not self._listens:
                connection.execute(f"LISTEN {CHANNEL}")
                self._listens = True
                return True  # earlier notifications were not received
            notifications = list(connection.notifies(timeout=seconds, stop_after=1))
            notifications += connection.notifies(timeout=0)  # drains the rest, so that they wake the caller only once
            return bool(notifications)

        return self._read(wait, default=False)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def __del__(self) -> None:
        """Closes the connection of a reader that was not closed, as a connection of SQLite does by itself."""
        if connection := getattr(self, "_connection", None):
            connection.close()

    def _do(self, statement: bytes) -> None:
        self._read(lambda connection: connection.execute(statement), None)

    def _execute(self, statement: str, values: Mapping[str, Any]) -> ResultSet:
        def execute(connection: psycopg.Connection[Any]) -> ResultSet:
            cursor = connection.execute(statement.encode(), values, binary=True)
            return ResultSet(tuple([column.name for column in cursor.description or ()]), cursor.fetchall())

        return self._read(execute, ResultSet((), []))

    def _read(self, read: Callable[[psycopg.Connection[Any]], _T], default: _T) -> _T:
        """Reads, reconnecting if the connection is lost; returns the default if there are no tables."""
        deadline = 0.0
        while True:
            connection = self._connection or self.connect()
            try:
                return read(connection)
            except (psycopg.errors.UndefinedTable, psycopg.errors.InFailedSqlTransaction):
                return default  # within a snapshot, UndefinedTable aborts the transaction for all later calls
            except psycopg.Error as error:
                now = time.monotonic()
                if self._in_snapshot or not is_lost(connection, error) or 0 < deadline < now:
                    raise event_log_error(error, self._uri) from error
            deadline = deadline or now + self._reconnect_seconds
            connection.close()
            self._listens = False
            self._connection = connect_again(self._uri, deadline)
