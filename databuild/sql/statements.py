"""Checks of SQL before it runs: one SELECT, of known views, without parameters."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

from databuild.sql.errors import SqlError
from databuild.sql.query import Statement

_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)
_NO_LOCATION = 2**64 - 1


def parse_select(text: str, origin: str, database: duckdb.DuckDBPyConnection) -> Statement:
    """Parses one SELECT, which comments may surround and semicolons may follow.

    Args:
        text: The SQL.
        origin: The name of the text.
        database: Any connection.

    Raises:
        SqlError: The text is anything else.
    """
    name = Statement(origin, text).name
    try:
        statements = database.extract_statements(text)
    except duckdb.Error as error:
        raise SqlError(located(name, error)) from error
    if len(statements) != 1:
        amount = f"has {len(statements)} statements" if statements else "has no statement"
        raise SqlError(f"{name} {amount}; write one SELECT, whose WITH clause may contain others")
    (statement,) = statements
    if statement.type == duckdb.StatementType.MULTI:  # type: ignore[attr-defined,unused-ignore]
        raise SqlError(f"{name} has a PIVOT without a list of values; write PIVOT ... ON column IN (...)")
    if statement.type != duckdb.StatementType.SELECT:  # type: ignore[attr-defined,unused-ignore]
        kind = str(statement.type).rpartition(".")[2].replace("_", " ")
        raise SqlError(f"{name} has a statement of the kind {kind}; write one SELECT. DataBuild stores its result")
    if statement.named_parameters:
        raise SqlError(
            f"{name} has the parameter {min(statement.named_parameters)!r}, which has no value. Fields of the output "
            "are variables: write getvariable('field')"
        )
    return Statement(origin, _without_end(text))


def _without_end(text: str) -> str:
    """Returns a statement without the semicolons and comments behind it."""
    encoded = text.encode()
    for offset, kind in reversed(duckdb.tokenize(text)):
        if encoded[offset : offset + 1] == b";":
            encoded = encoded[:offset]
        elif kind != duckdb.token_type.comment:  # type: ignore[attr-defined,unused-ignore]
            break
    return encoded.decode().rstrip()


def check_tables(statement: Statement, views: Iterable[str], database: duckdb.DuckDBPyConnection) -> None:
    """Checks that a SELECT reads only views that it has, tables of DuckDB, and files.

    Raises:
        SqlError: It reads an unknown table.
    """
    lower_names = {view.lower() for view in views}
    for name, location in _tables(statement, database):
        if name.lower() not in lower_names and not _is_internal(name, database):
            near = difflib.get_close_matches(name, list(views), n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise SqlError(
                f"{_at(statement, location)}: there is no view {name!r}. {hint}The views are: "
                f"{', '.join(sorted(views)) or 'none'}. Inputs and srcs of the job are views"
            )


def check_variables(statement: Statement, fields: Iterable[str], database: duckdb.DuckDBPyConnection) -> None:
    """Checks that a SELECT reads only variables that it has. For DuckDB, an unknown one would be NULL.

    Raises:
        SqlError: It reads an unknown variable.
    """
    names = list(fields)
    lower_names = {name.lower() for name in names}
    for node in _nodes(_tree(statement, database)):
        if node.get("function_name") != "getvariable":
            continue
        for argument in node.get("arguments", ()):
            variable = argument["expression"].get("literal", {}).get("text")
            if variable is not None and variable.lower() not in lower_names:
                raise SqlError(
                    f"{_at(statement, node['query_location'])}: there is no variable {variable!r}. The variables are "
                    f"the fields of the output: {', '.join(names) or 'none'}"
                )


def tables(statement: Statement, database: duckdb.DuckDBPyConnection) -> set[str]:
    """Returns the names of tables that a SELECT reads, in lower case, without those of its WITH clauses."""
    return {name.lower() for name, _ in _tables(statement, database)}


def _tables(statement: Statement, database: duckdb.DuckDBPyConnection) -> list[tuple[str, int]]:
    """Returns name and location of each unqualified table that is not defined by a WITH clause or a path of a file."""
    nodes = list(_nodes(_tree(statement, database)))
    defined = {entry["key"].lower() for node in nodes for entry in node.get("cte_map", {}).get("map", ())}
    return [
        (node["table_name"], node.get("query_location", _NO_LOCATION))
        for node in nodes
        if node.get("type") == "BASE_TABLE"
        and not node.get("schema_name")
        and node["table_name"].lower() not in defined
        and not set("./") & set(node["table_name"])
    ]


def _tree(statement: Statement, database: duckdb.DuckDBPyConnection) -> Any:
    """Returns the syntax tree of a SELECT as parsed JSON."""
    row = database.execute("SELECT json_serialize_sql(?)", [statement.text]).fetchone()
    assert row is not None
    return json.loads(row[0])


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yields all objects in parsed JSON, outer ones first."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            pending += reversed(node.values())
        elif isinstance(node, list):
            pending += reversed(node)


def _is_internal(name: str, database: duckdb.DuckDBPyConnection) -> bool:
    return bool(database.execute("SELECT 1 FROM duckdb_views() WHERE lower(view_name) = lower(?)", [name]).fetchall())


def _at(statement: Statement, location: int) -> str:
    if location >= _NO_LOCATION:
        return statement.name
    line = statement.text.encode()[:location].count(b"\n") + 1
    return f"{statement.name}:{line}"


def located(name: str, error: duckdb.Error, lines_before: int = 0, surroundings: str = "") -> str:
    """Returns the message of DuckDB with the name of the SQL and the line.

    The first line of the message is the last one of the text: of a long message, a build shows the end.

    Args:
        name: The name of the SQL.
        error: The error.
        lines_before: The number of lines before the SQL in the statement that was run.
        surroundings: The names that the SQL can use, for the message.
    """
    message = _LINE.sub(lambda line: f"LINE {int(line[1]) - lines_before}:", str(error)).strip()
    first, _, details = message.partition("\n")
    line = _LINE.search(message)
    summary = f"{name}{':' + line[1] if line else ''}: {first}"
    return "\n".join(filter(None, (details.strip("\n"), surroundings, summary)))
