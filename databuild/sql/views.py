"""Views over data files: the inputs and the source files of a query."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import duckdb

from databuild.sql.database import literal, quoted
from databuild.sql.errors import SqlError

_PATH = "__databuild_path"
_PARQUET = "read_parquet"
_CSV = "read_csv"
_JSON = "read_json"
_READERS = {
    ".csv": _CSV,
    ".csv.gz": _CSV,
    ".json": _JSON,
    ".json.gz": _JSON,
    ".jsonl": _JSON,
    ".jsonl.gz": _JSON,
    ".ndjson": _JSON,
    ".ndjson.gz": _JSON,
    ".parquet": _PARQUET,
    ".tsv": _CSV,
    ".tsv.gz": _CSV,
}
"""The function of DuckDB that reads a format, by the extension of the file."""

# The fields of refs are columns, so those in paths are not.
_OPTIONS = f"union_by_name = true, hive_partitioning = false, filename = '{_PATH}'"

_GLOB_CHARACTERS = str.maketrans({character: f"[{character}]" for character in "*?["})


class DataFile(NamedTuple):
    """One file of a view.

    Attributes:
        fields: The values that all rows of the file have in columns of these names, unless the view has such columns.
    """

    path: str
    fields: Mapping[str, Any]


def reader(path: str) -> str:
    """Returns the function of DuckDB that reads a file.

    Raises:
        SqlError: The extension of the file names no format.
    """
    name = os.path.basename(path).lower()  # noqa: PTH119 - a text
    for extension, function in _READERS.items():
        if name.endswith(extension):
            return function
    raise SqlError(f"{path!r} has no known format; the extensions are {', '.join(_READERS)}")


def create_view(
    database: duckdb.DuckDBPyConnection, name: str, files: Sequence[DataFile], columns: Mapping[str, str]
) -> None:
    """Creates a view over files. Columns that a file lacks are NULL.

    Args:
        database: The database.
        name: The name of the view.
        files: The files. Without any, the view needs columns.
        columns: The types of its columns, by name. If there are none, the view has the columns of the files, and those
            of their fields.

    Raises:
        SqlError: A file cannot be read, or no file has a declared column.
    """
    try:
        rows, present = _rows(database, name, files, bool(columns)) if files else ("", list(columns))
    except duckdb.Error as error:
        raise SqlError(f"the files of the view {name} cannot be read, the first is {files[0].path}: {error}") from error
    if columns:
        lower_names = {column.lower() for column in present}
        missing = [column for column in columns if column.lower() not in lower_names]
        if missing:
            raise SqlError(
                f"the view {name} has no column {missing[0]!r}, which `columns` of the job declares; its files have: "
                f"{', '.join(present)}"
            )
        values = "CAST({} AS {}) AS {}" if files else "CAST(NULL AS {1}) AS {2}"
        selected = ", ".join(values.format(quoted(column), kind, quoted(column)) for column, kind in columns.items())
        rows = f"SELECT {selected} FROM ({rows})" if files else f"SELECT {selected} WHERE false"
    database.execute(f"CREATE TEMP VIEW {quoted(name)} AS {rows}")


def describe(database: duckdb.DuckDBPyConnection, views: Iterable[str]) -> str:
    """Returns names and columns of views for messages."""
    texts = []
    for view in views:
        rows = database.execute(f"DESCRIBE {quoted(view)}").fetchall()
        texts.append(f"{view} ({', '.join(f'{column} {kind}' for column, kind, *_ in rows)})")
    return ", ".join(texts) or "none"


def _rows(
    database: duckdb.DuckDBPyConnection, name: str, files: Sequence[DataFile], typed: bool
) -> tuple[str, list[str]]:
    """Returns a SELECT of the rows of files, with columns for their fields, and the names of its columns."""
    paths: dict[str, list[str]] = {}
    for file in files:
        paths.setdefault(reader(file.path), []).append(file.path)
    rows = " UNION ALL BY NAME ".join(
        f"SELECT * FROM {function}({_path_list(some)}, {_OPTIONS}{_csv_options(typed) if function == _CSV else ''})"
        for function, some in paths.items()
    )
    described = database.execute(f"DESCRIBE {rows}").fetchall()
    columns = [column for column, *_ in described if column != _PATH]
    lower_names = {column.lower() for column in columns}
    fields = list(dict.fromkeys(field for file in files for field in file.fields if field.lower() not in lower_names))
    if not fields:
        return f"SELECT * EXCLUDE ({_PATH}) FROM ({rows})", columns
    table = quoted(f"__databuild_fields_{name}")
    _create_table_of_fields(database, table, fields, files)
    added = ", ".join(f"fields.{quoted(field)}" for field in fields)
    joined = (
        f"SELECT data.* EXCLUDE ({_PATH}), {added} FROM ({rows}) AS data "
        f"JOIN {table} AS fields ON data.{_PATH} = fields.{_PATH}"
    )
    return joined, columns + fields


def _csv_options(typed: bool) -> str:
    # Values that become declared types must not become detected types before: `007` is a text. No line is a comment,
    # although DuckDB detects comments: a row may begin with `#`.
    return ", header = true, comment = ''" + (", all_varchar = true" if typed else "")


def _path_list(paths: Sequence[str]) -> str:
    return "[" + ", ".join(literal(path.translate(_GLOB_CHARACTERS)) for path in paths) + "]"


def _create_table_of_fields(
    database: duckdb.DuckDBPyConnection, table: str, fields: Sequence[str], files: Sequence[DataFile]
) -> None:
    lists: list[list[Any]] = [
        [file.path for file in files],
        *([file.fields.get(field) for file in files] for field in fields),
    ]
    kinds = ["VARCHAR", *(_common_type(values) for values in lists[1:])]
    columns = [_PATH, *map(quoted, fields)]
    selected = ", ".join(
        f"unnest(CAST(? AS {kind}[])) AS {column}" for kind, column in zip(kinds, columns, strict=True)
    )
    texts = [
        [None if value is None else str(value) for value in values] if kind == "VARCHAR" else values
        for kind, values in zip(kinds, lists, strict=True)
    ]
    database.execute(f"CREATE TEMP TABLE {table} AS SELECT {selected}", texts)


def _common_type(values: Iterable[Any]) -> str:
    """Returns the type of a column with the values of a field; VARCHAR if jobs have different types for it."""
    kinds = {sql_type(value) for value in values if value is not None}
    if kinds == {"BIGINT", "HUGEINT"}:
        return "HUGEINT"
    return kinds.pop() if len(kinds) == 1 else "VARCHAR"


def sql_type(value: Any) -> str:
    """Returns the type in SQL of the value of a field."""
    if isinstance(value, dt.datetime):
        return "TIMESTAMP"
    if isinstance(value, dt.date):
        return "DATE"
    if isinstance(value, int):
        return "BIGINT" if -(2**63) <= value < 2**63 else "HUGEINT"
    return "VARCHAR"
