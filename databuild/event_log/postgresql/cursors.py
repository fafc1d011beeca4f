"""Cursors of exporters in PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from databuild.event_log.cursors import SqlCursors
from databuild.event_log.postgresql.connection import (
    QUERIES,
    RECONNECT_SECONDS,
    connect_again,
    connect_for_writing,
    event_log_error,
)


class PostgresqlCursors(SqlCursors):
    """`Cursors` over one connection, which is opened again when it is lost: every statement may be repeated."""

    def __init__(self, uri: str, *, clock: Callable[[], float] | None) -> None:
        """Connects, see `connect_for_writing`.

        Args:
            uri: The database.
            clock: Returns the time in seconds since the epoch; None for the clock of the server.
        """
        self._uri = uri
        self._clock = clock
        self._connection = connect_for_writing(uri)

    def close(self) -> None:
        self._connection.close()

    def _rows(self, query: str, **values: object) -> list[tuple[str, ...]]:
        values["now"] = self._clock() if self._clock else None
        try:
            try:
                return self._connection.execute(QUERIES[query].encode(), values).fetchall()
            except psycopg.OperationalError:
                if not self._connection.broken:
                    raise
                self._connection = connect_again(self._uri, time.monotonic() + RECONNECT_SECONDS, writing=True)
                return self._connection.execute(QUERIES[query].encode(), values).fetchall()
        except psycopg.Error as error:
            raise event_log_error(error, self._uri) from error
