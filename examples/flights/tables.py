"""DuckDB tables from and to partitions in Parquet files."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from databuild.job import Run, content_digest, writing
from examples.flights.paths import data_file


def connect() -> duckdb.DuckDBPyConnection:
    """Returns an empty in-memory database with one thread: DataBuild already runs one job per processor."""
    return duckdb.connect(config={"threads": 1})


def write_partition(run: Run, connection: duckdb.DuckDBPyConnection, ref: str, query: str) -> int:
    """Writes the rows of a query to a partition and reports it finished. Returns the number of rows."""
    path = data_file(ref)
    with writing(path) as temporary:
        copied = connection.execute(f"COPY ({query}) TO '{temporary}' (FORMAT parquet, COMPRESSION zstd)").fetchone()
    rows = int(copied[0]) if copied else 0
    run.finished(ref, content_digest=content_digest(path), rows=rows, path=path)
    return rows


def read_partitions(refs: Sequence[str]) -> str:
    """Returns a SQL expression that reads partitions as one table."""
    return "read_parquet([" + ", ".join(f"'{data_file(ref)}'" for ref in refs) + "])"
