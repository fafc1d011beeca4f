"""Writes events and the read models in PostgreSQL, many appends in one transaction.

Used by one thread. It checks each append against the lifecycle, and checks in the database that no other process writes
the same build. A transaction takes two trips to the server: one locks the rows, one changes them and commits. Claims
take a third trip between them.

All transactions lock in the same order, which avoids deadlocks: builds by id, partitions by ref, and counts of the
writer's shard by status. Builds that share no partitions do not wait for each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import psycopg

from databuild.errors import InvalidStateTransitionError
from databuild.event_log.group_commit import Append, Operation, builds_of_refused
from databuild.event_log.postgresql import read_models, snapshots
from databuild.event_log.postgresql.claims import Claims, operation_refusals
from databuild.event_log.postgresql.connection import (
    CHANNEL,
    MAINTENANCE,
    QUERIES,
    RECONNECT_SECONDS,
    connect_again,
    connect_for_writing,
    event_log_error,
    is_lost,
)
from databuild.event_log.postgresql.positions import APPEND
from databuild.event_log.postgresql.read_models import LockedPartitions, group_steps, lock_builds
from databuild.event_log.postgresql.statements import as_json
from databuild.model.lifecycle import BuildState
from databuild.v1 import events_pb2 as ev

_T = TypeVar("_T")
_RETRYABLE: Final = frozenset({"23505", "40001", "40P01", "55P03"})
"""SQLSTATEs of conflicts with another process, after which the same transaction may succeed: unique violation (of an
event), serialization failure, deadlock and lock timeout."""

_MAX_ATTEMPTS: Final = 10
# The counts of partitions by status are sums over shards. With one row for each status, every transaction that changes
# a partition would wait for the one before it.
_SHARDS: Final = 64
_OF_BUILDS: Final = ("first_events_of_builds", "states_of_builds", "runs_of_builds", "partitions_of_builds")
"""The queries that load the states of builds."""


class _OvertakenError(Exception):
    """Another process has written events of builds that this process was writing."""

    def __init__(self, builds: set[str]) -> None:
        super().__init__(builds)
        self.builds = builds


class PostgresqlWriter:
    """A connection for writing, which is reopened when it is lost, and the states of the builds written through it."""

    def __init__(
        self,
        uri: str,
        *,
        clock: Callable[[], float] | None = None,
        reconnect_seconds: float = RECONNECT_SECONDS,
    ) -> None:
        """Connects, see `connect_for_writing`.

        Args:
            uri: The database.
            clock: The clock of leases; by default the server's.
            reconnect_seconds: The time for which a write tries to reconnect before it fails.
        """
        self._uri = uri
        self._clock = clock
        self._reconnect_seconds = reconnect_seconds
        self._states: dict[str, BuildState] = {}
        # Builds that use resources, or may do so since another process began them. Most do not.
        self._sharing: set[str] = set()
        self._committing = False
        self._given_up = False
        self._use(connect_for_writing(uri))

    def write(self, operations: Sequence[Operation]) -> list[object]:
        """Performs operations in one transaction, see `Store.write`.

        It reconnects if the connection is lost. After a loss during a commit, events that were written are recognized
        and not written again.

        Raises:
            EventLogError: The transaction failed; nothing was written.
        """
        overtaken: set[str] = set()

        def transact(in_doubt: bool) -> list[object]:
            while True:
                try:
                    return self._write(operations, overtaken, in_doubt=in_doubt)
                except _OvertakenError as error:
                    self._states.clear()
                    self._rollback()
                    overtaken.update(error.builds)

        results = self._retry(transact)
        for build in overtaken | builds_of_refused(operations, results):
            self._states.pop(build, None)
        for build in [build for build, state in self._states.items() if state.ended]:  # no events follow
            del self._states[build]
            self._sharing.discard(build)
        return results

    def rebuild(self) -> None:
        """Rebuilds the read models from the events, and from snapshots in place of pruned events.

        Raises:
            EventLogError: The database failed; the read models are unchanged.
        """
        self._retry(lambda _: self._rebuild())

    def close(self) -> None:
        self._connection.close()

    def _use(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        # Sessions at the same time have different process ids, so writers mostly have different shards.
        self._shard = connection.info.backend_pid % _SHARDS

    def _retry(self, transact: Callable[[bool], _T]) -> _T:
        """Runs a transaction, and repeats it after conflicts and lost connections.

        Args:
            transact: Runs it; the argument is True if an earlier attempt may have been committed.
        """
        in_doubt = False
        attempts = 0
        deadline = 0.0
        while True:
            self._committing = False
            try:
                return transact(in_doubt)
            except psycopg.Error as error:
                self._states.clear()
                if not is_lost(self._connection, error):
                    self._rollback()
                    attempts += 1
                    if error.sqlstate in _RETRYABLE and attempts < _MAX_ATTEMPTS:
                        continue
                    raise event_log_error(error, self._uri) from error
                in_doubt = in_doubt or self._committing
                now = time.monotonic()
                if 0 < deadline < now:
                    raise event_log_error(error, self._uri) from error
                # After a failed wait for the server, later transactions make only one attempt: callers are waiting.
                deadline = deadline or now + (0.0 if self._given_up else self._reconnect_seconds)
                self._given_up = True
                self._connection.close()
                self._use(connect_again(self._uri, deadline, writing=True))
                self._given_up = False
            except BaseException:
                self._states.clear()
                self._rollback()
                raise

    def _rollback(self) -> None:
        try:
            if self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self._connection.execute("ROLLBACK")
        except psycopg.Error:
            pass  # the first error is more specific

    def _write(self, operations: Sequence[Operation], overtaken: set[str], *, in_doubt: bool) -> list[object]:
        connection = self._connection
        appends = [
            (number, operation.events) for number, operation in enumerate(operations) if isinstance(operation, Append)
        ]
        claims = Claims(connection, operations, self._clock, self._sharing)
        builds = {events[0].build_request_id for _, events in appends}
        # All builds whose rows change are locked at once, in one order.
        changed = builds | claims.builds | {build for _, events in appends for build in _cancelled_builds(events)}
        unloaded = builds - self._states.keys()
        locked: psycopg.Cursor[tuple[str, str, int]] | None = None
        if unloaded:
            with connection.pipeline():
                locked = self._begin(changed)
                store_states = self._load(unloaded)
            store_states()
        sequences = {build: self._states[build].last_sequence for build in builds}  # before `_check` advances them
        results: list[object] = [None] * len(operations)
        accepted: dict[str, list[ev.BuildEvent]] = {}
        for number, events in appends:
            results[number] = self._check(events, accepted, overtaken, in_doubt=in_doubt)
        groups = group_steps(accepted.items())
        with connection.pipeline():
            locked = locked or self._begin(changed)
            partitions = LockedPartitions(connection, groups, claims.refs | _expected(accepted))
            claims.read_leases()

        # The cached states were used before the locks were taken, so compare them with the rows that are locked now.
        stored = {build: (status, sequence) for build, status, sequence in locked}
        if overtaken_now := {build for build in builds - unloaded if stored.get(build, ("", 0))[1] != sequences[build]}:
            raise _OvertakenError(overtaken_now)
        statuses = {build: status for build, (status, _) in stored.items()}
        statuses |= {step.build_request_id: status for steps in groups for step in steps if (status := step.status)}
        claims.check_leases(statuses, results)
        if refused := operation_refusals(connection, accepted, groups):
            for number, events in appends:
                results[number] = refused.get(events[0].build_request_id, results[number])
            accepted = {build: events for build, events in accepted.items() if build not in refused}
            groups = [[step for step in steps if step.build_request_id not in refused] for steps in groups]

        def change() -> None:
            for steps in groups:
                read_models.write(connection, steps)
                claims.release(steps)
            if groups:
                partitions.update_totals(self._shard)
            claims.renew()

        if claims.accepted:
            with connection.pipeline():
                change()
                claims.read_candidates()
            claims.grant(results)
            self._commit(claims.write, accepted)
        else:
            self._commit(change, accepted)
        return results

    def _begin(self, builds: Iterable[str]) -> psycopg.Cursor[tuple[str, str, int]]:
        self._connection.execute("BEGIN")
        self._connection.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", MAINTENANCE)
        return lock_builds(self._connection, builds)

    def _commit(self, change: Callable[[], None], accepted: Mapping[str, Sequence[ev.BuildEvent]]) -> None:
        """Runs the last changes, writes the events and commits."""
        connection = self._connection
        rows = [
            (build, event.sequence, event.SerializeToString()) for build, events in accepted.items() for event in events
        ]
        self._committing = True  # from here on, a lost connection leaves the outcome in doubt
        committed: psycopg.Cursor[Any] | None = None
        try:
            with connection.pipeline():
                change()
                if rows:
                    connection.execute(APPEND, [list(column) for column in zip(*rows, strict=True)])
                    read_models.place_builds(connection, accepted.values())
                committed = connection.execute("COMMIT")
                if rows:
                    # In a transaction of its own: transactions with NOTIFY commit one at a time in the whole server.
                    connection.execute(f"NOTIFY {CHANNEL}")
        except psycopg.Error:
            # A failure of NOTIFY alone does not matter: readers also poll.
            if committed is None or committed.statusmessage != "COMMIT":
                raise

    def _check(
        self,
        events: Sequence[ev.BuildEvent],
        accepted: dict[str, list[ev.BuildEvent]],
        overtaken: set[str],
        *,
        in_doubt: bool,
    ) -> InvalidStateTransitionError | None:
        """Adds events to the accepted ones, or returns the error that refuses them."""
        build = events[0].build_request_id
        state = self._states[build]
        # The earlier attempt may have been committed; `advance` would refuse these events as duplicates.
        if in_doubt and build not in accepted and self._is_written(events, state):
            return None
        if build in overtaken:
            return InvalidStateTransitionError(f"build {build!r}, which another process writes", "an event")
        try:
            state.advance(events)
        except InvalidStateTransitionError as error:
            return error
        accepted.setdefault(build, []).extend(events)
        return None

    def _is_written(self, events: Sequence[ev.BuildEvent], state: BuildState) -> bool:
        """Returns True if exactly these events are in the log, from a commit whose answer was lost."""
        if state.last_sequence < events[-1].sequence:
            return False
        rows = self._connection.execute(
            "SELECT payload FROM events WHERE build_request_id = %s AND sequence BETWEEN %s AND %s ORDER BY sequence",
            (events[0].build_request_id, events[0].sequence, events[-1].sequence),
            binary=True,
        )
        return [ev.BuildEvent.FromString(payload) for (payload,) in rows] == list(events)

    def _load(self, builds: Iterable[str]) -> Callable[[], None]:
        """Sends the queries for the states of builds, and returns a function that stores the answers.

        The queries are pipelined, so the answers arrive only when the pipeline ends.
        """
        execute = self._connection.execute
        ids = {"keys": as_json(sorted(builds))}
        first, states, runs, partitions = (execute(QUERIES[name].encode(), ids) for name in _OF_BUILDS)

        def store_states() -> None:
            operations = {build for (build,) in first}
            rows = {build: (status, last) for build, status, last in states}
            jobs: dict[str, list[tuple[str, str]]] = {}
            for build, run, status in runs:
                jobs.setdefault(build, []).append((run, status))
            refs: dict[str, list[tuple[str, str]]] = {}
            for build, ref, status in partitions:
                refs.setdefault(build, []).append((ref, status))
            for build in builds:
                if build in rows:
                    status, last = rows[build]
                    self._sharing.add(build)
                    self._states[build] = BuildState.from_records(
                        build, status, last_sequence=last, jobs=jobs.get(build, ()), partitions=refs.get(build, ())
                    )
                else:
                    self._states[build] = BuildState.of_operation(build) if build in operations else BuildState(build)

        return store_states

    def _rebuild(self) -> None:
        connection = self._connection
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", MAINTENANCE)
            snapshots.reset_read_models(connection)
            for events, covered in snapshots.pages(connection):
                runs = ((event.build_request_id, [event]) for event in events)
                for steps in group_steps(runs, covered):
                    partitions = LockedPartitions(connection, [steps])
                    read_models.write(connection, steps, index_uses=False)
                    partitions.update_totals(self._shard, index_uses=False)
                read_models.place_builds(connection, ([event] for event in events))
            snapshots.fill_uses(connection)
            self._committing = True


def _expected(accepted: Mapping[str, Sequence[ev.BuildEvent]]) -> set[str]:
    """Returns the partitions on which promotions rely, so that no other transaction changes them."""
    return {used.ref for events in accepted.values() for used in events[0].adoption.expected}


def _cancelled_builds(events: Sequence[ev.BuildEvent]) -> Iterator[str]:
    """Yields the builds that events request to cancel."""
    for event in events:
        if event.WhichOneof("event") == "cancel_request":
            yield event.cancel_request.target_build_request_id
