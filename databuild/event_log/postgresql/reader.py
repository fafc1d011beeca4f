"""Reads the read models and the events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg

from databuild.event_log.coordination import Lease, ResourceUse
from databuild.event_log.postgresql.connection import (
    CHANNEL,
    RECONNECT_SECONDS,
    connect,
    connect_again,
    fault,
    is_lost,
)
from databuild.event_log.postgresql.positions import settled_events
from databuild.event_log.postgresql.statements import as_json
from databuild.event_log.rows import PartitionRecords, build_record, failure_record, job_run_record, resource_uses
from databuild.model.records import (
    BuildPartitionRecord,
    BuildRecord,
    JobRunRecord,
    LogSizes,
    PartitionRecord,
)

if TYPE_CHECKING:
    from databuild.event_log.tables import Table
    from databuild.v1.events_pb2 import BuildEvent

_T = TypeVar("_T")

_BUILD: Final = """
SELECT build_request_id, status, graph_label, requested, received_time, updated_time, last_sequence, total_tasks,
  jobs_completed, jobs_failed, partitions_available, partitions_delegated, partitions_failed, retry_of_build_request_id,
  cancel_requested_by, failure_category, failure_message, pruned_time
FROM builds
"""
_PARTITION: Final = """
SELECT p.ref, p.status, p.build_request_id, p.time, p.available AND c.ref IS NULL, p.version, p.job_run_id,
  r.build_request_id, p.metadata, p.tainted, p.taint_reason, p.failure_category, p.failure_message, r.job_label,
  r.code_digest, r.configuration_digest, c.build_request_id, p.adoption
FROM partitions p LEFT JOIN job_runs r ON r.job_run_id = p.job_run_id LEFT JOIN claims c ON c.ref = p.ref
WHERE p.status <> ''
"""
_INPUTS: Final = """
SELECT job_run_id, inputs FROM job_runs
WHERE job_run_id = ANY (ARRAY(SELECT json_array_elements_text(%s))) AND inputs IS NOT NULL
"""
_JOB_RUN: Final = """
SELECT r.job_run_id, r.build_request_id, number, r.task_id, job_label, attempt, r.status, scheduled_time, started_time,
  ended_time, exit_code, duration_seconds, cpu_seconds, peak_memory_bytes, r.failure_category, r.failure_message
FROM {source}
"""
_RUNS: Final = _JOB_RUN.format(source="job_runs r")
_RUNS_OF_JOB: Final = f"""{_RUNS} WHERE job_label = %s AND started_time > 0
ORDER BY r.build_request_id DESC, number DESC LIMIT %s"""
# A job run is named after its build, task and attempt, which makes the runs of a task a range of the primary key.
_RUNS_OF_PARTITION: Final = _JOB_RUN.format(
    source="""build_partitions b JOIN job_runs r ON r.job_run_id > b.build_request_id || '.' || b.task_id || '.'
  AND r.job_run_id < b.build_request_id || '.' || b.task_id || '/'
WHERE b.ref = %s AND b.task_id > 0 AND started_time > 0
ORDER BY b.build_request_id DESC, number DESC LIMIT %s"""
)
_LEASES: Final = """
SELECT build_request_id, expires, holder, submitter,
  expires < coalesce(%s::float8, extract(epoch FROM clock_timestamp())::float8)
FROM leases ORDER BY build_request_id
"""
_RESOURCES: Final = """
SELECT resource, build_request_id, SUM(amount)::bigint, '[]' FROM holdings GROUP BY 1, 2
UNION ALL SELECT '', build_request_id, 0, waiting_for FROM sharers
WHERE waiting_until > coalesce(%s::float8, extract(epoch FROM clock_timestamp())::float8)
"""
_AMONG: Final = "ref = ANY (ARRAY(SELECT json_array_elements_text(%s)))"
_SIZE: Final = """
SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
WHERE relnamespace = to_regnamespace(current_schema()) AND relkind = 'r'
"""
_COUNTS: Final = """
SELECT count(*), count(*) FILTER (WHERE pruned_time > 0), (SELECT count(*) FROM events) FROM builds
"""
_BYTES_OF_EVENTS: Final = """
SELECT coalesce(sum(length(payload)), 0)::bigint FROM events
WHERE build_request_id = ANY (ARRAY(SELECT json_array_elements_text(%s)))
"""
_SOURCES: Final = {
    "partitions": "(SELECT * FROM partitions WHERE status <> '') AS known",
    "partition_counts": """(SELECT status, sum(count)::bigint AS count FROM partition_counts
      GROUP BY status HAVING sum(count) > 0) AS counts""",
}
_LAST: Final = "\U0010ffff"


class PostgresqlReader:
    """Reads one database, over a connection that is made anew when it is lost."""

    def __init__(
        self,
        uri: str,
        *,
        clock: Callable[[], float] | None = None,
        reconnect_seconds: float = RECONNECT_SECONDS,
    ) -> None:
        """Connects to nothing yet: the first query does, as `connect` says.

        Args:
            uri: The database.
            clock: The clock of leases; by default the server's.
            reconnect_seconds: How long the server may be away before a read fails.
        """
        self._uri = uri
        self._clock = clock
        self._reconnect_seconds = reconnect_seconds
        self._connection: psycopg.Connection[Any] | None = None
        self._listens = False
        self._in_snapshot = False
        self._records = PartitionRecords(lambda runs: self._rows(_INPUTS, (as_json(runs),)))

    def connect(self) -> psycopg.Connection[Any]:
        """Returns the connection, which is made where there is none, as `connect` says."""
        if self._connection is None:
            self._connection = connect(self._uri)
        return self._connection

    def build(self, build_request_id: str) -> BuildRecord | None:
        """Returns one build."""
        rows = self._rows(f"{_BUILD} WHERE build_request_id = %s", (build_request_id,))
        return build_record(rows[0]) if rows else None

    def builds_beginning(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """Returns ids of builds that begin with a prefix, newest first."""
        rows = self._rows(
            "SELECT build_request_id FROM builds WHERE build_request_id >= %s AND build_request_id < %s "
            "ORDER BY build_request_id DESC LIMIT %s",
            (prefix, prefix + _LAST, limit),
        )
        return [row[0] for row in rows]

    def builds(self, *, status: str | None = None, before: str | None = None, limit: int = 20) -> Sequence[BuildRecord]:
        """Returns builds, newest first."""
        where, values = ["build_request_id < %s"], [before or _LAST]
        if status is not None:
            where.append("status = %s")
            values.append(status)
        rows = self._rows(
            f"{_BUILD} WHERE {' AND '.join(where)} ORDER BY build_request_id DESC LIMIT %s", (*values, limit)
        )
        return [build_record(row) for row in rows]

    def build_partitions(
        self, build_request_id: str, *, status: str | None = None, after: str = "", limit: int = 1000
    ) -> Sequence[BuildPartitionRecord]:
        """Returns the partitions of one build with their statuses in it, by ref."""
        where = "" if status is None else "AND status = %s"
        rows = self._rows(
            "SELECT ref, status, task_id, reason, cause, job_run_id, failure_category, failure_message "
            f"FROM build_partitions WHERE build_request_id = %s AND ref > %s {where} ORDER BY ref LIMIT %s",
            (build_request_id, after, *(() if status is None else (status,)), limit),
        )
        return [BuildPartitionRecord._make((*row[:6], failure_record(*row[6:]))) for row in rows]

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]:
        """Returns the job runs of one build, in the order in which they were first heard of."""
        where = "" if status is None else "AND r.status = %s"
        rows = self._rows(
            f"{_RUNS} WHERE r.build_request_id = %s AND number > %s {where} ORDER BY number LIMIT %s",
            (build_request_id, after, *(() if status is None else (status,)), limit),
        )
        return [job_run_record(row) for row in rows]

    def job_run(self, job_run_id: str) -> JobRunRecord | None:
        """Returns one job run."""
        rows = self._rows(f"{_RUNS} WHERE job_run_id = %s", (job_run_id,))
        return job_run_record(rows[0]) if rows else None

    def partition_records(self, refs: Collection[str]) -> Mapping[str, PartitionRecord]:
        """Returns what is known of partitions, by ref."""
        rows = self._rows(f"{_PARTITION} AND p.{_AMONG}", (as_json(list(refs)),))
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
        where = ["p.ref > %s", "p.ref >= %s", "p.ref < %s"]
        values: list[Any] = [after, prefix, prefix + _LAST]
        if contains:
            where.append("strpos(p.ref, %s) > 0")
            values.append(contains)
        if status == "TAINTED":
            where.append("p.tainted")
        elif status is not None:
            where.append("p.status = %s")
            values.append(status)
        rows = self._rows(f"{_PARTITION} AND {' AND '.join(where)} ORDER BY p.ref LIMIT %s", (*values, limit))
        return self._records.of(rows)

    def partition_counts(self) -> Mapping[str, int]:
        """Returns how many partitions there are of each newest status."""
        rows = self._rows(
            "SELECT status, sum(count)::bigint FROM partition_counts GROUP BY status HAVING sum(count) > 0 "
            "ORDER BY status",
            (),
        )
        return dict(rows)

    def produced_by(self, ref: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        """Returns the job runs that were to produce a partition, newest first."""
        return [job_run_record(row) for row in self._rows(_RUNS_OF_PARTITION, (ref, limit))]

    def runs_of_job(self, job_label: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        """Returns the job runs of a job that were started, newest first."""
        return [job_run_record(row) for row in self._rows(_RUNS_OF_JOB, (job_label, limit))]

    def claimed(self, refs: Collection[str]) -> Mapping[str, str]:
        """Returns the build that claims a ref, by ref."""
        rows = self._rows(f"SELECT ref, build_request_id FROM claims WHERE {_AMONG}", (as_json(list(refs)),))
        return dict(rows)

    def claims_of(self, build_request_id: str) -> Mapping[str, str]:
        """Returns the job run for which a build claims a ref, by ref."""
        return dict(self._rows("SELECT ref, job_run_id FROM claims WHERE build_request_id = %s", (build_request_id,)))

    def leases(self) -> Sequence[tuple[Lease, bool]]:
        """Returns the leases of builds that have not ended, and whether each has run out, by build."""
        rows = self._rows(_LEASES, (None if self._clock is None else self._clock(),))
        return [(Lease._make(row[:-1]), row[-1]) for row in rows]

    def resource_use(self) -> Sequence[ResourceUse]:
        """Returns what the builds that have not ended hold of resources and wait for, by resource and build."""
        return resource_uses(self._rows(_RESOURCES, (None if self._clock is None else self._clock(),)))

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        """Returns events of one build, in order."""
        from databuild.v1.events_pb2 import BuildEvent

        rows = self._rows(
            "SELECT payload FROM events WHERE build_request_id = %s AND sequence > %s ORDER BY sequence LIMIT %s",
            (build_request_id, after_sequence, limit),
        )
        return [BuildEvent.FromString(row[0]) for row in rows]

    def all_events(self, *, after_position: int = 0, limit: int = 1000) -> Iterator[tuple[int, BuildEvent]]:
        """Returns events of all builds in the order in which they were written, each with its position."""
        from databuild.v1.events_pb2 import BuildEvent

        nothing: list[tuple[int, bytes]] = []
        rows = self._read(lambda connection: settled_events(connection, after_position, limit), nothing)
        return ((position, BuildEvent.FromString(payload)) for position, payload in rows)

    def size(self) -> int:
        """Returns how many bytes the log takes."""
        rows = self._rows(_SIZE, ())
        return int(rows[0][0])

    def sizes(self) -> LogSizes:
        """Returns how large the log is."""
        rows = self._rows(_COUNTS, ())
        builds, pruned, events = rows[0] if rows else (0, 0, 0)
        return LogSizes(builds, pruned, events, self.size())

    def bytes_of_events(self, build_request_ids: Collection[str]) -> int:
        """Returns how many bytes the events of builds take."""
        rows = self._rows(_BYTES_OF_EVENTS, (as_json(list(build_request_ids)),))
        return int(rows[0][0]) if rows else 0

    def rows(self, table: Table, *, after: Sequence[Any] = (), limit: int = 1000) -> Sequence[tuple[Any, ...]]:
        """Returns rows of a table as they are kept, by key."""
        key = ", ".join(table.columns[: table.keys])
        where = f"WHERE ({key}) > ({', '.join(['%s'] * table.keys)})" if after else ""
        return self._rows(
            f"SELECT {', '.join(table.columns)} FROM {_SOURCES.get(table.name, table.name)} "
            f"{where} ORDER BY {key} LIMIT %s",
            (*after, limit),
        )

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Returns a context in which every call sees the same state; it does not survive a lost connection."""
        self._do(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._in_snapshot = True
        try:
            yield
        finally:
            self._in_snapshot = False
            if not self.connect().closed:
                self._do(b"ROLLBACK")

    def wait(self, seconds: float) -> bool:
        """Waits for news, at most so long; what a writer that died has not told of shows without any."""

        def wait(connection: psycopg.Connection[Any]) -> bool:
            if not self._listens:
                connection.execute(f"LISTEN {CHANNEL}")
                self._listens = True
                return True  # what came before was not heard
            told = list(connection.notifies(timeout=seconds, stop_after=1))
            told += connection.notifies(timeout=0)  # one answer to all that has been told
            return bool(told)

        return self._read(wait, default=False)

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()

    def __del__(self) -> None:
        """Lets go of what nobody closed, as a connection of SQLite does by itself."""
        if connection := getattr(self, "_connection", None):
            connection.close()

    def _do(self, statement: bytes) -> None:
        self._read(lambda connection: connection.execute(statement), None)

    def _rows(self, statement: str, values: Sequence[Any]) -> list[Any]:
        return self._read(lambda connection: connection.execute(statement.encode(), values, binary=True).fetchall(), [])

    def _read(self, read: Callable[[psycopg.Connection[Any]], _T], default: _T) -> _T:
        """Reads once the server can be reached; returns the default where there are no tables."""
        deadline = 0.0
        while True:
            connection = self._connection or self.connect()
            try:
                return read(connection)
            except (psycopg.errors.UndefinedTable, psycopg.errors.InFailedSqlTransaction):
                return default  # in a snapshot, what follows the first of these is the second
            except psycopg.Error as error:
                now = time.monotonic()
                if self._in_snapshot or not is_lost(connection, error) or 0 < deadline < now:
                    raise fault(error, self._uri) from error
            deadline = deadline or now + self._reconnect_seconds
            connection.close()
            self._listens = False
            self._connection = connect_again(self._uri, deadline)
