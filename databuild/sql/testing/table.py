"""Tables as texts: how they are read from CSV, compared, and written."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import duckdb

from databuild.sql.database import literal, quoted
from databuild.sql.errors import SqlError

Row = tuple[str | None, ...]
_MAX_LINES = 50


class Table(NamedTuple):
    """Columns, their types, and rows with values as texts."""

    columns: Sequence[str]
    types: Sequence[str]
    rows: Sequence[Row]


def read_expected(database: duckdb.DuckDBPyConnection, path: str, result: Table) -> Table:
    """Reads a CSV file with the types of a result, so that `1.50` and `1.5` are the same number.

    An empty value is NULL, and two quotes are an empty text.

    Raises:
        SqlError: The file has other columns, or a value that is not of the type of its column.
    """
    rows = (
        f"FROM read_csv({literal(path)}, header = true, all_varchar = true, allow_quoted_nulls = false, "
        "delim = ',', quote = '\"', escape = '\"', comment = '')"
    )
    try:
        columns = [column for column, *_ in database.execute(f"DESCRIBE {rows}").fetchall()]
    except duckdb.Error as error:
        raise SqlError(f"{path} cannot be read: {error}") from error
    if columns != list(result.columns):
        raise SqlError(
            f"{path} has the columns {', '.join(columns)}, but the result has {', '.join(result.columns)}. Their order "
            "counts"
        )
    values = ", ".join(
        f"CAST(CAST({quoted(column)} AS {kind}) AS VARCHAR)" for column, kind in zip(columns, result.types, strict=True)
    )
    try:
        return Table(columns, result.types, database.execute(f"SELECT {values} {rows}").fetchall())
    except duckdb.Error as error:
        types = ", ".join(f"{column} {kind}" for column, kind in zip(columns, result.types, strict=True))
        raise SqlError(f"{path} has a value of another type than the result, which has {types}: {error}") from error


def differences(expected: Table, result: Table, *, ordered: bool) -> list[str]:
    """Describes how a result differs from an expected one with the same columns; empty if it does not.

    Args:
        expected: The expected result.
        result: The result.
        ordered: True to compare the order of rows.
    """
    before, after = list(expected.rows), list(result.rows)
    if not ordered:
        common = Counter(before) & Counter(after)
        before, after = sorted(_without(before, common), key=_key), sorted(_without(after, common), key=_key)
    if before == after:
        return []
    compared = difflib.ndiff([_line(row) for row in before], [_line(row) for row in after])
    lines = [line for line in compared if ordered or line[0] in "+-"]
    lines = [line for line in lines if line[0] != "?"]
    hidden = len(lines) - _MAX_LINES
    more = [f"... and {hidden:,} more lines"] if hidden > 0 else []
    heading = f"the result differs in {'rows or their order' if ordered else 'rows'} (- expected, + result):"
    return ["\n".join([heading, f"  {_line(tuple(result.columns))}", *lines[:_MAX_LINES], *more])]


def to_csv(table: Table, *, ordered: bool) -> str:
    """Returns a table as CSV with a header, in the form that `read_expected` reads.

    Args:
        table: The table.
        ordered: True to keep the order of rows, which are sorted otherwise.
    """
    rows = table.rows if ordered else sorted(table.rows, key=_key)
    return "".join(f"{_line(row)}\n" for row in [tuple(table.columns), *rows])


def _without(rows: Iterable[Row], removed: Counter[Row]) -> list[Row]:
    left = Counter(removed)
    kept = []
    for row in rows:
        if left[row] > 0:
            left[row] -= 1
        else:
            kept.append(row)
    return kept


def _key(row: Row) -> tuple[tuple[bool, str], ...]:
    return tuple((value is not None, value or "") for value in row)


def _line(row: Row) -> str:
    return ",".join(map(_value, row))


def _value(text: str | None) -> str:
    if text is None:
        return ""
    if text == "" or set(',"\r\n') & set(text) or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text
