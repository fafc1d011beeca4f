"""Runs a query over its views: the result, its checks, and messages with what the query could have used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import duckdb

from databuild.sql.database import connect, literal, quoted
from databuild.sql.errors import SqlError
from databuild.sql.query import Check, Query, Statement
from databuild.sql.statements import located, tables
from databuild.sql.views import DataFile, create_view, describe, sql_type

RESULT = "result"
"""The name of the view of the result in checks."""


class CheckOutcome(NamedTuple):
    """The outcome of a check."""

    check: Check
    passed: bool


class Execution:
    """A query with its variables and views, in a database of its own.

    Args:
        query: The query.
        fields: The fields of the output, which are variables.
        files: The files of each view.

    Raises:
        SqlError: A view cannot be created.
    """

    def __init__(self, query: Query, fields: Mapping[str, Any], files: Mapping[str, Sequence[DataFile]]) -> None:
        self._query = query
        self._fields = fields
        self._views: list[str] = []
        self._database = connect(query.threads, query.memory_limit)
        for name, value in fields.items():
            self._set_variable(name, value)
        for view in query.views:
            columns = query.columns.get(view, {})
            if files.get(view) or columns:
                create_view(self._database, view, files.get(view, ()), columns)
                self._views.append(view)

    def _set_variable(self, name: str, value: Any) -> None:
        try:
            self._database.execute(f"SET VARIABLE {quoted(name)} = CAST(? AS {sql_type(value)})", [value])
        except duckdb.Error as error:
            raise SqlError(f"the field {name} has the value {value}, which DuckDB does not accept: {error}") from error

    def write_result(self, path: str) -> int:
        """Writes the result as Parquet and returns the number of rows. Afterwards, it is the view `result`.

        Columns of the types HUGEINT and UHUGEINT become BIGINT: sums of integers have these types, and DuckDB would
        write them as floating-point numbers, since Parquet has no integers as large.

        Raises:
            SqlError: The query fails.
        """
        select = self._query.select
        described = self._run("DESCRIBE SELECT * FROM (\n", select, "\n)")
        large = [quoted(column) for column, kind, *_ in described if kind in {"HUGEINT", "UHUGEINT"}]
        replaced = ", ".join(f"CAST({column} AS BIGINT) AS {column}" for column in large)
        columns = f"* REPLACE ({replaced})" if large else "*"
        after = f"\n)) TO {literal(path)} (FORMAT PARQUET, COMPRESSION ZSTD)"
        (rows,) = self._run(f"COPY (SELECT {columns} FROM (\n", select, after)
        create_view(self._database, RESULT, [DataFile(path, {})], {})
        return int(rows[0])

    def check(self) -> list[CheckOutcome]:
        """Runs the checks over the result.

        Raises:
            SqlError: A check fails to run, or its result is neither true nor false.
        """
        return [CheckOutcome(check, self._is_true(check)) for check in self._query.checks]

    def result(self) -> tuple[list[str], list[str], list[tuple[str | None, ...]]]:
        """Returns names and types of the columns, and the rows as texts."""
        described = self._database.execute(f"DESCRIBE {RESULT}").fetchall()
        rows = self._database.execute(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM {RESULT}").fetchall()
        return [column for column, *_ in described], [kind for _, kind, *_ in described], rows

    @property
    def database(self) -> duckdb.DuckDBPyConnection:
        """The database, with all views."""
        return self._database

    def close(self) -> None:
        self._database.close()

    def _is_true(self, check: Check) -> bool:
        rows = self._run("", check.statement, "")
        value = rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else rows
        if not isinstance(value, bool):
            result = f"{value!r}" if value is not rows else f"{len(rows)} rows of {len(rows[0]) if rows else 0} columns"
            raise SqlError(f"{check.statement.name} returns {result}; a check is a SELECT of one value, true or false")
        return value

    def _run(self, before: str, statement: Statement, after: str) -> list[tuple[Any, ...]]:
        read = tables(statement, self._database)
        empty = [view for view in self._query.views if view not in self._views and view.lower() in read]
        if empty:
            raise SqlError(
                f"{statement.name}: the view {empty[0]} has no inputs in this run, so its columns are unknown. To "
                f'make it an empty view, declare them: columns = {{"{empty[0]}": {{"NAME": "TYPE"}}}}'
            )
        try:
            return self._database.execute(before + statement.text + after).fetchall()
        except duckdb.Error as error:
            raise SqlError(located(statement.name, error, before.count("\n"), self._surroundings())) from error

    def _surroundings(self) -> str:
        variables = ", ".join(f"{name} {sql_type(value)}" for name, value in self._fields.items())
        return f"Views: {describe(self._database, self._views)}\nVariables: {variables or 'none'}"
