"""SQL statements that take many rows at once, as one parameter of JSON.

One statement for many rows is planned once and waited for once, and JSON is what the interpreter writes fastest. Each
statement is kept prepared by the session.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg


class ManyRows:
    """A statement that reads its rows from `new`."""

    def __init__(self, columns: Mapping[str, str], statement: str) -> None:
        """Takes the columns of `new` with their types, and the statement in which `{new}` stands for it."""
        self._names = tuple(columns)
        types = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        self._statement = statement.format(new=f"json_to_recordset(%s) AS new ({types})").encode()

    def execute(self, connection: psycopg.Connection[Any], rows: Sequence[Sequence[Any]]) -> None:
        """Runs the statement for all rows, if there are any."""
        if rows:
            connection.execute(self._statement, (as_json([dict(zip(self._names, row, strict=True)) for row in rows]),))


_NUL: Final = "\\u0000"


def as_json(value: Any) -> str:
    """Returns a value as JSON, with U+FFFD for the one character that PostgreSQL cannot keep, U+0000."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(_without_nul(value), ensure_ascii=False, separators=(",", ":")) if _NUL in text else text


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {key: _without_nul(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_nul(one) for one in value]
    return value
