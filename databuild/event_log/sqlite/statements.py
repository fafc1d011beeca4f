"""SQL statements that write many rows at once.

`sqlite3` releases the global interpreter lock during each statement, and waits to get it back. With one statement for
each row, these waits would cost more than the SQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

_CHUNKS: Final = (64, 8, 1)
"""The numbers of rows of one statement: only three, so that SQLite keeps all of them prepared."""


class ManyRows:
    """A statement with a `VALUES` list for any number of rows."""

    def __init__(self, before: str, columns: int, after: str = "") -> None:
        """Prepares the texts.

        Args:
            before: The text before the list.
            columns: The number of values in a row.
            after: The text after the list.
        """
        row = f"({', '.join('?' * columns)})"
        self._statements = {count: f"{before} VALUES {', '.join([row] * count)} {after}" for count in _CHUNKS}

    def execute(self, connection: sqlite3.Connection, rows: Sequence[Iterable[Any]]) -> int:
        """Runs the statement for all rows, in their order. Returns the row id of the last one if it inserts rows."""
        done = 0
        last = 0
        for count in _CHUNKS:
            while len(rows) - done >= count:
                values = tuple(chain.from_iterable(rows[done : done + count]))
                last = connection.execute(self._statements[count], values).lastrowid or 0
                done += count
        return last
