"""Keeps the index of uses in SQLite up to date: the current data that was made from an input.

Used inside a transaction of the writer. The rows follow from `partitions` and `job_runs`; `schema_2.sql` says how.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from databuild.event_log.projection import PartitionChange
from databuild.event_log.sqlite.connection import QUERIES


class UseIndex:
    """The changes of the index that new data of partitions requires: create it before the partitions change."""

    def __init__(self, connection: sqlite3.Connection, partitions: Mapping[str, PartitionChange]) -> None:
        """Adds the uses of job runs that have no partitions yet, and finds the job runs whose data is replaced.

        Args:
            connection: The connection.
            partitions: The changes of partitions, by ref.
        """
        self._connection = connection
        produced = {ref: change.data for ref, change in partitions.items() if change.data is not None}
        self._produced = list(produced)
        self._adopted = [ref for ref, (_, _, _, adoption, _) in produced.items() if adoption]
        self._replaced: list[str] = []
        if not produced:
            return
        # Found now: after the change, the rows of the partitions name the new runs.
        self._replaced = [run for (run,) in self._execute("replaced_runs", self._produced)]
        if runs := sorted({run for _, run, _, _, _ in produced.values() if run}):
            self._execute("new_uses_of_runs", runs)

    def update(self) -> None:
        """Removes the uses of replaced data, and adds those of adopted data; call it after the partitions changed."""
        if self._replaced:
            self._execute("remove_uses_of_runs", self._replaced)
        if self._produced:
            self._execute("remove_uses_of_outputs", self._produced)
        if self._adopted:
            self._execute("new_uses_of_outputs", self._adopted)

    def _execute(self, query: str, keys: list[str]) -> list[Any]:
        return self._connection.execute(QUERIES[query], {"keys": json.dumps(keys)}).fetchall()
