"""Writes events and the read models in SQLite, many appends in one transaction.

Used by one thread. It checks each append against the lifecycle, and checks in the database that no other process writes
the same build.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from databuild.errors import CoordinationError, DataBuildError, EventLogError, InvalidStateTransitionError
from databuild.event_log.coordination import Lease
from databuild.event_log.group_commit import Append, ClaimAll, Operation, RemoveLease, RenewLease, builds_of_refused
from databuild.event_log.projection import (
    BuildPartition,
    Changes,
    EndedRun,
    NewRun,
    PartitionChange,
    PlacedRun,
    RunCheck,
    RunMetric,
    RunSchema,
    StartedRun,
)
from databuild.event_log.sqlite import claims, snapshots
from databuild.event_log.sqlite.connection import QUERIES, connect_for_writing, event_log_error
from databuild.event_log.sqlite.statements import ManyRows
from databuild.event_log.sqlite.uses import UseIndex
from databuild.event_log.tables import Table
from databuild.model import statuses
from databuild.model.lifecycle import OPERATIONS, BuildState
from databuild.v1 import events_pb2 as ev

if TYPE_CHECKING:
    from databuild.event_log.recent_events import RecentEvents


def _update(table: str, columns: Sequence[str]) -> ManyRows:
    """Returns a statement that updates rows; the last column is the key."""
    *values, key = columns
    sets = ", ".join(f"{name} = new.{name}" for name in values)
    before = f"WITH new ({', '.join(columns)}) AS ("
    after = f") UPDATE {table} SET {sets} FROM new WHERE {table}.{key} = new.{key}"
    return ManyRows(before, len(columns), after)


_NO_LOCK = nullcontext()

_EVENT = ManyRows("INSERT INTO events (build_request_id, sequence, payload)", 3)
_NEW_BUILD = """
INSERT INTO builds VALUES (:id, :status, :graph_label, :received_time, :updated_time, :last_sequence,
  0, 0, 0, 0, 0, 0, :retry_of_build_request_id, '', NULL, NULL, 0, 1, :first_position)
"""
_BUILD_REQUEST = "INSERT INTO build_requests VALUES (?, ?)"
_COLUMNS_OF_NEW_BUILDS = frozenset({"graph_label", "received_time", "retry_of_build_request_id", "first_position"})
_BUILD_PARTITION = ManyRows(
    f"INSERT INTO build_partitions (build_request_id, ref, {', '.join(BuildPartition._fields)})",
    9,
    """ON CONFLICT DO UPDATE SET status = excluded.status, job_run_id = excluded.job_run_id,
      task_id = iif(excluded.task_id, excluded.task_id, task_id),
      reason = iif(excluded.reason <> '', excluded.reason, reason),
      cause = iif(excluded.reason <> '' OR excluded.cause <> '', excluded.cause, cause),
      failure_category = excluded.failure_category, failure_message = excluded.failure_message""",
)
_NEW_RUN = ManyRows(f"INSERT OR IGNORE INTO job_runs ({', '.join(NewRun._fields)})", len(NewRun._fields))
_STARTED_RUN = _update("job_runs", StartedRun._fields)
_ENDED_RUN = _update("job_runs", EndedRun._fields)
_PLACED_RUN = ManyRows(
    f"INSERT INTO placements ({', '.join(PlacedRun._fields)})",
    len(PlacedRun._fields),
    """ON CONFLICT DO UPDATE SET executor = iif(excluded.executor <> '', excluded.executor, executor),
      machine = iif(excluded.machine <> '', excluded.machine, machine),
      placed_time = iif(excluded.placed_time, excluded.placed_time, placed_time),
      queued_seconds = iif(excluded.placed_time, excluded.queued_seconds, queued_seconds),
      log_store = iif(excluded.log_store <> '', excluded.log_store, log_store),
      stdout_bytes = coalesce(excluded.stdout_bytes, stdout_bytes),
      stderr_bytes = coalesce(excluded.stderr_bytes, stderr_bytes),
      worker_id = iif(excluded.worker_request, excluded.worker_id, worker_id),
      worker_request = iif(excluded.worker_request, excluded.worker_request, worker_request)""",
)


def _replace(table: str, columns: Sequence[str]) -> ManyRows:
    return ManyRows(f"INSERT OR REPLACE INTO {table} ({', '.join(columns)})", len(columns))


_METRIC = _replace("job_run_metrics", RunMetric._fields)
_CHECK = _replace("job_run_checks", RunCheck._fields)
_SCHEMA = _replace("job_run_schemas", RunSchema._fields)
_STATUS = "status = excluded.status, build_request_id = excluded.build_request_id, time = excluded.time"
_INTO_PARTITIONS = (
    "INSERT INTO partitions "
    "(ref, status, build_request_id, time, available, version, job_run_id, metadata, adoption, location)"
)
_PARTITION = ManyRows(_INTO_PARTITIONS, 10, f"ON CONFLICT DO UPDATE SET {_STATUS}")
_PARTITION_TOUCHED = ManyRows(_INTO_PARTITIONS, 10, f"ON CONFLICT DO UPDATE SET {_STATUS}, available = 0")
_PARTITION_WITH_DATA = ManyRows(
    _INTO_PARTITIONS,
    10,
    f"""ON CONFLICT DO UPDATE SET {_STATUS}, available = excluded.available, version = excluded.version,
      job_run_id = excluded.job_run_id, metadata = excluded.metadata, adoption = excluded.adoption,
      location = excluded.location, tainted = 0, taint_reason = '', removal = '', failure_category = NULL,
      failure_message = NULL""",
)
_PARTITION_MISSING = """
UPDATE partitions SET status = 'MISSING', available = 0, build_request_id = ?, time = ?
WHERE ref = ? AND version = ? AND available
"""
_PARTITION_REMOVED = """
UPDATE partitions SET status = ?, available = 0, removal = ?, build_request_id = ?, time = ?, tainted = 0,
  taint_reason = '' WHERE ref = ? AND version = ?
"""
_PARTITION_GONE = (
    "UPDATE partitions SET location = '' WHERE ref = ? AND version = ? AND NOT available AND removal <> ''"
)
_NO_DATA = (
    0,
    "",
    "",
    "",
    "",
    "",
)  # of a row that does not exist yet; the statements above keep the data of one that does
_PARTITION_FAILED = _update("partitions", ("failure_category", "failure_message", "ref"))
_PARTITION_DELEGATED = """
UPDATE partitions SET status = 'AVAILABLE' WHERE ref = ? AND build_request_id = ? AND available
"""


class SqliteWriter:
    """One connection for writing, and the states of the builds that are written through it."""

    def __init__(
        self,
        path: str,
        *,
        clock: Callable[[], float] = time.time,
        lock: AbstractContextManager[object] = _NO_LOCK,
    ) -> None:
        """Opens the file, see `connect_for_writing`.

        Args:
            path: The file.
            clock: The clock of leases.
            lock: Held during each transaction.
        """
        self._path = path
        self._lock = lock
        self._clock = clock
        self._connection = connect_for_writing(path)
        self._states: dict[str, BuildState] = {}
        # Builds that use resources, or may do so since another process began them. Most do not, and their ended runs
        # need no look at the holdings.
        self._sharing: set[str] = set()
        self._recent: RecentEvents | None = None

    def keep_recent(self, recent: RecentEvents) -> None:
        """Adds the events of later transactions to `recent` when they are durable. Any thread may call it."""
        self._recent = recent

    def write(self, operations: Sequence[Operation]) -> list[object]:
        try:
            with self._lock:
                # Takes the write lock now, with the busy timeout. A transaction that begins with a read cannot wait for
                # the lock later: another writer would make its snapshot stale (SQLITE_BUSY_SNAPSHOT).
                self._connection.execute("BEGIN IMMEDIATE")
                results, inserted = self._perform(operations)
                self._connection.execute("COMMIT")
        except BaseException as error:
            self._states.clear()  # they include events that were not written; they are loaded again when needed
            try:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                pass  # the first error is more specific
            if isinstance(error, sqlite3.Error):
                raise event_log_error(error, self._path) from error
            raise
        if self._recent is not None:
            for last, payloads in inserted:
                self._recent.add(last, payloads)
        for build in builds_of_refused(operations, results):
            self._states.pop(build, None)
        for build in [build for build, state in self._states.items() if state.ended]:  # no events follow
            del self._states[build]
            self._sharing.discard(build)
        return results

    def _perform(self, operations: Sequence[Operation]) -> tuple[list[object], list[tuple[int, Sequence[bytes]]]]:
        """Returns the results, and the encoded events of each build with the position of its last one.

        No other process writes during a transaction, so the positions of the events of a build have no gaps.
        """
        results: list[object] = [None] * len(operations)
        inserted: list[tuple[int, Sequence[bytes]]] = []
        accepted: dict[str, list[ev.BuildEvent]] = {}
        for number, operation in enumerate(operations):
            if isinstance(operation, Append):
                results[number] = self._check(operation.events, accepted)
        # The appends of a build are written together: one row update and few statements for many events.
        for build, events in accepted.items():
            refusal = claims.operation_refusal(self._connection, events[0])
            if refusal is not None:
                results[_number_of(events[0], operations)] = refusal
                continue
            payloads = [event.SerializeToString() for event in events]
            rows = [(build, event.sequence, payload) for event, payload in zip(events, payloads, strict=True)]
            last = _EVENT.execute(self._connection, rows)
            inserted.append((last, payloads))
            self._apply(build, events, last - len(payloads) + 1)
        # After all appends, so that claims see the partitions and resources that these release.
        for number, operation in enumerate(operations):
            try:
                if isinstance(operation, ClaimAll):
                    results[number] = claims.grant(self._connection, operation.requests, self._clock())
                    self._sharing.update(request.build_request_id for request in operation.requests if request.needs)
                elif isinstance(operation, RenewLease):
                    build, holder, seconds, owner = operation
                    submitter = owner.name if owner is not None else ""
                    lease = Lease(build, self._clock() + seconds, holder, submitter)
                    claims.renew(self._connection, lease, owner)
                elif isinstance(operation, RemoveLease):
                    self._connection.execute(QUERIES["remove_lease"], operation._asdict())
            except CoordinationError as error:
                results[number] = error
        return results, inserted

    def rebuild(self) -> None:
        """Rebuilds the read models from the events, and from snapshots in place of pruned events.

        Raises:
            EventLogError: The database failed; the read models are unchanged.
        """
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            snapshots.reset_read_models(self._connection)
            for events, covered in snapshots.pages(self._connection):
                for position, event in events.items():
                    self._apply(event.build_request_id, [event], position, covered, index_uses=False)
            snapshots.fill_uses(self._connection)
            execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise event_log_error(error, self._path) from error

    def replay(self, events: Mapping[int, ev.BuildEvent]) -> None:
        """Applies events of any builds to the read models, without checks; the events themselves are not written.

        `fill_uses` completes the read models after the last event.

        Args:
            events: The events, by their positions.

        Raises:
            EventLogError: The database failed, or an event cannot be applied; the read models are unchanged.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            covered = snapshots.covered(self._connection, events)
            for build, following in itertools.groupby(events.items(), key=lambda item: item[1].build_request_id):
                (position, first), *others = following
                self._apply(build, [first, *(event for _, event in others)], position, covered, index_uses=False)
        except (sqlite3.Error, LookupError, ValueError) as error:
            self._connection.execute("ROLLBACK")
            raise (
                event_log_error(error, self._path) if isinstance(error, sqlite3.Error) else EventLogError(str(error))
            ) from error
        self._connection.execute("COMMIT")

    def restore(self, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Inserts rows of another log unchanged: before a replay, those that pruning has kept."""
        columns = table.columns
        statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(statement, rows)
        self._connection.execute("COMMIT")

    def reset_read_models(self) -> None:
        """Resets the read models to the state before the first event that has not been pruned."""
        self._connection.execute("BEGIN IMMEDIATE")
        snapshots.reset_read_models(self._connection)
        self._connection.execute("COMMIT")

    def fill_uses(self) -> None:
        """Fills the index of uses after a replay."""
        self._connection.execute("BEGIN IMMEDIATE")
        snapshots.fill_uses(self._connection)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()

    def _check(
        self, events: Sequence[ev.BuildEvent], accepted: dict[str, list[ev.BuildEvent]]
    ) -> DataBuildError | None:
        """Adds events to the accepted ones, or returns the error that refuses them."""
        build = events[0].build_request_id
        state = self._states.get(build)
        if state is None:
            state = self._states[build] = self._load(build)
        elif build not in accepted and self._newest_sequence(build) != state.last_sequence:
            # The cached state is out of date: only another process can have written these events.
            del self._states[build]
            return InvalidStateTransitionError(f"build {build!r}, which another process writes", "an event")
        try:
            state.advance(events)
        except InvalidStateTransitionError as error:
            return error
        accepted.setdefault(build, []).extend(events)
        return None

    def _newest_sequence(self, build: str) -> int:
        row = self._connection.execute(QUERIES["build_state"], {"build_request_id": build}).fetchone()
        _, sequence = row or ("", 0)
        return int(sequence)

    def _load(self, build: str) -> BuildState:
        """Loads the state of a build."""
        execute = self._connection.execute
        row = execute(QUERIES["build_state"], {"build_request_id": build}).fetchone()
        if row is None:
            # Operations have events but no row in `builds`.
            operation = execute("SELECT 1 FROM events WHERE build_request_id = ? LIMIT 1", (build,)).fetchone()
            return BuildState.of_operation(build) if operation else BuildState(build)
        self._sharing.add(build)
        status, last_sequence = row
        return BuildState.from_records(
            build,
            status,
            last_sequence=last_sequence,
            jobs=execute("SELECT job_run_id, status FROM job_runs WHERE build_request_id = ?", (build,)),
            partitions=execute("SELECT ref, status FROM build_partitions WHERE build_request_id = ?", (build,)),
        )

    def _apply(
        self,
        build: str,
        events: Sequence[ev.BuildEvent],
        position: int,
        covered: snapshots.Covered = snapshots.NOTHING_COVERED,
        *,
        index_uses: bool = True,
    ) -> None:
        """Writes the changes of events that follow each other in one build; `position` is that of the first."""
        changes = Changes(events, covered)
        if events[0].sequence == 1:
            changes.build["first_position"] = position
        if events[0].WhichOneof("event") in OPERATIONS:
            self._apply_operation(build, changes, index_uses=index_uses)
            return
        connection = self._connection
        self._write_build(build, changes, new=events[0].sequence == 1)
        _NEW_RUN.execute(connection, changes.new_runs)
        _STARTED_RUN.execute(connection, changes.started_runs)
        _ENDED_RUN.execute(connection, changes.ended_runs)
        _PLACED_RUN.execute(connection, list(changes.placed_runs.values()))
        _METRIC.execute(connection, list(changes.metrics.values()))
        _CHECK.execute(connection, list(changes.checks.values()))
        _SCHEMA.execute(connection, list(changes.schemas.values()))
        rows = [(build, ref, *row) for ref, row in changes.build_partitions.items()]
        _BUILD_PARTITION.execute(connection, rows)
        self._write_missing(build, changes)
        self._write_partitions(build, changes.partitions, index_uses=index_uses)
        self._write_taints(changes)
        if changes.delegated:
            connection.executemany(_PARTITION_DELEGATED, [(ref, build) for ref in changes.delegated])
        if changes.build.get("status") in statuses.BUILD.ended:
            claims.end_build(connection, build)
        else:
            if build in self._sharing and changes.ended_runs:
                claims.release_resources(connection, [run.job_run_id for run in changes.ended_runs])
            claims.release(connection, build, changes.released, changes.released_runs)

    def _write_build(self, build: str, changes: Changes, *, new: bool) -> None:
        values = changes.build
        if new:
            self._connection.execute(_NEW_BUILD, {"id": build, **values})
            self._connection.execute(_BUILD_REQUEST, (build, changes.requested))
        names = [name for name in values if name not in _COLUMNS_OF_NEW_BUILDS]
        sets = [f"{name} = ?" for name in names] + [f"{name} = {name} + ?" for name in changes.increments]
        self._connection.execute(
            f"UPDATE builds SET {', '.join(sets)} WHERE build_request_id = ?",
            (*(values[name] for name in names), *changes.increments.values(), build),
        )

    def _write_partitions(self, build: str, partitions: dict[str, PartitionChange], *, index_uses: bool) -> None:
        index = UseIndex(self._connection, partitions) if index_uses else None
        rows: dict[ManyRows, list[tuple[Any, ...]]] = {}
        failures = []
        for ref, change in partitions.items():
            common = (ref, change.status, build, change.time)
            if change.data is not None:
                rows.setdefault(_PARTITION_WITH_DATA, []).append((*common, not change.touched, *change.data))
            else:
                rows.setdefault(_PARTITION_TOUCHED if change.touched else _PARTITION, []).append((*common, *_NO_DATA))
            if change.failure is not None:
                failures.append((*change.failure, ref))
        for statement, values in rows.items():
            statement.execute(self._connection, values)
        _PARTITION_FAILED.execute(self._connection, failures)
        if index is not None:
            index.update()

    def _apply_operation(self, build: str, changes: Changes, *, index_uses: bool) -> None:
        self._write_missing(build, changes)
        removed = [(one.status, one.values, build, one.time, ref, one.version) for ref, one in changes.removed.items()]
        self._connection.executemany(_PARTITION_REMOVED, removed)
        self._connection.executemany(_PARTITION_GONE, list(changes.gone.items()))
        self._write_partitions(build, changes.partitions, index_uses=index_uses)
        self._write_taints(changes)
        self._connection.executemany(
            "UPDATE builds SET cancel_requested_by = ? WHERE build_request_id = ?",
            [(author, build) for build, author in changes.cancelled.items()],
        )

    def _write_missing(self, build: str, changes: Changes) -> None:
        if changes.missing:
            rows = [(build, time, ref, version) for ref, (version, time) in changes.missing.items()]
            self._connection.executemany(_PARTITION_MISSING, rows)

    def _write_taints(self, changes: Changes) -> None:
        if changes.taints:
            self._connection.executemany(
                "UPDATE partitions SET tainted = ?, taint_reason = ? WHERE ref = ?",
                [(reason is not None, reason or "", ref) for ref, reason in changes.taints.items()],
            )


def _number_of(event: ev.BuildEvent, operations: Sequence[Operation]) -> int:
    """Returns the index of the operation that appends an event."""
    return next(
        number
        for number, operation in enumerate(operations)
        if isinstance(operation, Append) and operation.events[0] is event
    )
