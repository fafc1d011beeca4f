"""Row-by-row comparison of a table in two event logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from databuild.event_log.reads import TableReads
from databuild.event_log.tables import Table
from databuild.model.paging import read_rows
from databuild.model.views import LogFault

Row = tuple[Any, ...]


def pages(reader: TableReads, table: Table) -> Iterator[Row]:
    """Yields all rows of a table, by key."""
    start: Row = ()
    return read_rows(
        lambda after, limit: reader.rows(table, after=after, limit=limit),
        key=lambda row: row[: table.key_length],
        start=start,
    )


def differences(table: Table, expected: TableReads, actual: TableReads) -> Iterator[LogFault]:
    """Yields missing rows, surplus rows and different values, by key. Both logs are read once, page by page.

    Args:
        table: The table.
        expected: Reads the table as it should be.
        actual: Reads the table as it is.
    """
    expected_rows, actual_rows = pages(expected, table), pages(actual, table)
    right, row = next(expected_rows, None), next(actual_rows, None)
    while right is not None or row is not None:
        if row is None or (right is not None and _key(table, right) < _key(table, row)):
            assert right is not None
            yield LogFault(_build(table, right), f"{_name(table, right)} is missing")
            right = next(expected_rows, None)
        elif right is None or _key(table, row) < _key(table, right):
            yield LogFault(_build(table, row), f"{_name(table, row)} exists without an event")
            row = next(actual_rows, None)
        else:
            for column, right_value, value in zip(table.columns, right, row, strict=True):
                if value != right_value and value != _without_nul(right_value):
                    message = f"{_name(table, row)} has {value!r} as {column}, and the events say {right_value!r}"
                    yield LogFault(_build(table, right), message)
            right, row = next(expected_rows, None), next(actual_rows, None)


def _without_nul(value: Any) -> Any:
    """Returns a value as PostgreSQL stores it, which has no U+0000 in text."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _key(table: Table, row: Row) -> Row:
    return row[: table.key_length]


def _name(table: Table, row: Row) -> str:
    return f"{table.name} {' '.join(repr(part) for part in _key(table, row))}"


def _build(table: Table, row: Row) -> str:
    return str(row[table.columns.index("build_request_id")]) if "build_request_id" in table.columns else ""
