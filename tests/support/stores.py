"""The event logs under test, and access to their tables."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

from databuild.event_log.postgresql import connection as postgresql
from databuild.event_log.postgresql.writer import PostgresqlWriter
from databuild.event_log.sqlite import connection as sqlite
from databuild.event_log.sqlite.writer import SqliteWriter

if TYPE_CHECKING:
    from tests.postgresql.server import Server

_NEW_IN_PLACEMENTS = ("log_store", "stdout_bytes", "stderr_bytes", "worker_id", "worker_request")
TABLES = {
    "builds": "*",
    "build_requests": "*",
    "placements": "*",
    "build_partitions": "*",
    "job_runs": "*",
    "partitions": "*",
    "partition_counts": "status, sum(count) AS count",
    "partition_uses": "*",
}

_POSTGRESQL_3 = (
    "DROP TABLE export_cursors",
    "ALTER TABLE partitions DROP COLUMN location",
    "ALTER TABLE partition_snapshots DROP COLUMN location",
    "ALTER TABLE partitions DROP COLUMN removal",
    "ALTER TABLE partition_snapshots DROP COLUMN removal",
    *(f"ALTER TABLE placements DROP COLUMN {name}" for name in _NEW_IN_PLACEMENTS),
    "DROP TABLE job_run_metrics",
    "DROP TABLE job_run_checks",
    "DROP TABLE job_run_schemas",
    "ALTER TABLE builds DROP COLUMN first_position",
    "CREATE INDEX builds_by_status ON builds (status, build_request_id)",
    "UPDATE databuild_log SET schema_version = 3",
)
"""Undoes version 4 of the schema."""

_POSTGRESQL_1 = (
    "DROP TABLE placements",
    "ALTER TABLE job_runs DROP COLUMN output_digests",
    "DROP INDEX partitions_by_run",
    "DROP TABLE partition_uses",
    "ALTER TABLE builds ADD COLUMN requested TEXT",
    "UPDATE builds b SET requested = r.requested FROM build_requests r WHERE r.build_request_id = b.build_request_id",
    "DROP TABLE build_requests",
    "UPDATE databuild_log SET schema_version = 1",
)
"""Undoes versions 2 and 3 of the schema."""


class SqliteFiles:
    """Logs in files."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:{folder}/state/events.db"

    def write(self) -> SqliteWriter:
        return SqliteWriter(self.uri.removeprefix("sqlite:"))

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.uri.removeprefix("sqlite:")) as connection:
            return connection.execute(statement).fetchall()

    def columns(self, table: str) -> set[str]:
        return {name for (name,) in self.execute(f"SELECT name FROM pragma_table_info('{table}')")}

    @staticmethod
    def literal(payload: bytes) -> str:
        return f"X'{payload.hex()}'"

    def make_newer(self) -> None:
        self.execute(f"PRAGMA user_version = {sqlite.SCHEMA_VERSION + 1}")

    def make_older(self, version: int = 1) -> None:
        """Copies the rows to a file with version 1 or 3 of the schema."""
        path = Path(self.uri.removeprefix("sqlite:"))
        newer = path.rename(path.with_name("newer.db"))
        with contextlib.closing(sqlite3.connect(path)) as connection:
            for number in range(1, version + 1):
                connection.executescript(Path(sqlite.__file__).with_name(f"schema_{number}.sql").read_text())
            connection.execute("ATTACH ? AS newer", (str(newer),))
            joined = "newer.builds JOIN newer.build_requests USING (build_request_id)"
            connection.execute(f"CREATE TEMP VIEW builds_1 AS SELECT * FROM {joined}")
            tables = connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall()
            # Last come those that change with other rows, by triggers or by SQLite.
            for (table,) in sorted(tables, key=lambda row: row[0] in {"partition_counts", "sqlite_sequence"}):
                columns = ", ".join(
                    name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?, 'main')", (table,))
                )
                source = "builds_1" if table == "builds" and version == 1 else f"newer.{table}"
                # Already empty, except for counts from triggers and the first row of `tokens`.
                connection.execute(f"DELETE FROM main.{table}")
                connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM {source}")
            connection.commit()
            connection.execute(f"PRAGMA application_id = {sqlite.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {version}")

    def make_of_another_program(self) -> None:
        self.uri = self.uri.replace("state/", "")
        self.execute("CREATE TABLE t (x)")


class PostgresqlDatabases:
    """Logs in databases of a real server."""

    def __init__(self, server: Server) -> None:
        self.uri = server.new_database()

    def write(self) -> PostgresqlWriter:
        return PostgresqlWriter(self.uri)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.uri, autocommit=True, options="-c search_path=databuild") as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def columns(self, table: str) -> set[str]:
        found = self.execute(
            f"SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
        )
        return {name for (name,) in found}

    @staticmethod
    def literal(payload: bytes) -> str:
        return rf"'\x{payload.hex()}'::bytea"

    def make_newer(self) -> None:
        self.execute(f"UPDATE databuild_log SET schema_version = {postgresql.SCHEMA_VERSION + 1}")

    def make_older(self, version: int = 1) -> None:
        """Changes the tables to those of version 1 or 3 of the schema."""
        for statement in (*_POSTGRESQL_3, *(_POSTGRESQL_1 if version == 1 else ())):
            self.execute(statement)

    def make_of_another_program(self) -> None:
        self.execute("CREATE SCHEMA databuild")
        self.execute("CREATE TABLE databuild.t (x int)")


Store: TypeAlias = SqliteFiles | PostgresqlDatabases


def read_models(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Returns every row of the read models, by table."""
    found = {}
    for table, columns in TABLES.items():
        group = " GROUP BY status HAVING sum(count) > 0" if table == "partition_counts" else ""
        found[table] = sorted(store.execute(f"SELECT {columns} FROM {table}{group}"), key=repr)
    return found
