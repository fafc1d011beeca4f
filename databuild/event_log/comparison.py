"""How the rows of a table differ from what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from databuild.event_log.reads import TableReads
from databuild.event_log.tables import Table
from databuild.model.paging import read_rows
from databuild.model.views import Difference

Row = tuple[Any, ...]


def pages(reader: TableReads, table: Table) -> Iterator[Row]:
    """Yields all rows of a table, by key."""
    start: Row = ()
    return read_rows(
        lambda after, limit: reader.rows(table, after=after, limit=limit),
        key=lambda row: row[: table.keys],
        start=start,
    )


def differences(table: Table, right: TableReads, found: TableReads) -> Iterator[Difference]:
    """Yields what is missing, what is too much and what differs, by key.

    Args:
        table: The table.
        right: Reads it as it should be.
        found: Reads it as it is.
    """
    rights, founds = pages(right, table), pages(found, table)
    expected, row = next(rights, None), next(founds, None)
    while expected is not None or row is not None:
        if row is None or (expected is not None and _key(table, expected) < _key(table, row)):
            assert expected is not None
            yield Difference(_build(table, expected), f"{_name(table, expected)} is missing")
            expected = next(rights, None)
        elif expected is None or _key(table, row) < _key(table, expected):
            yield Difference(_build(table, row), f"{_name(table, row)} is there, and no event tells of it")
            row = next(founds, None)
        else:
            for column, should, value in zip(table.columns, expected, row, strict=True):
                if value != should and value != _kept(should):
                    message = f"{_name(table, row)} has {value!r} as {column}, and the events say {should!r}"
                    yield Difference(_build(table, expected), message)
            expected, row = next(rights, None), next(founds, None)


def _kept(value: Any) -> Any:
    """Returns a value as a database keeps it that cannot keep U+0000."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _key(table: Table, row: Row) -> Row:
    return row[: table.keys]


def _name(table: Table, row: Row) -> str:
    return f"{table.name} {' '.join(repr(part) for part in _key(table, row))}"


def _build(table: Table, row: Row) -> str:
    return str(row[table.columns.index("build_request_id")]) if "build_request_id" in table.columns else ""
