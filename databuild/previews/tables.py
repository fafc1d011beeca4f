"""The first rows of Parquet, CSV and JSON lines, read by DuckDB from one open file.

DuckDB gets no access but to that file, loads no extension, writes no file, and uses one thread.
"""

from __future__ import annotations

from typing import Any, Final

import duckdb

from databuild.previews.preview import MAX_CELL, MAX_COLUMNS, MAX_ROWS, Preview, Unavailable

_MEMORY_LIMIT: Final = "256MB"
_MAX_LINE_BYTES: Final = 1024 * 1024
_MAX_FAULT: Final = 200

_READERS: Final = {
    "parquet": "read_parquet($path)",
    "csv": f"read_csv($path, compression = $compression, max_line_size = {_MAX_LINE_BYTES}, sample_size = 1000, "
    "all_varchar = false, strict_mode = false)",
    "json": f"read_json($path, format = 'newline_delimited', compression = $compression, "
    f"maximum_object_size = {_MAX_LINE_BYTES}, sample_size = 1000)",
}


def table_preview(path: str, kind: str, compression: str) -> Preview:
    """Returns the first rows of a table.

    Args:
        path: The file, as a path of an open descriptor.
        kind: `parquet`, `csv` or `json`.
        compression: `none`, `gzip` or `zstd`.

    Raises:
        Unavailable: DuckDB cannot read the file within its limits.
    """
    values = {"path": path} | ({} if kind == "parquet" else {"compression": compression})
    try:
        with _connect(path) as connection:
            result = connection.execute(f"SELECT * FROM {_READERS[kind]} LIMIT {MAX_ROWS + 1}", values)  # noqa: S608
            described = result.description
            columns = [(str(name), str(kind)) for name, kind, *_ in described[:MAX_COLUMNS]]
            rows = [[_cell(value) for value in row[:MAX_COLUMNS]] for row in result.fetchall()]
    except duckdb.Error as error:
        first = str(error).replace(path, "the file").splitlines()[0]
        raise Unavailable(f"DuckDB cannot read the data as {kind}: {first[:_MAX_FAULT]}") from error
    truncated = len(rows) > MAX_ROWS or len(described) > MAX_COLUMNS
    return Preview(columns=columns, rows=rows[:MAX_ROWS], truncated=truncated)


def _connect(path: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": _MEMORY_LIMIT,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        }
    )
    connection.execute(f"SET allowed_paths = ['{path}']")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    text = value.hex() if isinstance(value, bytes | bytearray | memoryview) else str(value)
    return text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"
