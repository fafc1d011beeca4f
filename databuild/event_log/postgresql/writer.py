"""Writes events and what they change, many appends in one transaction.

Used by one thread. It checks each append with the lifecycle's state machine, and with the database that no other
process writes the same build. A transaction is two trips to the server: one that locks what it will change, one that
changes it and commits; claims take a third, between them.

Transactions lock in one order, so that none waits for one that waits for it: builds by id, partitions by ref, counts of
their own shard by status. Builds that share no partition wait for nothing of each other's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import psycopg

from databuild.errors import InvalidStateTransitionError
from databuild.event_log.group_commit import Append, Operation
from databuild.event_log.postgresql import read_models, snapshots
from databuild.event_log.postgresql.adoption import refusals
from databuild.event_log.postgresql.claims import Claims
from databuild.event_log.postgresql.connection import (
    CHANNEL,
    MAINTENANCE,
    QUERIES,
    RECONNECT_SECONDS,
    connect_again,
    connect_for_writing,
    fault,
    is_lost,
)
from databuild.event_log.postgresql.positions import APPEND
from databuild.event_log.postgresql.read_models import Partitions, in_steps, lock_builds
from databuild.event_log.postgresql.statements import as_json
from databuild.model.lifecycle import BuildState
from databuild.v1 import events_pb2 as ev

_T = TypeVar("_T")
_TRY_AGAIN: Final = frozenset({"23505", "40001", "40P01", "55P03"})
"""SQLSTATEs after which the same transaction may do: another process was first to write an event, or was in the way."""

_MAX_TRIES: Final = 10
_SHARDS: Final = 64
_OF_BUILDS: Final = ("first_events_of_builds", "states_of_builds", "runs_of_builds", "partitions_of_builds")
"""The queries that read what is known of builds."""


class _OvertakenError(Exception):
    """Another process has written builds that this one was writing."""

    def __init__(self, builds: set[str]) -> None:
        super().__init__(builds)
        self.builds = builds


class PostgresqlWriter:
    """A connection for writing, which is made anew when it is lost, and the states of builds written through it."""

    def __init__(
        self,
        uri: str,
        *,
        clock: Callable[[], float] | None = None,
        reconnect_seconds: float = RECONNECT_SECONDS,
    ) -> None:
        """Connects, as `connect_for_writing` says.

        Args:
            uri: The database.
            clock: The clock of leases; by default the server's.
            reconnect_seconds: How long the server may be away before a write fails.
        """
        self._uri = uri
        self._clock = clock
        self._reconnect_seconds = reconnect_seconds
        self._states: dict[str, BuildState] = {}
        self._sharing: set[str] = set()
        self._committing = False
        self._given_up = False
        self._use(connect_for_writing(uri))

    def write(self, operations: Sequence[Operation]) -> list[object]:
        """Performs operations in one transaction, as `Store.write` says.

        A server that goes away is waited for. Where it went away during a commit, what is there afterwards is not
        written again.

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
                    self._abandon()
                    overtaken.update(error.builds)

        results = self._persist(transact)
        for build in [build for build, state in self._states.items() if state.ended]:
            del self._states[build]
            self._sharing.discard(build)
        return results

    def rebuild(self) -> None:
        """Computes the read models anew from the events, and from what those that were pruned added up to.

        Raises:
            EventLogError: The database failed; the read models are as they were.
        """
        self._persist(lambda _: self._rebuild())

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _use(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._shard = connection.info.backend_pid % _SHARDS

    def _persist(self, transact: Callable[[bool], _T]) -> _T:
        """Runs a transaction until it has an outcome.

        Args:
            transact: Runs it; is told whether it may have been committed before.
        """
        in_doubt = False
        tries = 0
        deadline = 0.0
        while True:
            self._committing = False
            try:
                return transact(in_doubt)
            except psycopg.Error as error:
                self._states.clear()
                if not is_lost(self._connection, error):
                    self._abandon()
                    tries += 1
                    if error.sqlstate in _TRY_AGAIN and tries < _MAX_TRIES:
                        continue
                    raise fault(error, self._uri) from error
                in_doubt = in_doubt or self._committing
                now = time.monotonic()
                if 0 < deadline < now:
                    raise fault(error, self._uri) from error
                # Once it was waited for in vain, what is still to be written finds out quickly whether it is back.
                deadline = deadline or now + (0.0 if self._given_up else self._reconnect_seconds)
                self._given_up = True
                self._connection.close()
                self._use(connect_again(self._uri, deadline, writing=True))
                self._given_up = False
            except BaseException:
                self._states.clear()
                self._abandon()
                raise

    def _abandon(self) -> None:
        """Ends the transaction without a trace."""
        try:
            if self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self._connection.execute("ROLLBACK")
        except psycopg.Error:
            pass  # the first error says more

    def _write(self, operations: Sequence[Operation], overtaken: set[str], *, in_doubt: bool) -> list[object]:
        connection = self._connection
        appends = [(number, one.events) for number, one in enumerate(operations) if isinstance(one, Append)]
        claims = Claims(connection, operations, self._clock, self._sharing)
        builds = {events[0].build_request_id for _, events in appends}
        touched = builds | claims.builds | {build for _, events in appends for build in _asked_to_cancel(events)}
        unknown = builds - self._states.keys()
        locked: psycopg.Cursor[tuple[str, str, int]] | None = None
        if unknown:
            with connection.pipeline():
                locked = self._begin(touched)
                take_states = self._load(unknown)
            take_states()
        sequences = {build: self._states[build].last_sequence for build in builds}
        results: list[object] = [None] * len(operations)
        accepted: dict[str, list[ev.BuildEvent]] = {}
        for number, events in appends:
            results[number] = self._check(events, accepted, overtaken, in_doubt=in_doubt)
        groups = in_steps(accepted.items())
        with connection.pipeline():
            locked = locked or self._begin(touched)
            partitions = Partitions(connection, groups, claims.refs)
            claims.lock()

        found = {build: (status, sequence) for build, status, sequence in locked}
        if wrong := {build for build in builds - unknown if found.get(build, ("", 0))[1] != sequences[build]}:
            raise _OvertakenError(wrong)
        statuses = {build: status for build, (status, _) in found.items()}
        statuses |= {step.build_request_id: status for steps in groups for step in steps if (status := step.status)}
        claims.judge(statuses, results)
        if refused := refusals(connection, accepted, groups):
            for number, events in appends:
                results[number] = refused.get(events[0].build_request_id, results[number])
            accepted = {build: events for build, events in accepted.items() if build not in refused}
            groups = [[step for step in steps if step.build_request_id not in refused] for steps in groups]

        def change() -> None:
            for steps in groups:
                read_models.write(connection, steps)
                claims.release(steps)
            if groups:
                partitions.count(self._shard)
            claims.renew()

        if claims.wanted:
            with connection.pipeline():
                change()
                claims.read()
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
        """Makes the last changes, writes the events and commits."""
        connection = self._connection
        rows = [(build, one.sequence, one.SerializeToString()) for build, events in accepted.items() for one in events]
        self._committing = True
        committed: psycopg.Cursor[Any] | None = None
        try:
            with connection.pipeline():
                change()
                if rows:
                    connection.execute(APPEND, [list(column) for column in zip(*rows, strict=True)])
                committed = connection.execute("COMMIT")
                if rows:
                    # In a transaction of its own: the server lets those that notify commit one at a time.
                    connection.execute(f"NOTIFY {CHANNEL}")
        except psycopg.Error:
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
        """Adds events to what is accepted, or returns why they are refused."""
        build = events[0].build_request_id
        state = self._states[build]
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
        """Whether these very events are there already, from a transaction whose outcome was not heard."""
        if state.last_sequence < events[-1].sequence:
            return False
        rows = self._connection.execute(
            "SELECT payload FROM events WHERE build_request_id = %s AND sequence BETWEEN %s AND %s ORDER BY sequence",
            (events[0].build_request_id, events[0].sequence, events[-1].sequence),
            binary=True,
        )
        return [ev.BuildEvent.FromString(payload) for (payload,) in rows] == list(events)

    def _load(self, builds: Iterable[str]) -> Callable[[], None]:
        """Asks for what the database knows of builds; what is returned takes the answers."""
        execute = self._connection.execute
        ids = {"keys": as_json(sorted(builds))}
        first, states, runs, partitions = (execute(QUERIES[name].encode(), ids) for name in _OF_BUILDS)

        def take() -> None:
            operations = {build for (build,) in first}
            known = {build: (status, last) for build, status, last in states}
            jobs: dict[str, list[tuple[str, str]]] = {}
            for build, run, status in runs:
                jobs.setdefault(build, []).append((run, status))
            refs: dict[str, list[tuple[str, str]]] = {}
            for build, ref, status in partitions:
                refs.setdefault(build, []).append((ref, status))
            for build in builds:
                if build in known:
                    status, last = known[build]
                    self._states[build] = BuildState.recorded(
                        build, status, last_sequence=last, jobs=jobs.get(build, ()), partitions=refs.get(build, ())
                    )
                else:
                    self._states[build] = BuildState.of_operation(build) if build in operations else BuildState(build)

        return take

    def _rebuild(self) -> None:
        connection = self._connection
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", MAINTENANCE)
            snapshots.restart(connection)
            for events, settled in snapshots.pages(connection):
                runs = ((event.build_request_id, [event]) for event in events)
                for steps in in_steps(runs, settled):
                    partitions = Partitions(connection, [steps])
                    read_models.write(connection, steps)
                    partitions.count(self._shard)
            self._committing = True


def _asked_to_cancel(events: Sequence[ev.BuildEvent]) -> Iterator[str]:
    """Yields the builds that events ask to be cancelled."""
    for event in events:
        if event.WhichOneof("event") == "cancel_request":
            yield event.cancel_request.target_build_request_id
