"""Reads the read models and the events. Imports little, so that commands that only read start fast."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databuild.event_log.rows import PartitionRecords, build_record, failure_record, job_run_record, resource_uses
from databuild.event_log.sqlite.connection import connect_for_reading, fault
from databuild.model.records import (
    BuildPartitionRecord,
    BuildRecord,
    JobRunRecord,
    LogSizes,
    PartitionRecord,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from databuild.event_log.coordination import Lease, ResourceUse
    from databuild.event_log.tables import Table
    from databuild.v1.events_pb2 import BuildEvent

_PARTITION = """
SELECT p.ref, p.status, p.build_request_id, p.time, p.available AND c.ref IS NULL, p.version, p.job_run_id,
  r.build_request_id, p.metadata, p.tainted, p.taint_reason, p.failure_category, p.failure_message, r.job_label,
  r.code_digest, r.configuration_digest, c.build_request_id, p.adoption
FROM {source} LEFT JOIN job_runs r ON r.job_run_id = p.job_run_id LEFT JOIN claims c ON c.ref = p.ref
"""
_BY_REFS = _PARTITION.format(source="json_each(?) j CROSS JOIN partitions p ON p.ref = j.value")
_INPUTS = """
SELECT r.job_run_id, r.inputs FROM json_each(?) j CROSS JOIN job_runs r ON r.job_run_id = j.value
WHERE r.inputs IS NOT NULL
"""
_JOB_RUN = """
SELECT job_run_id, build_request_id, number, task_id, job_label, attempt, status, scheduled_time, started_time,
  ended_time, exit_code, duration_seconds, cpu_seconds, peak_memory_bytes, failure_category, failure_message
FROM {source}
"""
_RUNS = _JOB_RUN.format(source="job_runs")
_RUNS_OF_JOB = f"{_RUNS} WHERE job_label = ? AND started_time > 0 ORDER BY build_request_id DESC, number DESC LIMIT ?"
# A job run is named after its build, task and attempt, which makes the runs of a task a range of the primary key.
_RUNS_OF_PARTITION = _JOB_RUN.format(
    source="""(SELECT build_request_id || '.' || task_id AS task FROM build_partitions WHERE ref = ? AND task_id > 0)
CROSS JOIN job_runs ON job_run_id > task || '.' AND job_run_id < task || '/'
WHERE started_time > 0 ORDER BY build_request_id DESC, number DESC LIMIT ?"""
)
_COUNTS = """
SELECT count(*), count(*) FILTER (WHERE pruned_time > 0), (SELECT count(*) FROM events) FROM builds
"""
_BYTES_OF_EVENTS = """
SELECT coalesce(sum(length(payload)), 0) FROM json_each(?) j CROSS JOIN events ON build_request_id = j.value
"""
_SOURCES = {"partition_counts": "(SELECT * FROM partition_counts WHERE count > 0)"}
_LEASES = "SELECT build_request_id, expires, holder, submitter FROM leases ORDER BY build_request_id"
_RESOURCES = """
SELECT resource, build_request_id, SUM(amount), '[]' FROM holdings GROUP BY 1, 2
UNION ALL SELECT '', build_request_id, 0, waiting_for FROM sharers WHERE waiting_until > ?
"""
_LAST = "\U0010ffff"
_LOOK_SECONDS = 0.05


class SqliteReader:
    """Reads one file."""

    def __init__(
        self,
        path: str,
        *,
        clock: Callable[[], float] = time.time,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        """Opens nothing yet: the first query does, as `connect_for_reading` says.

        Args:
            path: The file.
            clock: The clock of leases.
            lock: Held during each query, where there is one.
        """
        self._path = path
        self._lock = lock
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._newest: list[Any] | None = None
        self._records = PartitionRecords(lambda runs: self._rows(_INPUTS, (json.dumps(runs),)))

    def connect(self) -> sqlite3.Connection:
        """Returns the connection, which is opened where there is none, as `connect_for_reading` says."""
        if self._connection is None:
            self._connection = connect_for_reading(self._path)
        return self._connection

    def build(self, build_request_id: str) -> BuildRecord | None:
        """Returns one build."""
        rows = self._rows("SELECT * FROM builds WHERE build_request_id = ?", (build_request_id,))
        return build_record(rows[0]) if rows else None

    def builds_beginning(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """Returns ids of builds that begin with a prefix, newest first."""
        rows = self._rows(
            "SELECT build_request_id FROM builds WHERE build_request_id >= ? AND build_request_id < ? "
            "ORDER BY build_request_id DESC LIMIT ?",
            (prefix, prefix + _LAST, limit),
        )
        return [row[0] for row in rows]

    def builds(self, *, status: str | None = None, before: str | None = None, limit: int = 20) -> Sequence[BuildRecord]:
        """Returns builds, newest first."""
        where, values = ["build_request_id < ?"], [before or _LAST]
        if status is not None:
            where.append("status = ?")
            values.append(status)
        rows = self._rows(
            f"SELECT * FROM builds WHERE {' AND '.join(where)} ORDER BY build_request_id DESC LIMIT ?",
            (*values, limit),
        )
        return [build_record(row) for row in rows]

    def build_partitions(
        self, build_request_id: str, *, status: str | None = None, after: str = "", limit: int = 1000
    ) -> Sequence[BuildPartitionRecord]:
        """Returns the partitions of one build with their statuses in it, by ref."""
        where = "" if status is None else "AND status = ?"
        rows = self._rows(
            "SELECT ref, status, task_id, reason, cause, job_run_id, failure_category, failure_message "
            f"FROM build_partitions WHERE build_request_id = ? AND ref > ? {where} ORDER BY ref LIMIT ?",
            (build_request_id, after, *(() if status is None else (status,)), limit),
        )
        return [BuildPartitionRecord._make((*row[:6], failure_record(*row[6:]))) for row in rows]

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]:
        """Returns the job runs of one build, in the order in which they were first heard of."""
        where = "" if status is None else "AND status = ?"
        rows = self._rows(
            f"{_RUNS} WHERE build_request_id = ? AND number > ? {where} ORDER BY number LIMIT ?",
            (build_request_id, after, *(() if status is None else (status,)), limit),
        )
        return [job_run_record(row) for row in rows]

    def job_run(self, job_run_id: str) -> JobRunRecord | None:
        """Returns one job run."""
        rows = self._rows(f"{_RUNS} WHERE job_run_id = ?", (job_run_id,))
        return job_run_record(rows[0]) if rows else None

    def partition_records(self, refs: Collection[str]) -> Mapping[str, PartitionRecord]:
        """Returns what is known of partitions, by ref."""
        rows = self._rows(_BY_REFS, (json.dumps(list(refs)),))
        return {record.ref: record for record in self._records.of(rows)}

    def partitions(
        self,
        *,
        prefix: str = "",
        contains: str = "",
        status: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Sequence[PartitionRecord]:
        """Returns partition records by ref."""
        # One lower bound only: with two, SQLite may begin at the lesser.
        where = ["p.ref > ?" if after >= prefix else "p.ref >= ?", "p.ref < ?"]
        values: list[Any] = [max(after, prefix), prefix + _LAST]
        if contains:
            where.append("instr(p.ref, ?) > 0")
            values.append(contains)
        if status == "TAINTED":
            where.append("p.tainted")
        elif status is not None:
            where.append("p.status = ?")
            values.append(status)
        rows = self._rows(
            f"{_PARTITION.format(source='partitions p')} WHERE {' AND '.join(where)} ORDER BY p.ref LIMIT ?",
            (*values, limit),
        )
        return self._records.of(rows)

    def partition_counts(self) -> Mapping[str, int]:
        """Returns how many partitions there are of each newest status."""
        return dict(self._rows("SELECT status, count FROM partition_counts WHERE count > 0 ORDER BY status", ()))

    def produced_by(self, ref: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        """Returns the job runs that were to produce a partition, newest first."""
        return [job_run_record(row) for row in self._rows(_RUNS_OF_PARTITION, (ref, limit))]

    def runs_of_job(self, job_label: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        """Returns the job runs of a job that were started, newest first."""
        return [job_run_record(row) for row in self._rows(_RUNS_OF_JOB, (job_label, limit))]

    def claimed(self, refs: Collection[str]) -> Mapping[str, str]:
        """Returns the build that claims a ref, by ref."""
        found = "SELECT c.ref, c.build_request_id FROM json_each(?) j CROSS JOIN claims c ON c.ref = j.value"
        return dict(self._rows(found, (json.dumps(list(refs)),)))

    def claims_of(self, build_request_id: str) -> Mapping[str, str]:
        """Returns the job run for which a build claims a ref, by ref."""
        return dict(self._rows("SELECT ref, job_run_id FROM claims WHERE build_request_id = ?", (build_request_id,)))

    def leases(self) -> Sequence[tuple[Lease, bool]]:
        """Returns the leases of builds that have not ended, and whether each has run out, by build."""
        from databuild.event_log.coordination import Lease

        rows = self._rows(_LEASES, ())
        now = self._clock()
        return [(Lease._make(row), row[1] < now) for row in rows]

    def resource_use(self) -> Sequence[ResourceUse]:
        """Returns what the builds that have not ended hold of resources and wait for, by resource and build."""
        return resource_uses(self._rows(_RESOURCES, (self._clock(),)))

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        """Returns events of one build, in order."""
        from databuild.v1.events_pb2 import BuildEvent

        rows = self._rows(
            "SELECT payload FROM events WHERE build_request_id = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (build_request_id, after_sequence, limit),
        )
        return [BuildEvent.FromString(row[0]) for row in rows]

    def all_events(self, *, after_position: int = 0, limit: int = 1000) -> Iterator[tuple[int, BuildEvent]]:
        """Returns events of all builds in the order in which they were written, each with its position."""
        from databuild.v1.events_pb2 import BuildEvent

        rows = self._rows(
            "SELECT position, payload FROM events WHERE position > ? ORDER BY position LIMIT ?",
            (after_position, limit),
        )
        return ((position, BuildEvent.FromString(payload)) for position, payload in rows)

    def size(self) -> int:
        """Returns how many bytes the log takes."""
        if self._path.startswith("file:"):
            (pages,), (size,) = *self._rows("PRAGMA page_count", ()), *self._rows("PRAGMA page_size", ())
            return int(pages * size)
        total = 0
        for path in (self._path, f"{self._path}-wal"):
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(path).st_size  # noqa: PTH116 (pathlib costs 8 ms)
        return total

    def sizes(self) -> LogSizes:
        """Returns how large the log is."""
        ((builds, pruned, events),) = self._rows(_COUNTS, ())
        return LogSizes(builds, pruned, events, self.size())

    def bytes_of_events(self, build_request_ids: Collection[str]) -> int:
        """Returns how many bytes the events of builds take."""
        ((total,),) = self._rows(_BYTES_OF_EVENTS, (json.dumps(list(build_request_ids)),))
        return int(total)

    def rows(self, table: Table, *, after: Sequence[Any] = (), limit: int = 1000) -> Sequence[tuple[Any, ...]]:
        """Returns rows of a table as they are kept, by key."""
        key = ", ".join(table.columns[: table.keys])
        where = f"WHERE ({key}) > ({', '.join('?' * table.keys)})" if after else ""
        return self._rows(
            f"SELECT {', '.join(table.columns)} FROM {_SOURCES.get(table.name, table.name)} "
            f"{where} ORDER BY {key} LIMIT ?",
            (*after, limit),
        )

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Returns a context in which every call sees the same state."""
        with self._lock or contextlib.nullcontext():
            self._rows("BEGIN", ())
            try:
                yield
            finally:
                self._rows("ROLLBACK", ())

    def wait(self, seconds: float) -> bool:
        """Waits for news, at most so long, by looking again and again."""
        deadline = time.monotonic() + seconds
        while True:
            newest = self._rows("SELECT max(position) FROM events", ())
            if newest != self._newest:
                self._newest = newest
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, _LOOK_SECONDS))

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()

    def _rows(self, statement: str, values: Sequence[Any]) -> list[Any]:
        connection = self._connection or self.connect()
        try:
            if self._lock is not None:
                with self._lock:
                    return connection.execute(statement, values).fetchall()
            return connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise fault(error, self._path) from error
