"""Writes the read models in PostgreSQL, with one statement for the rows of many builds.

Used inside a transaction of the writer. `projection.Changes` computes the rows; this module writes them, and locks rows
in an order that avoids deadlocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import psycopg

from databuild.event_log.postgresql.connection import QUERIES
from databuild.event_log.postgresql.statements import ManyRows, as_json
from databuild.event_log.projection import (
    BuildPartition,
    Changes,
    EndedRun,
    NewRun,
    PartitionData,
    PlacedRun,
    RunCheck,
    RunMetric,
    RunSchema,
    StartedRun,
    refs_of,
)
from databuild.model import statuses
from databuild.model.lifecycle import OPERATIONS
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev

_TYPES: Final = {
    "number": "bigint",
    "task_id": "bigint",
    "attempt": "bigint",
    "exit_code": "bigint",
    "peak_memory_bytes": "bigint",
    "scheduled_time": "float8",
    "started_time": "float8",
    "ended_time": "float8",
    "duration_seconds": "float8",
    "cpu_seconds": "float8",
    "placed_time": "float8",
    "worker_request": "bigint",
    "queued_seconds": "float8",
    "stdout_bytes": "bigint",
    "stderr_bytes": "bigint",
    "value": "float8",
    "passed": "boolean",
}


def _columns(names: Iterable[str]) -> dict[str, str]:
    return {name: _TYPES.get(name, "text") for name in names}


def _update_runs(names: Sequence[str]) -> ManyRows:
    sets = ", ".join(f"{name} = new.{name}" for name in names if name != "job_run_id")
    return ManyRows(
        _columns(names),
        f"UPDATE job_runs SET {sets} FROM {{new}} WHERE job_runs.job_run_id = new.job_run_id",
    )


_NEW_RUN: Final = ManyRows(
    _columns(NewRun._fields),
    f"INSERT INTO job_runs ({', '.join(NewRun._fields)}) SELECT * FROM {{new}} ON CONFLICT DO NOTHING",
)
_STARTED_RUN: Final = _update_runs(StartedRun._fields)
_ENDED_RUN: Final = _update_runs(EndedRun._fields)
_PLACED_RUN: Final = ManyRows(
    _columns(PlacedRun._fields),
    f"""INSERT INTO placements AS old ({", ".join(PlacedRun._fields)})
    SELECT * FROM {{new}} ON CONFLICT (job_run_id) DO UPDATE SET
      executor = coalesce(nullif(excluded.executor, ''), old.executor),
      machine = coalesce(nullif(excluded.machine, ''), old.machine),
      placed_time = coalesce(nullif(excluded.placed_time, 0), old.placed_time),
      queued_seconds = CASE WHEN excluded.placed_time > 0 THEN excluded.queued_seconds ELSE old.queued_seconds END,
      log_store = coalesce(nullif(excluded.log_store, ''), old.log_store),
      stdout_bytes = coalesce(excluded.stdout_bytes, old.stdout_bytes),
      stderr_bytes = coalesce(excluded.stderr_bytes, old.stderr_bytes),
      worker_id = coalesce(nullif(excluded.worker_id, ''), old.worker_id),
      worker_request = coalesce(nullif(excluded.worker_request, 0), old.worker_request)""",
)


def _replace(table: str, names: Sequence[str], key: Sequence[str]) -> ManyRows:
    sets = ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)
    return ManyRows(
        _columns(names),
        f"INSERT INTO {table} ({', '.join(names)}) SELECT * FROM {{new}} "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}",
    )


_METRIC: Final = _replace("job_run_metrics", RunMetric._fields, ("job_run_id", "name", "ref"))
_CHECK: Final = _replace("job_run_checks", RunCheck._fields, ("job_run_id", "name", "ref"))
_SCHEMA: Final = _replace("job_run_schemas", RunSchema._fields, ("job_run_id", "ref"))
_BUILD_PARTITION: Final = ManyRows(
    _columns(("build_request_id", "ref", *BuildPartition._fields)),
    f"""INSERT INTO build_partitions AS old (build_request_id, ref, {", ".join(BuildPartition._fields)})
    SELECT * FROM {{new}} ON CONFLICT (build_request_id, ref) DO UPDATE SET
      status = excluded.status, job_run_id = excluded.job_run_id,
      task_id = CASE WHEN excluded.task_id > 0 THEN excluded.task_id ELSE old.task_id END,
      reason = CASE WHEN excluded.reason <> '' THEN excluded.reason ELSE old.reason END,
      cause = CASE WHEN excluded.reason <> '' OR excluded.cause <> '' THEN excluded.cause ELSE old.cause END,
      failure_category = excluded.failure_category, failure_message = excluded.failure_message""",
)
# A version means complete data, and then all other columns of the data have values, too. Null keeps the old value.
_PARTITION: Final = ManyRows(
    {
        "ref": "text",
        "status": "text",
        "build_request_id": "text",
        "time": "float8",
        "touched": "boolean",
        "version": "text",
        "job_run_id": "text",
        "metadata": "text",
        "adoption": "text",
        "location": "text",
        "failure_category": "text",
        "failure_message": "text",
    },
    """UPDATE partitions AS old SET
      status = coalesce(new.status, old.status), time = coalesce(new.time, old.time),
      build_request_id = coalesce(new.build_request_id, old.build_request_id),
      available = (new.version IS NOT NULL OR old.available) AND NOT new.touched,
      version = coalesce(new.version, old.version), job_run_id = coalesce(new.job_run_id, old.job_run_id),
      metadata = coalesce(new.metadata, old.metadata), adoption = coalesce(new.adoption, old.adoption),
      location = coalesce(new.location, old.location),
      tainted = old.tainted AND new.version IS NULL,
      taint_reason = CASE WHEN new.version IS NULL THEN old.taint_reason ELSE '' END,
      removal = CASE WHEN new.version IS NULL THEN old.removal ELSE '' END,
      failure_category = CASE WHEN new.version IS NULL THEN coalesce(new.failure_category, old.failure_category)
        ELSE new.failure_category END,
      failure_message = CASE WHEN new.version IS NULL THEN coalesce(new.failure_message, old.failure_message)
        ELSE new.failure_message END
    FROM {new} WHERE old.ref = new.ref""",
)
_MISSING: Final = ManyRows(
    {"ref": "text", "build_request_id": "text", "time": "float8", "version": "text"},
    """UPDATE partitions AS old SET
      status = 'MISSING', available = FALSE, build_request_id = new.build_request_id, time = new.time
    FROM {new} WHERE old.ref = new.ref AND old.version = new.version AND old.available""",
)
_REMOVED: Final = ManyRows(
    {
        "ref": "text",
        "build_request_id": "text",
        "version": "text",
        "status": "text",
        "time": "float8",
        "removal": "text",
    },
    """UPDATE partitions AS old SET
      status = new.status, available = FALSE, removal = new.removal, build_request_id = new.build_request_id,
      time = new.time, tainted = FALSE, taint_reason = ''
    FROM {new} WHERE old.ref = new.ref AND old.version = new.version AND old.status <> ''""",
)
_GONE: Final = ManyRows(
    {"ref": "text", "version": "text"},
    """UPDATE partitions AS old SET location = '' FROM {new}
    WHERE old.ref = new.ref AND old.version = new.version AND NOT old.available AND old.removal <> ''""",
)
_DELEGATED: Final = ManyRows(
    {"ref": "text", "build_request_id": "text"},
    """UPDATE partitions AS old SET status = 'AVAILABLE' FROM {new}
    WHERE old.ref = new.ref AND old.build_request_id = new.build_request_id AND old.available""",
)
_TAINTED: Final = ManyRows(
    {"ref": "text", "tainted": "boolean", "reason": "text"},
    "UPDATE partitions AS old SET tainted = new.tainted, taint_reason = new.reason FROM {new} WHERE old.ref = new.ref",
)
_BUILD_REQUEST: Final = ManyRows(
    {"build_request_id": "text", "requested": "text"},
    "INSERT INTO build_requests (build_request_id, requested) SELECT * FROM {new}",
)
_CANCELLED: Final = ManyRows(
    {"build_request_id": "text", "author": "text"},
    """UPDATE builds AS old SET cancel_requested_by = new.author FROM {new}
    WHERE old.build_request_id = new.build_request_id""",
)


class Step(NamedTuple):
    """The changes of consecutive events of one build, or of one operation."""

    build_request_id: str
    changes: Changes
    is_new: bool
    is_operation: bool

    @property
    def status(self) -> str:
        """The new status of the build; empty if it has not changed."""
        return str(self.changes.build.get("status", ""))


def group_steps(
    runs: Iterable[tuple[str, Sequence[ev.BuildEvent]]], covered: Collection[tuple[str, str]] = ()
) -> list[list[Step]]:
    """Returns the changes of events, in groups that must be written in order.

    Within a group no two builds change the same row, so that one statement can write the rows of all.

    Args:
        runs: Builds with consecutive events, in the order in which they take effect.
        covered: The parts that snapshots already include, as `Changes` expects them.
    """
    groups: list[dict[str, list[ev.BuildEvent]]] = [{}]
    owners: dict[str, str] = {}
    for build, events in runs:
        keys = {build, *(key for event in events for key in _keys(event))}
        if any(owners.get(key, build) != build for key in keys):
            # Another build of the group changes the same row, and the order of their changes matters.
            groups.append({})
            owners = {}
        owners.update(dict.fromkeys(keys, build))
        groups[-1].setdefault(build, []).extend(events)
    return [
        [
            Step(build, Changes(events, covered), events[0].sequence == 1, events[0].WhichOneof("event") in OPERATIONS)
            for build, events in group.items()
        ]
        for group in groups
    ]


def lock_builds(connection: psycopg.Connection[Any], builds: Iterable[str]) -> psycopg.Cursor[tuple[str, str, int]]:
    """Locks builds, and returns the ids, statuses and last sequence numbers of those that exist."""
    return _execute(connection, "lock_builds", keys=as_json(sorted(set(builds))))


class LockedPartitions:
    """The partitions that a transaction changes or claims: locked before the changes, and evaluated after them."""

    def __init__(
        self, connection: psycopg.Connection[Any], groups: Iterable[Iterable[Step]], claimed: Iterable[str] = ()
    ) -> None:
        """Locks the partitions, in the order of refs, and creates rows for those that have none.

        Args:
            connection: The connection.
            groups: The changes.
            claimed: The refs to claim.
        """
        self._connection = connection
        created = set(claimed)
        self._produced: set[str] = set()
        self._new_runs: set[str] = set()
        groups = list(groups)
        self._several_groups = len(groups) > 1
        existing: set[str] = set()  # a delegation or taint has no effect on a partition without a row
        for changes in (step.changes for group in groups for step in group):
            created.update(changes.partitions)
            for ref, change in changes.partitions.items():
                if change.data is not None:
                    self._produced.add(ref)
                    self._new_runs.add(change.data[1])
            existing.update(changes.delegated, changes.taints, changes.missing, changes.removed, changes.gone)
        self._refs = as_json(sorted(created | existing))
        self._locked: psycopg.Cursor[tuple[str, str, bool, str]] | None = None
        if created:
            _execute(connection, "create_partitions", keys=as_json(sorted(created)))
        if created or existing:
            self._locked = _execute(connection, "lock_partitions", keys=self._refs)

    def update_totals(self, shard: int, *, index_uses: bool = True) -> None:
        """Updates what depends on the partitions before and after all changes: counts, and uses of replaced data.

        Args:
            shard: The shard of the counts to which the changes of the number of partitions by status are added.
            index_uses: False to leave the index of uses as it is.
        """
        if self._locked is None:
            return
        before: Counter[str] = Counter()
        # One of several groups may replace data of an earlier one.
        replaced = self._new_runs - {""} if self._several_groups else set()
        for ref, status, tainted, run in self._locked:
            before[status] += 1
            before[statuses.TAINTED] += tainted
            if run and ref in self._produced:
                replaced.add(run)
        if replaced and index_uses:
            runs = as_json(sorted(replaced))
            _execute(self._connection, "lock_runs", keys=runs)
            _execute(self._connection, "remove_uses_of_runs", keys=runs)
        _execute(self._connection, "count_partitions", shard=shard, keys=self._refs, before=as_json(before))


def write(connection: psycopg.Connection[Any], steps: Sequence[Step], *, index_uses: bool = True) -> None:
    """Writes the steps of one group; without `index_uses`, the index of uses stays as it is."""
    builds = [step for step in steps if not step.is_operation]
    new_builds = [{"build_request_id": step.build_request_id, **step.changes.build} for step in builds if step.is_new]
    if new_builds:
        _execute(connection, "new_builds", builds=as_json(new_builds))
        _BUILD_REQUEST.execute(connection, [(s.build_request_id, s.changes.requested) for s in builds if s.is_new])
    if builds:
        rows = [{"build_request_id": s.build_request_id, **s.changes.build, **s.changes.increments} for s in builds]
        _execute(connection, "update_builds", builds=as_json(rows))
    _NEW_RUN.execute(connection, [run for step in builds for run in step.changes.new_runs])
    _STARTED_RUN.execute(connection, [run for step in builds for run in step.changes.started_runs])
    _ENDED_RUN.execute(connection, [run for step in builds for run in step.changes.ended_runs])
    _PLACED_RUN.execute(connection, [run for step in builds for run in step.changes.placed_runs.values()])
    _METRIC.execute(connection, [row for step in builds for row in step.changes.metrics.values()])
    _CHECK.execute(connection, [row for step in builds for row in step.changes.checks.values()])
    _SCHEMA.execute(connection, [row for step in builds for row in step.changes.schemas.values()])
    _BUILD_PARTITION.execute(
        connection,
        [(s.build_request_id, ref, *row) for s in builds for ref, row in s.changes.build_partitions.items()],
    )
    data = _data_of(steps) if index_uses else {}
    if runs := sorted({run for _, run, _, _, _ in data.values() if run}):
        _execute(connection, "new_uses_of_runs", keys=as_json(runs))
    lost = [(ref, s.build_request_id, time, v) for s in steps for ref, (v, time) in s.changes.missing.items()]
    _MISSING.execute(connection, lost)
    _REMOVED.execute(
        connection, [(ref, s.build_request_id, *one) for s in steps for ref, one in s.changes.removed.items()]
    )
    _GONE.execute(connection, [item for step in steps for item in step.changes.gone.items()])
    _PARTITION.execute(connection, [row for step in steps for row in _partition_rows(step)])
    if data:
        _execute(connection, "remove_uses_of_outputs", keys=as_json(sorted(data)))
    if adopted := sorted(ref for ref, (_, _, _, adoption, _) in data.items() if adoption):
        _execute(connection, "new_uses_of_outputs", keys=as_json(adopted))
    _DELEGATED.execute(connection, [(ref, s.build_request_id) for s in builds for ref in s.changes.delegated])
    taints = [item for step in steps for item in step.changes.taints.items()]
    _TAINTED.execute(connection, [(ref, reason is not None, reason or "") for ref, reason in taints])
    _CANCELLED.execute(connection, [item for step in steps for item in step.changes.cancelled.items()])


def place_builds(connection: psycopg.Connection[Any], appends: Iterable[Sequence[ev.BuildEvent]]) -> None:
    """Puts new builds in their places in the order of builds, after their first events were inserted."""
    new = [
        events[0].build_request_id
        for events in appends
        if events[0].sequence == 1 and events[0].WhichOneof("event") not in OPERATIONS
    ]
    if new:
        _execute(connection, "place_builds", keys=as_json(new))


def _data_of(steps: Sequence[Step]) -> dict[str, PartitionData]:
    """Returns the new data of partitions, by ref."""
    return {
        ref: change.data for step in steps for ref, change in step.changes.partitions.items() if change.data is not None
    }


def _partition_rows(step: Step) -> Iterator[tuple[Any, ...]]:
    for ref, change in step.changes.partitions.items():
        data = change.data or (None, None, None, None, None)
        failure = change.failure or (None, None)
        yield (ref, change.status, step.build_request_id, change.time, change.touched, *data, *failure)


def _keys(event: ev.BuildEvent) -> Iterator[str]:
    """Yields the partitions and other builds that an event changes."""
    yield from refs_of(event)
    if event.WhichOneof("event") == "cancel_request":
        yield event.cancel_request.target_build_request_id


def _execute(connection: psycopg.Connection[Any], query: str, **values: Any) -> psycopg.Cursor[Any]:
    return connection.execute(QUERIES[query].encode(), values)
