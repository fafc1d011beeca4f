"""Writes events and what they change, many appends in one transaction.

Used by one thread. It checks each append with the lifecycle's state machine, and with the database that no other
process writes the same build.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from databuild.errors import DataBuildError, InvalidStateTransitionError
from databuild.event_log.projection import Changes
from databuild.event_log.sqlite.connection import connect_for_writing, fault
from databuild.model.lifecycle import OPERATIONS, BuildState
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_COUNTS = ("jobs_completed", "jobs_failed", "partitions_available", "partitions_delegated", "partitions_failed")

_NEW_BUILD = """
INSERT INTO builds VALUES (:id, :status, :graph_label, :requested, :received_time, :updated_time, :last_sequence,
  0, 0, 0, 0, 0, 0, :retry_of_build_request_id, '', NULL, NULL)
"""
_BUILD_PARTITIONS = """
INSERT INTO build_partitions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET status = excluded.status, job_run_id = excluded.job_run_id,
  task_id = iif(excluded.task_id, excluded.task_id, task_id),
  reason = iif(excluded.reason <> '', excluded.reason, reason),
  cause = iif(excluded.reason <> '', excluded.cause, cause),
  failure_category = excluded.failure_category, failure_message = excluded.failure_message
"""
_JOB_RUN_COLUMNS = (
    "task_id",
    "job_label",
    "attempt",
    "status",
    "scheduled_time",
    "started_time",
    "ended_time",
    "exit_code",
    "duration_seconds",
    "cpu_seconds",
    "peak_memory_bytes",
    "failure_category",
    "failure_message",
)
_NEW_JOB_RUN = f"""
INSERT INTO job_runs (job_run_id, build_request_id, {", ".join(_JOB_RUN_COLUMNS)})
VALUES (?, ?, {", ".join("?" * len(_JOB_RUN_COLUMNS))})
"""  # noqa: S608 - names of columns only
_JOB_RUN_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(_JOB_RUN_COLUMNS),
    "job_label": "",
    **dict.fromkeys(("scheduled_time", "started_time", "ended_time", "duration_seconds", "cpu_seconds"), 0.0),
    "peak_memory_bytes": 0,
}
_PARTITION_STATUS = """
INSERT INTO partitions (ref, status, build_request_id, time, available, version, job_run_id, metadata)
VALUES (?, ?, ?, ?, 0, '', '', '')
ON CONFLICT DO UPDATE SET status = excluded.status, build_request_id = excluded.build_request_id, time = excluded.time
"""
_PARTITION_BUILDING = _PARTITION_STATUS + ", available = 0"
_PARTITION_FAILED = """
INSERT INTO partitions (ref, status, build_request_id, time, available, version, job_run_id, metadata,
  failure_category, failure_message)
VALUES (?, ?, ?, ?, 0, '', '', '', ?, ?)
ON CONFLICT DO UPDATE SET status = excluded.status, build_request_id = excluded.build_request_id, time = excluded.time,
  failure_category = excluded.failure_category, failure_message = excluded.failure_message
"""
_PARTITION_AVAILABLE = """
INSERT INTO partitions (ref, status, build_request_id, time, available, version, job_run_id, metadata)
VALUES (?, ?, ?, ?, 1, ?, ?, ?)
ON CONFLICT DO UPDATE SET status = excluded.status, build_request_id = excluded.build_request_id, time = excluded.time,
  available = 1, version = excluded.version, job_run_id = excluded.job_run_id, metadata = excluded.metadata,
  tainted = 0, taint_reason = '', failure_category = NULL, failure_message = NULL
"""
_PARTITION_DELEGATED = """
UPDATE partitions SET status = 'AVAILABLE' WHERE ref = ? AND build_request_id = ? AND available
"""


class SqliteWriter:
    """One connection for writing, and the states of the builds that are written through it."""

    def __init__(self, path: str) -> None:
        """Opens the file, as `connect_for_writing` says."""
        self._path = path
        self._connection = connect_for_writing(path)
        self._states: dict[str, BuildState] = {}

    def write(self, appends: Sequence[Sequence[ev.BuildEvent]]) -> list[DataBuildError | None]:
        """Writes appends in one transaction, and returns for each why it was refused, or None.

        Raises:
            EventLogError: The transaction failed; nothing was written.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = [self._append(events) for events in appends]
            self._connection.execute("COMMIT")
        except BaseException as error:
            self._states.clear()
            try:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                pass  # the first error says more
            if isinstance(error, sqlite3.Error):
                raise fault(error, self._path) from error
            raise
        for build in [build for build, state in self._states.items() if state.ended]:
            del self._states[build]
        return results

    def rebuild(self) -> None:
        """Computes the read models anew from the events.

        Raises:
            EventLogError: The database failed; the read models are as they were.
        """
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            for table in (
                "builds",
                "build_partitions",
                "job_runs",
                "manifests",
                "partitions",
                "partition_history",
                "partition_counts",
            ):
                execute(f"DELETE FROM {table}")  # noqa: S608 - from the list above
            for (payload,) in execute("SELECT payload FROM events ORDER BY position").fetchall():
                event = ev.BuildEvent.FromString(payload)
                self._apply(event.build_request_id, [event])
            execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise fault(error, self._path) from error

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _append(self, events: Sequence[ev.BuildEvent]) -> DataBuildError | None:
        build = events[0].build_request_id
        state = self._states.get(build)
        if state is None:
            state = self._states[build] = self._load(build)
        before = state.last_sequence
        try:
            state.advance(events)
        except InvalidStateTransitionError as error:
            return error
        if before and not self._still_at(build, before, state.last_sequence):
            self._states.pop(build)
            return InvalidStateTransitionError(f"build {build!r}, which another process writes", "an event")
        try:
            self._connection.executemany(
                "INSERT INTO events (build_request_id, sequence, payload) VALUES (?, ?, ?)",
                [(build, event.sequence, event.SerializeToString()) for event in events],
            )
        except sqlite3.IntegrityError:
            self._states.pop(build)
            return InvalidStateTransitionError(f"build {build!r}, which is known already", "RECEIVED")
        self._apply(build, events)
        return None

    def _still_at(self, build: str, before: int, after: int) -> bool:
        """Moves the build's newest sequence number, unless another process has."""
        moved = self._connection.execute(
            "UPDATE builds SET last_sequence = ? WHERE build_request_id = ? AND last_sequence = ?",
            (after, build, before),
        )
        return moved.rowcount == 1

    def _load(self, build: str) -> BuildState:
        """Returns what the database knows of a build."""
        execute = self._connection.execute
        row = execute("SELECT status, last_sequence FROM builds WHERE build_request_id = ?", (build,)).fetchone()
        if row is None:
            known = execute("SELECT 1 FROM events WHERE build_request_id = ? LIMIT 1", (build,)).fetchone()
            # An operation has no row of its own: it is complete with its one event.
            return BuildState(build, status=ev.BUILD_STATUS_COMPLETED, last_sequence=1) if known else BuildState(build)
        return BuildState(
            build,
            status=ev.BuildStatus.Value(f"BUILD_STATUS_{row[0]}"),
            last_sequence=row[1],
            jobs=(
                (run, ev.JobStatus.Value(f"JOB_STATUS_{status}"))
                for run, status in execute(
                    "SELECT job_run_id, status FROM job_runs WHERE build_request_id = ?", (build,)
                )
            ),
            partitions=(
                (ref, pt.PartitionStatus.Value(f"PARTITION_STATUS_{status}"))
                for ref, status in execute(
                    "SELECT ref, status FROM build_partitions WHERE build_request_id = ?", (build,)
                )
            ),
        )

    def _apply(self, build: str, events: Sequence[ev.BuildEvent]) -> None:
        changes = Changes(events)
        if events[0].WhichOneof("event") in OPERATIONS:
            self._operate(changes)
            return
        self._write_build(build, events, changes)
        many = self._connection.executemany
        if changes.build_partitions:
            many(_BUILD_PARTITIONS, [(build, ref, *row) for ref, row in changes.build_partitions.items()])
        if changes.job_runs:
            self._write_job_runs(build, changes)
        if changes.manifests:
            many("INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?)", changes.manifests)
        if changes.history:
            many("INSERT OR IGNORE INTO partition_history VALUES (?, ?)", changes.history)
        if changes.partitions:
            self._write_partitions(build, changes)
        if changes.delegated:
            many(_PARTITION_DELEGATED, [(ref, build) for ref in changes.delegated])

    def _write_build(self, build: str, events: Sequence[ev.BuildEvent], changes: Changes) -> None:
        values = {**changes.build.values, "last_sequence": events[-1].sequence}
        if events[0].sequence == 1:
            self._connection.execute(_NEW_BUILD, {"id": build, **values})
            for name in ("graph_label", "requested", "received_time", "retry_of_build_request_id"):
                values.pop(name)
        names = sorted(values)
        sets = [f"{name} = ?" for name in names] + [
            f"{name} = {name} + ?" for name in _COUNTS if name in changes.build.added
        ]
        self._connection.execute(
            f"UPDATE builds SET {', '.join(sets)} WHERE build_request_id = ?",  # noqa: S608 - names of columns only
            (
                *(values[name] for name in names),
                *(changes.build.added[name] for name in _COUNTS if name in changes.build.added),
                build,
            ),
        )

    def _write_job_runs(self, build: str, changes: Changes) -> None:
        new = []
        for run, values in changes.job_runs.items():
            if "scheduled_time" in values or values["status"] == "SKIPPED" or values["attempt"] == 0:
                row = {**_JOB_RUN_DEFAULTS, **values}
                new.append((run, build, *(row[name] for name in _JOB_RUN_COLUMNS)))
                continue
            names = sorted(values)
            self._connection.execute(
                f"UPDATE job_runs SET {', '.join(f'{name} = ?' for name in names)} "  # noqa: S608 - names of columns only
                "WHERE job_run_id = ?",
                (*(values[name] for name in names), run),
            )
        if new:
            self._connection.executemany(_NEW_JOB_RUN, new)

    def _write_partitions(self, build: str, changes: Changes) -> None:
        rows: dict[str, list[tuple[Any, ...]]] = {}
        for ref, values in changes.partitions.items():
            common = (ref, values["status"], build, values["time"])
            status = values["status"]
            if status == "AVAILABLE":
                data = (values["version"], values["job_run_id"], values["metadata"])
                rows.setdefault(_PARTITION_AVAILABLE, []).append((*common, *data))
            elif status == "FAILED":
                if "available" in values:  # it was being built in the same append
                    rows.setdefault(_PARTITION_BUILDING, []).append(common)
                failure = (values["failure_category"], values["failure_message"])
                rows.setdefault(_PARTITION_FAILED, []).append((*common, *failure))
            elif "available" in values:
                rows.setdefault(_PARTITION_BUILDING, []).append(common)
            else:
                rows.setdefault(_PARTITION_STATUS, []).append(common)
        for statement, values_of in rows.items():
            self._connection.executemany(statement, values_of)

    def _operate(self, changes: Changes) -> None:
        self._connection.executemany(
            "UPDATE partitions SET tainted = ?, taint_reason = ? WHERE ref = ?",
            [(reason is not None, reason or "", ref) for ref, reason in changes.taints.items()],
        )
        self._connection.executemany(
            "UPDATE builds SET cancel_requested_by = ? WHERE build_request_id = ?",
            [(author, build) for build, author in changes.cancelled.items()],
        )
