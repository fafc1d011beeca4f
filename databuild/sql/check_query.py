"""The build action of a SQL job: check_query.py DESCRIPTION SQL_FILE QUERY_FILE.

It checks the SQL and writes the query that the job reads. DESCRIPTION is JSON from the rule: the fields of Query, with
the path of the SQL file as `select`, as `checks` texts by name, by severity, and as `columns` pairs of name and type;
and the names of the `fields` of the output.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from databuild.sql.database import connect
from databuild.sql.errors import SqlError
from databuild.sql.execution import RESULT
from databuild.sql.query import Check, Query, to_json
from databuild.sql.statements import check_tables, check_variables, parse_select
from databuild.sql.views import reader

_FAILED = 1


def checked_query(description: Mapping[str, Any], sql: str) -> Query:
    """Returns the query of a description.

    Args:
        description: The description.
        sql: The content of the SQL file.

    Raises:
        SqlError: The SQL or an attribute is invalid.
    """
    database = connect(description["threads"], description["memory_limit"])
    views = [*description["datasets"], *description["sources"]]
    select = parse_select(sql, description["select"], database)
    check_tables(select, views, database)
    check_variables(select, description["fields"], database)
    checks = []
    for severity in ("error", "warning"):
        for name, text in description["checks"][severity].items():
            statement = parse_select(text, f"the check {name}", database)
            check_tables(statement, [*views, RESULT], database)
            check_variables(statement, description["fields"], database)
            checks.append(Check(name, statement, severity))
    columns = {view: dict(pairs) for view, pairs in description["columns"].items()}
    for view, types in columns.items():
        for column, kind in types.items():
            _check_type(f"columns: {view}.{column}", kind, database)
    for paths in description["sources"].values():
        for path in paths:
            reader(path)
    attributes = {name: value for name, value in description.items() if name != "fields"}
    return Query(**{**attributes, "select": select, "checks": checks, "columns": columns})


def _check_type(origin: str, kind: str, database: duckdb.DuckDBPyConnection) -> None:
    try:
        statement = parse_select(f"SELECT CAST(NULL AS {kind})", origin, database)
        columns = database.execute(statement.text).description
    except (SqlError, duckdb.Error) as error:
        raise SqlError(f"{origin} has the type {kind!r}, which DuckDB does not accept: {error}") from error
    if len(columns) != 1:
        raise SqlError(f"{origin} has the type {kind!r}, which is more than a type")


def main(arguments: Sequence[str]) -> int:
    """Runs the action and returns the exit code."""
    description, sql_file, query_file = arguments
    try:
        with open(sql_file, encoding="utf-8-sig") as file:  # noqa: PTH123
            query = checked_query(json.loads(description), file.read())
    except UnicodeDecodeError as error:
        sys.stderr.write(f"{sql_file} is not UTF-8: {error}\n")
        return _FAILED
    except SqlError as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED
    with open(query_file, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(to_json(query))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
