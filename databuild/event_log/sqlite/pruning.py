"""Prunes builds in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from databuild.event_log import pruning
from databuild.event_log.sqlite.connection import QUERIES, connect_for_writing, fault
from databuild.model import statuses

_NO_LOCK = nullcontext()
_PAGES: Final = 250
"""How many pages of the file one transaction gives back."""


class SqlitePruner:
    """Fits `Pruner` and, with one connection, `Rows`."""

    def __init__(self, path: str, *, lock: AbstractContextManager[object] = _NO_LOCK) -> None:
        """Opens the file, as `connect_for_writing` says.

        Args:
            path: The file.
            lock: Held during each transaction.
        """
        self._path = path
        self._lock = lock
        self._connection = connect_for_writing(path)

    def prune(self, build_request_ids: Collection[str], time: float) -> None:
        """Prunes builds, as `Pruner.prune` says."""
        pruning.prune(self, build_request_ids, time)

    def go_on(self) -> None:
        """Removes what is needed no more, as `Pruner.go_on` says."""
        pruning.go_on(self)

    def give_back(self) -> int:
        """Gives unused room at the end of the file back to the disk, and returns how many bytes that is."""
        (size,) = self._execute("PRAGMA page_size")[0]
        before = unused = self._unused()
        while unused:
            self._execute(f"PRAGMA incremental_vacuum({_PAGES})")
            still = self._unused()
            if still >= unused:
                break  # a file from before room could be given back, or others are quicker to use it
            unused = still
        self._execute("PRAGMA wal_checkpoint(PASSIVE)")
        return max(before - unused, 0) * int(size)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def partitions(self, build_request_id: str, after: str, limit: int) -> Sequence[tuple[str, bool]]:
        """Returns partitions of a build, as `Rows` says."""
        return self._query("prunable_partitions", build_request_id=build_request_id, after=after, limit=limit)

    def needless_runs(self, build_request_id: str, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Returns job runs that nothing comes from, as `Rows` says."""
        return self._query("needless_runs", build_request_id=build_request_id, after=after, limit=limit)

    def unfinished(self, after: str, limit: int) -> Sequence[str]:
        """Returns pruned builds that have more than one row."""
        return [build for (build,) in self._query("unfinished_prunings", after=after, limit=limit)]

    def keep(self, refs: Sequence[str]) -> None:
        """Keeps what is known of partitions now."""
        self._query("keep_partitions", keys=json.dumps(refs))

    def mark(self, build_request_ids: Sequence[str], time: float) -> None:
        """Marks builds as pruned."""
        ended = json.dumps(sorted(statuses.BUILD.ended))
        self._query("mark_pruned", time=time, keys=json.dumps(build_request_ids), ended=ended)

    def marked(self, build_request_ids: Sequence[str]) -> Sequence[str]:
        """Returns those of these builds that are marked."""
        return [build for (build,) in self._query("pruned_builds", keys=json.dumps(build_request_ids))]

    def remove_events(self, build_request_ids: Sequence[str], limit: int) -> int:
        """Removes events of builds, and returns how many."""
        before = self._connection.total_changes
        self._query("remove_events", keys=json.dumps(build_request_ids), limit=limit)
        return self._connection.total_changes - before

    def remove_partitions(self, keys: Sequence[tuple[str, str]]) -> None:
        """Removes rows of partitions within builds."""
        self._query("remove_partitions", keys=json.dumps(keys))

    def remove_runs(self, job_run_ids: Sequence[str]) -> None:
        """Removes job runs."""
        self._query("remove_runs", keys=json.dumps(job_run_ids))

    def settle(self, build_request_ids: Sequence[str]) -> None:
        """Takes note of which builds have more than one row left."""
        self._query("settle_pruned", keys=json.dumps(build_request_ids))

    def _unused(self) -> int:
        return int(self._execute("PRAGMA freelist_count")[0][0])

    def _query(self, name: str, **values: Any) -> list[Any]:
        return self._execute(QUERIES[name], values)

    def _execute(self, statement: str, values: Any = ()) -> list[Any]:
        """Runs one statement, which is a transaction."""
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise fault(error, self._path) from error
