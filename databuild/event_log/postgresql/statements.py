"""SQL statements that write many rows at once, given as one parameter of JSON.

One statement for many rows is planned once and takes one trip to the server, and JSON is the format that Python encodes
fastest. The session keeps each statement prepared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg


class ManyRows:
    """A statement that reads its rows from `new`."""

    def __init__(self, columns: Mapping[str, str], statement: str) -> None:
        """Prepares the text.

        Args:
            columns: The types of the columns of `new`, by name.
            statement: The statement, in which `{new}` stands for the rows.
        """
        self._names = tuple(columns)
        types = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        self._statement = statement.format(new=f"json_to_recordset(%s) AS new ({types})").encode()

    def execute(self, connection: psycopg.Connection[Any], rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            connection.execute(self._statement, (as_json([dict(zip(self._names, row, strict=True)) for row in rows]),))


_NUL: Final = "\\u0000"


def as_json(value: Any) -> str:
    """Returns a value as JSON, with U+FFFD for U+0000, the only character that PostgreSQL cannot store."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(_without_nul(value), ensure_ascii=False, separators=(",", ":")) if _NUL in text else text


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {key: _without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value
