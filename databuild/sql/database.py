"""Connections to DuckDB: in memory, with limits, and the same on every machine."""

from __future__ import annotations

import functools
import os
import tempfile

import duckdb

from databuild.sql.errors import SqlError


def connect(threads: int, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """Opens a connection without variables and views.

    All connections of a process with equal limits share one empty database, whose start takes a third of a short run in
    a worker. Views and variables of a connection are its own: they are temporary.

    Raises:
        SqlError: A limit is invalid.
    """
    connection = _database(threads, memory_limit).cursor()
    # Not that of the machine, so that results are the same everywhere.
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@functools.cache
def _database(threads: int, memory_limit: str) -> duckdb.DuckDBPyConnection:
    spill_directory = os.path.join(tempfile.gettempdir(), f"databuild-duckdb-{os.getpid()}")  # noqa: PTH118 - a text
    try:
        return duckdb.connect(
            config={
                "threads": threads,
                "memory_limit": memory_limit,
                "temp_directory": spill_directory,
                "autoinstall_known_extensions": False,
                # Files do not change during a run, and each use of a view reads the schemas of all of its files.
                "parquet_metadata_cache": True,
                # Otherwise, a query could read variables of this program as tables.
                "python_enable_replacements": False,
            }
        )
    except duckdb.Error as error:
        raise SqlError(
            f"DuckDB does not accept threads = {threads} and memory_limit = {memory_limit!r}: {error}"
        ) from error


def quoted(name: str) -> str:
    """Returns a name as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Returns a text as a literal in SQL."""
    return "'" + text.replace("'", "''") + "'"
