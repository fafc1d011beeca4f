"""Prunes builds in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from databuild.event_log import pruning
from databuild.event_log.sqlite.connection import connect_for_writing, fault
from databuild.event_log.sqlite.snapshots import COLUMNS
from databuild.model.lifecycle import BUILD_ENDS, build_status_name

_NO_LOCK = nullcontext()
_PAGES: Final = 250
"""How many pages of the file one transaction gives back."""

_AMONG: Final = "IN (SELECT value FROM json_each(?))"
_PARTITIONS: Final = """
SELECT b.ref, coalesce(b.job_run_id <> '' AND p.job_run_id = b.job_run_id, FALSE)
FROM build_partitions b LEFT JOIN partitions p ON p.ref = b.ref
WHERE b.build_request_id = ? AND b.ref > ? ORDER BY b.ref LIMIT ?
"""
_NEEDLESS_RUNS: Final = """
SELECT number, job_run_id FROM job_runs WHERE build_request_id = :build AND number > :after AND job_run_id NOT IN (
  SELECT job_run_id FROM build_partitions WHERE build_request_id = :build
) ORDER BY number LIMIT :limit
"""
_UNFINISHED: Final = """
SELECT build_request_id FROM builds WHERE pruned_time > 0 AND rows_left AND build_request_id > ?
ORDER BY build_request_id LIMIT ?
"""
_KEEP: Final = f"""
INSERT OR REPLACE INTO partition_snapshots ({COLUMNS}, position)
SELECT {COLUMNS}, (SELECT seq FROM sqlite_sequence WHERE name = 'events')
FROM json_each(?) j CROSS JOIN partitions ON ref = j.value
"""
_ENDED: Final = ", ".join(f"'{build_status_name(status)}'" for status in sorted(BUILD_ENDS))
_MARK: Final = f"""
UPDATE builds SET pruned_time = ? WHERE build_request_id {_AMONG} AND pruned_time = 0 AND status IN ({_ENDED})
"""
_MARKED: Final = f"SELECT build_request_id FROM builds WHERE build_request_id {_AMONG} AND pruned_time > 0"
_REMOVE_EVENTS: Final = f"""
DELETE FROM events WHERE position IN (SELECT position FROM events WHERE build_request_id {_AMONG} LIMIT ?)
"""
_REMOVE_PARTITIONS: Final = """
DELETE FROM build_partitions WHERE (build_request_id, ref) IN (
  SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
)
"""
_REMOVE_RUNS: Final = f"DELETE FROM job_runs WHERE job_run_id {_AMONG}"
_SETTLE: Final = f"""
UPDATE builds SET rows_left = EXISTS (
  SELECT 1 FROM build_partitions b WHERE b.build_request_id = builds.build_request_id
) WHERE build_request_id {_AMONG}
"""


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
        return self._execute(_PARTITIONS, (build_request_id, after, limit))

    def needless_runs(self, build_request_id: str, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Returns job runs that nothing comes from, as `Rows` says."""
        return self._execute(_NEEDLESS_RUNS, {"build": build_request_id, "after": after, "limit": limit})

    def unfinished(self, after: str, limit: int) -> Sequence[str]:
        """Returns pruned builds that have more than one row."""
        return [build for (build,) in self._execute(_UNFINISHED, (after, limit))]

    def keep(self, refs: Sequence[str]) -> None:
        """Keeps what is known of partitions now."""
        self._execute(_KEEP, (json.dumps(refs),))

    def mark(self, build_request_ids: Sequence[str], time: float) -> None:
        """Marks builds as pruned."""
        self._execute(_MARK, (time, json.dumps(build_request_ids)))

    def marked(self, build_request_ids: Sequence[str]) -> Sequence[str]:
        """Returns those of these builds that are marked."""
        return [build for (build,) in self._execute(_MARKED, (json.dumps(build_request_ids),))]

    def remove_events(self, build_request_ids: Sequence[str], limit: int) -> int:
        """Removes events of builds, and returns how many."""
        before = self._connection.total_changes
        self._execute(_REMOVE_EVENTS, (json.dumps(build_request_ids), limit))
        return self._connection.total_changes - before

    def remove_partitions(self, keys: Sequence[tuple[str, str]]) -> None:
        """Removes rows of partitions within builds."""
        self._execute(_REMOVE_PARTITIONS, (json.dumps(keys),))

    def remove_runs(self, job_run_ids: Sequence[str]) -> None:
        """Removes job runs."""
        self._execute(_REMOVE_RUNS, (json.dumps(job_run_ids),))

    def settle(self, build_request_ids: Sequence[str]) -> None:
        """Takes note of which builds have more than one row left."""
        self._execute(_SETTLE, (json.dumps(build_request_ids),))

    def _unused(self) -> int:
        return int(self._execute("PRAGMA freelist_count")[0][0])

    def _execute(self, statement: str, values: Any = ()) -> list[Any]:
        """Runs one statement, which is a transaction."""
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise fault(error, self._path) from error
