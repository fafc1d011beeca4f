"""Reads the read models and the events of any SQL database through the statements of `queries.sql`.

The reader of each database is a subclass that runs the statements, waits for events, measures the log and reads from a
snapshot. Imports little, so that commands that only read start fast.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from databuild.errors import BuildNotFoundError
from databuild.event_log.rows import (
    PartitionRecords,
    build_partition_record,
    build_record,
    job_run_record,
    metadata_of,
    named_rows,
    placed_data,
    reported_data,
    resource_uses,
    stored_data,
)
from databuild.model import statuses
from databuild.model.records import (
    BuildPartitionRecord,
    BuildRecord,
    CheckRecord,
    JobRunRecord,
    LogSizes,
    MetricRecord,
    PartitionRecord,
    PartitionState,
    PartitionUse,
    PlacedData,
    ReportedData,
    StoredData,
    StoredRow,
)
from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from databuild.event_log.coordination import Lease, ResourceUse
    from databuild.event_log.queries import Queries
    from databuild.event_log.tables import Table
    from databuild.v1.events_pb2 import BuildEvent

_MAX_KEY: Final = "\U0010ffff"
"""Sorts after all keys, since texts are ordered by code points."""

_MAX_POSITION: Final = 2**63 - 1
"""Greater than all positions of events."""


class ResultSet(NamedTuple):
    """The result of a statement: the names of its columns, and its rows; both empty if there are no tables."""

    columns: tuple[str, ...]
    rows: list[Any]


class SqlReader:
    """The part of `Reader` that is the same for all SQL databases."""

    def __init__(
        self,
        queries: Queries,
        fetch: Callable[[str, Mapping[str, Any]], ResultSet],
        now: Callable[[], float | None],
        as_json: Callable[[Any], str] = json.dumps,
    ) -> None:
        """Reads nothing yet.

        Args:
            queries: The statements.
            fetch: Runs a statement with parameters.
            now: Returns the time for leases, in seconds since the epoch; None for the clock of the server.
            as_json: Encodes lists of keys.
        """
        self._queries = queries
        self._fetch = fetch
        self._now = now
        self._as_json = as_json
        self._records = PartitionRecords(lambda keys: self._rows("inputs_of_runs", keys=self._as_json(keys)))

    def build(self, build_request_id: str) -> BuildRecord | None:
        rows = self._named("build", build_request_id=build_request_id)
        return build_record(rows[0]) if rows else None

    def cancel_requests(self, build_request_ids: Collection[str]) -> Mapping[str, str]:
        return dict(self._rows("cancel_requests", keys=self._as_json(list(build_request_ids))))

    def first_position(self, build_request_id: str) -> int | None:
        rows = self._rows("first_position", build_request_id=build_request_id)
        return int(rows[0][0]) if rows else None

    def builds_beginning(self, prefix: str, limit: int = 10) -> Sequence[str]:
        return [build for (build,) in self._rows("builds_beginning", prefix=prefix, end=prefix + _MAX_KEY, limit=limit)]

    def builds(self, *, status: str | None = None, before: str | None = None, limit: int = 20) -> Sequence[BuildRecord]:
        position = _MAX_POSITION
        if before:
            places = self._rows("place_of_build", build_request_id=before)
            if not places:
                raise BuildNotFoundError(before)
            ((position,),) = places
        page = {"position": position, "before": before or "", "limit": limit}
        if status is None:
            rows = self._named("builds", **page)
        else:
            rows = self._named("builds_by_status", status=status, **page)
        return [build_record(row) for row in rows]

    def build_partitions(
        self, build_request_id: str, *, status: str | None = None, after: str = "", limit: int = 1000
    ) -> Sequence[BuildPartitionRecord]:
        page = {"build_request_id": build_request_id, "status": status or "", "after": after, "limit": limit}
        return [build_partition_record(row) for row in self._named("build_partitions", **page)]

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]:
        page = {"build_request_id": build_request_id, "status": status or "", "after": after, "limit": limit}
        return [job_run_record(row) for row in self._named("job_runs", **page)]

    def job_run(self, job_run_id: str) -> JobRunRecord | None:
        rows = self._named("job_run", job_run_id=job_run_id)
        return job_run_record(rows[0]) if rows else None

    def runs_of_job(self, job_label: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        return [job_run_record(row) for row in self._named("runs_of_job", job_label=job_label, limit=limit)]

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        from databuild.v1.events_pb2 import BuildEvent

        rows = self._rows("events", build_request_id=build_request_id, after=after_sequence, limit=limit)
        return [BuildEvent.FromString(payload) for (payload,) in rows]

    def partition_records(self, refs: Collection[str]) -> Mapping[str, PartitionRecord]:
        rows = self._named("partitions_by_refs", keys=self._as_json(list(refs)))
        return {record.ref: record for record in self._records.of(rows)}

    def partition_states(self, refs: Collection[str]) -> Mapping[str, PartitionState]:
        rows = self._rows("partition_states", keys=self._as_json(list(refs)))
        return {
            ref: PartitionState(ref, status, bool(available), version, bool(tainted))
            for ref, status, available, version, tainted in rows
        }

    def metadata_of(self, refs: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        return dict(metadata_of(self._rows("metadata_of", keys=self._as_json(list(refs)))))

    def stored_data_of(self, refs: Collection[str]) -> Sequence[StoredData]:
        return stored_data(self.stored_rows_of(refs))

    def stored_data_under(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[StoredData]:
        return stored_data(self.stored_rows_under(prefix, after=after, limit=limit))

    def stored_rows_of(self, refs: Collection[str]) -> Sequence[StoredRow]:
        return self._rows("stored_data_of", keys=self._as_json(list(refs)))

    def stored_rows_under(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[StoredRow]:
        page = {"min_ref": max(after, prefix), "after": after, "end": prefix + _MAX_KEY, "limit": limit}
        return self._rows("stored_data_under", **page)

    def placed_data_of(self, refs: Collection[str]) -> Sequence[PlacedData]:
        return placed_data(self._rows("placed_data_of", keys=self._as_json(list(refs))))

    def placed_data_under(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[PlacedData]:
        page = {"min_ref": max(after, prefix), "after": after, "end": prefix + _MAX_KEY, "limit": limit}
        return placed_data(self._rows("placed_data_under", **page))

    def reported_under(self, prefix: str = "", *, before: str = "", limit: int = 100) -> Sequence[ReportedData]:
        page = {"min_ref": prefix, "end": before or prefix + _MAX_KEY, "limit": limit}
        return reported_data(self._named("reported_under", **page))

    def reported_of(self, refs: Collection[str]) -> Sequence[ReportedData]:
        return reported_data(self._named("reported_of", keys=self._as_json(list(refs))))

    def metrics_of_runs(self, job_run_ids: Collection[str]) -> Sequence[MetricRecord]:
        keys = self._as_json(list(job_run_ids))
        return [MetricRecord._make(row) for row in self._rows("metrics_of_runs", keys=keys)]

    def checks_of_runs(self, job_run_ids: Collection[str], *, limit: int = 1000) -> Sequence[CheckRecord]:
        rows = self._rows("checks_of_runs", keys=self._as_json(list(job_run_ids)), limit=limit)
        return [
            CheckRecord(run, name, ref, bool(passed), severity, message)
            for run, name, ref, passed, severity, message in rows
        ]

    def schemas_of(self, ref: str, job_run_ids: Collection[str]) -> Mapping[str, Mapping[str, str]]:
        rows = self._rows("schemas_of_partition", ref=ref, keys=self._as_json(list(job_run_ids)))
        return {run: dict(json.loads(schema)) for run, schema in rows}

    def partitions(
        self,
        *,
        prefix: str = "",
        contains: str = "",
        status: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Sequence[PartitionRecord]:
        page: dict[str, Any] = {
            "min_ref": max(after, prefix),
            "after": after,
            "end": prefix + _MAX_KEY,
            "contains": contains,
            "limit": limit,
        }
        if status is None:
            rows = self._named("partitions", **page)
        elif status == statuses.TAINTED:
            rows = self._named("partitions_tainted", **page)
        else:
            rows = self._named("partitions_by_status", status=status, **page)
        return self._records.of(rows)

    def partition_counts(self) -> Mapping[str, int]:
        return dict(self._rows("partition_counts"))

    def counts_under(self, prefix: str) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for status, is_tainted, count in self._rows("counts_under", prefix=prefix, end=prefix + _MAX_KEY):
            counts[status] = counts.get(status, 0) + (-count if is_tainted else count)
            if is_tainted:
                counts[statuses.TAINTED] = counts.get(statuses.TAINTED, 0) + count
        return {status: count for status, count in sorted(counts.items()) if count}

    def statuses_under(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[tuple[str, str]]:
        page = {"min_ref": max(after, prefix), "after": after, "end": prefix + _MAX_KEY, "limit": limit}
        return [(ref, status) for ref, status in self._rows("statuses_under", **page)]

    def produced_by(self, ref: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        return [job_run_record(row) for row in self._named("runs_of_partition", ref=ref, limit=limit)]

    def uses(
        self, refs: Collection[str], *, after: tuple[str, str, str] | None = None, limit: int = 1000
    ) -> Sequence[PartitionUse]:
        # The rest of the input of the last page, by its key, and all of the following inputs.
        rows: list[Any] = []
        keys = sorted(set(refs))
        if after is not None:
            if after[0] in keys:
                values = dict(zip(("input", "job_run_id", "output"), after, strict=True))
                rows = self._rows("uses_of_input", **values, limit=limit)
            keys = [key for key in keys if key > after[0]]
        if keys and len(rows) < limit:
            rows += self._rows("uses_of_inputs", keys=self._as_json(keys), limit=limit - len(rows))
        return [PartitionUse(ref, run, output, version, bool(query)) for ref, run, output, version, query in rows]

    def outputs_of_runs(
        self, job_run_ids: Collection[str], *, after: tuple[str, str] = ("", ""), limit: int = 1000
    ) -> Sequence[tuple[str, str]]:
        rows: list[Any] = []
        keys = sorted(set(job_run_ids))
        run, ref = after
        if run in keys:
            rows = self._rows("outputs_of_run", job_run_id=run, after=ref, limit=limit)
        keys = [key for key in keys if key > run]
        if keys and len(rows) < limit:
            rows += self._rows("outputs_of_runs", keys=self._as_json(keys), limit=limit - len(rows))
        return [(run, ref) for run, ref in rows]

    def claimed(self, refs: Collection[str]) -> Mapping[str, str]:
        return dict(self._rows("claimed", keys=self._as_json(list(refs))))

    def claims_of(self, build_request_id: str) -> Mapping[str, str]:
        return dict(self._rows("claims_of_build", build_request_id=build_request_id))

    def unleased_builds(self) -> Sequence[str]:
        return [build for (build,) in self._rows("unleased_builds", keys=self._as_json(sorted(statuses.BUILD.open)))]

    def holders(self) -> Mapping[str, bool]:
        holders: dict[str, bool] = {}
        for holder, expired in self._rows("holders", now=self._now()):
            holders[holder] = bool(expired) or holders.get(holder, False)
        return holders

    def leases(self, holders: Collection[str]) -> Sequence[tuple[Lease, bool]]:
        from databuild.event_log.coordination import Lease

        rows = self._rows("leases_of_holders", keys=self._as_json(list(holders)), now=self._now())
        return [(Lease(*lease), bool(expired)) for *lease, expired in rows]

    def resource_use(self) -> Sequence[ResourceUse]:
        return resource_uses(self._rows("resource_use", now=self._now()))

    def size(self) -> int:
        ((size,),) = self._rows("size") or ((0,),)  # there are no rows if there are no tables
        return int(size)

    def sizes(self) -> LogSizes:
        ((builds, pruned, events),) = self._rows("sizes") or ((0, 0, 0),)
        return LogSizes(builds, pruned, events, self.size())

    def bytes_of_events(self, build_request_ids: Collection[str]) -> int:
        ((total,),) = self._rows("bytes_of_events", keys=self._as_json(list(build_request_ids))) or ((0,),)
        return int(total)

    def rows(self, table: Table, *, after: Sequence[Any] = (), limit: int = 1000) -> Sequence[tuple[Any, ...]]:
        section = f"rows_of_{table.name}"  # a query, if the rows of a database differ from those of other databases
        source = f"{{{section}}}" if section in self._queries else table.name
        keys = table.columns[: table.key_length]
        key = ", ".join(keys)
        following = f"WHERE ({key}) > ({', '.join(f':{name}' for name in keys)})" if after else ""
        text = f"SELECT {', '.join(table.columns)} FROM {source} {following} ORDER BY {key} LIMIT :limit"  # noqa: S608 - names of our own
        values = dict(zip(keys, after, strict=True)) if after else {}
        return self._fetch(self._queries.statement(text), {**values, "limit": limit}).rows

    def _rows(self, name: str, **values: Any) -> list[Any]:
        return self._fetch(self._queries[name], values).rows

    def _named(self, name: str, **values: Any) -> list[Any]:
        return named_rows(*self._fetch(self._queries[name], values))
