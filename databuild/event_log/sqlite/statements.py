"""SQL statements that take many rows at once.

The interpreter lets other threads run while SQLite runs a statement, and then has to wait for its turn again: a
statement for each row would cost more in turns than in SQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

_CHUNKS: Final = (64, 8, 1)
"""How many rows one statement takes: few sizes, so that SQLite keeps all of them prepared."""


class ManyRows:
    """A statement with a `VALUES` list that is as long as there are rows."""

    def __init__(self, before: str, columns: int, after: str = "") -> None:
        """Takes the text before and after the list, and how many columns a row has."""
        row = f"({', '.join('?' * columns)})"
        self._statements = {count: f"{before} VALUES {', '.join([row] * count)} {after}" for count in _CHUNKS}

    def execute(self, connection: sqlite3.Connection, rows: Sequence[Iterable[Any]]) -> None:
        """Runs the statement for all rows, in their order."""
        done = 0
        for count in _CHUNKS:
            while len(rows) - done >= count:
                connection.execute(self._statements[count], tuple(chain.from_iterable(rows[done : done + count])))
                done += count
