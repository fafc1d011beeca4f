"""Prunes builds in PostgreSQL. Locks are taken in the writers' order: builds by id, partitions by ref."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from databuild.event_log.postgresql.connection import MAINTENANCE, QUERIES, connect_for_writing, event_log_error
from databuild.event_log.postgresql.read_models import lock_builds
from databuild.event_log.postgresql.statements import as_json
from databuild.event_log.sql_pruner import SqlPruner


class PostgresqlPruner(SqlPruner):
    """A `Pruner` over one connection, which is also its `PrunableTables`."""

    def __init__(self, uri: str) -> None:
        """Connects, see `connect_for_writing`."""
        snapshot_queries = ("lock_partitions_shared", "snapshot_partitions")
        super().__init__(self._rows, self._transact, snapshot_queries=snapshot_queries, as_json=as_json)
        self._uri = uri
        self._connection = connect_for_writing(uri)

    def vacuum(self) -> int:
        """Returns 0: the autovacuum of the server frees the space for later rows."""
        return 0

    def close(self) -> None:
        self._connection.close()

    def _rows(self, query: str, **values: Any) -> list[Any]:
        try:
            return self._connection.execute(QUERIES[query].encode(), values).fetchall()
        except psycopg.Error as error:
            raise event_log_error(error, self._uri) from error

    def _transact(self, *queries: str, builds: Sequence[str] = (), **values: Any) -> int:
        connection = self._connection
        count = 0
        try:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", MAINTENANCE)
                if builds:
                    lock_builds(connection, builds)
                for query in queries:
                    count = connection.execute(QUERIES[query].encode(), values).rowcount
        except psycopg.Error as error:
            raise event_log_error(error, self._uri) from error
        return count
