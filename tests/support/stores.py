"""The event logs under test, and access to their tables."""

from __future__ import annotations

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

TABLES = {
    "builds": "*",
    "build_partitions": "*",
    "job_runs": "*",
    "partitions": "*",
    "partition_counts": "status, sum(count) AS count",
    "partition_uses": "*",
}


_OLDER = (
    "ALTER TABLE job_runs DROP COLUMN output_digests",
    "DROP INDEX partitions_by_run",
    "DROP TABLE partition_uses",
)
"""Removes what version 2 of the schema has added to version 1."""


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

    def make_older(self) -> None:
        for statement in (*_OLDER, "PRAGMA user_version = 1"):
            self.execute(statement)

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
        found = self.execute(f"SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0")
        return {name for (name,) in found}

    @staticmethod
    def literal(payload: bytes) -> str:
        return rf"'\x{payload.hex()}'::bytea"

    def make_newer(self) -> None:
        self.execute(f"UPDATE databuild_log SET schema_version = {postgresql.SCHEMA_VERSION + 1}")

    def make_older(self) -> None:
        for statement in (*_OLDER, "UPDATE databuild_log SET schema_version = 1"):
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
