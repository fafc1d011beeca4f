"""Reads of an environment over its base.

Builds, events, claims and leases are those of the environment, and job runs those of both. A partition has the record
of the environment if the environment has data of it, and otherwise that of the base.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from databuild.event_log.rows import stored_data
from databuild.model import statuses
from databuild.model.paging import PAGE_ROWS, read_pages

if TYPE_CHECKING:
    from databuild.event_log.coordination import Lease, ResourceUse
    from databuild.event_log.reads import Reader
    from databuild.event_log.tables import Table
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
    from databuild.v1.events_pb2 import BuildEvent

_Row = TypeVar("_Row")
_Key = TypeVar("_Key", bound=Any)


class OverlayReader:
    """Reads an environment over its base.

    A partition is that of the environment if its data there is available, a build there claims it, or the base has no
    data of it. It is also that of the environment if that has the version of the base but no longer its data, since the
    data of the base was lost or tainted there. Otherwise it is that of the base.
    """

    def __init__(self, own: Reader, base: Reader) -> None:
        """Reads nothing yet.

        Args:
            own: Reads the log of the environment.
            base: Reads the log of the base.
        """
        self.own = own
        self.base = base

    def own_refs(self, refs: Iterable[str]) -> set[str]:
        """Returns those partitions among the given ones that are partitions of the environment."""
        states = self.own.partition_states(list(refs))
        own = {ref for ref, state in states.items() if state.available}
        others = [ref for ref in states if ref not in own]
        if not others:
            return own
        claimed = self.own.claimed(others)
        below = self.base.partition_states([ref for ref in others if ref not in claimed])
        for ref in others:
            state = below.get(ref)
            if state is None or not state.available or state.version == states[ref].version:
                own.add(ref)
        return own

    def build(self, build_request_id: str) -> BuildRecord | None:
        return self.own.build(build_request_id) or self.base.build(build_request_id)

    def cancel_requests(self, build_request_ids: Collection[str]) -> Mapping[str, str]:
        return self.own.cancel_requests(build_request_ids)

    def builds_beginning(self, prefix: str, limit: int = 10) -> Sequence[str]:
        return self.own.builds_beginning(prefix, limit)

    def builds(self, *, status: str | None = None, before: str | None = None, limit: int = 20) -> Sequence[BuildRecord]:
        return self.own.builds(status=status, before=before, limit=limit)

    def build_partitions(
        self, build_request_id: str, *, status: str | None = None, after: str = "", limit: int = 1000
    ) -> Sequence[BuildPartitionRecord]:
        reader = self._reader_of(build_request_id)
        return reader.build_partitions(build_request_id, status=status, after=after, limit=limit)

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]:
        reader = self._reader_of(build_request_id)
        return reader.job_runs(build_request_id, status=status, after=after, limit=limit)

    def job_run(self, job_run_id: str) -> JobRunRecord | None:
        return self.own.job_run(job_run_id) or self.base.job_run(job_run_id)

    def runs_of_job(self, job_label: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        return _newest(limit, *(reader.runs_of_job(job_label, limit=limit) for reader in (self.own, self.base)))

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        reader = self._reader_of(build_request_id)
        return reader.events(build_request_id, after_sequence=after_sequence, limit=limit)

    def metadata_of(self, refs: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        own, base = self._split(refs)
        return {**(self.base.metadata_of(base) if base else {}), **(self.own.metadata_of(own) if own else {})}

    def stored_data_of(self, refs: Collection[str]) -> Sequence[StoredData]:
        return stored_data(self.stored_rows_of(refs))

    def stored_data_under(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[StoredData]:
        return stored_data(self.stored_rows_under(prefix, after=after, limit=limit))

    def stored_rows_of(self, refs: Collection[str]) -> Sequence[StoredRow]:
        own, base = self._split(refs)
        return [
            *(self.own.stored_rows_of(own) if own else ()),
            *(self.base.stored_rows_of(base) if base else ()),
        ]

    def stored_rows_under(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[StoredRow]:
        return self._merged(
            lambda reader: lambda last, size: reader.stored_rows_under(prefix, after=last, limit=size),
            key=lambda row: row[0],
            after=after,
            limit=limit,
        )

    def reported_under(self, prefix: str = "", *, before: str = "", limit: int = 100) -> Sequence[ReportedData]:
        rows = [
            {data.ref: data for data in reader.reported_under(prefix, before=before, limit=limit)}
            for reader in (self.own, self.base)
        ]
        refs = sorted(rows[0].keys() | rows[1].keys(), reverse=True)[:limit]
        own = self.own_refs(refs)
        # The newest of each log include the newest of both.
        return [rows[ref not in own][ref] for ref in refs if ref in rows[ref not in own]]

    def reported_of(self, refs: Collection[str]) -> Sequence[ReportedData]:
        own, base = self._split(refs)
        return [
            *(self.own.reported_of(own) if own else ()),
            *(self.base.reported_of(base) if base else ()),
        ]

    def metrics_of_runs(self, job_run_ids: Collection[str]) -> Sequence[MetricRecord]:
        return sorted([*self.own.metrics_of_runs(job_run_ids), *self.base.metrics_of_runs(job_run_ids)])

    def checks_of_runs(self, job_run_ids: Collection[str], *, limit: int = 1000) -> Sequence[CheckRecord]:
        checks = (reader.checks_of_runs(job_run_ids, limit=limit) for reader in (self.own, self.base))
        return sorted(itertools.chain.from_iterable(checks))[:limit]

    def schemas_of(self, ref: str, job_run_ids: Collection[str]) -> Mapping[str, Mapping[str, str]]:
        return {**self.base.schemas_of(ref, job_run_ids), **self.own.schemas_of(ref, job_run_ids)}

    def placed_data_of(self, refs: Collection[str]) -> Sequence[PlacedData]:
        own, base = self._split(refs)
        return [
            *(self.own.placed_data_of(own) if own else ()),
            *(self.base.placed_data_of(base) if base else ()),
        ]

    def placed_data_under(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[PlacedData]:
        return self._merged(
            lambda reader: lambda last, size: reader.placed_data_under(prefix, after=last, limit=size),
            key=lambda data: data.ref,
            after=after,
            limit=limit,
        )

    def uses(
        self, refs: Collection[str], *, after: tuple[str, str, str] | None = None, limit: int = 1000
    ) -> Sequence[PartitionUse]:
        def current(reader: Reader) -> Iterator[PartitionUse]:
            pages = read_pages(
                lambda last, size: reader.uses(refs, after=last, limit=size),
                key=lambda use: use.key,
                start=after,
                size=limit,
            )
            for page in pages:
                outputs = [use.output for use in page if use.output]
                visible = self._visible(reader, outputs)
                runs = {use.job_run_id for use in page if not use.output}
                current_runs = {run for run, _ in self._outputs(reader, runs)}
                yield from (use for use in page if (use.output or use.job_run_id) in visible | current_runs)

        merged = heapq.merge(current(self.own), current(self.base), key=lambda use: use.key)
        return list(itertools.islice(merged, limit))

    def outputs_of_runs(
        self, job_run_ids: Collection[str], *, after: tuple[str, str] = ("", ""), limit: int = 1000
    ) -> Sequence[tuple[str, str]]:
        merged = heapq.merge(
            *(self._outputs(reader, job_run_ids, after, limit) for reader in (self.own, self.base)),
        )
        return list(itertools.islice(merged, limit))

    def partition_states(self, refs: Collection[str]) -> Mapping[str, PartitionState]:
        own, base = self._split(refs)
        return {
            **(self.base.partition_states(base) if base else {}),
            **(self.own.partition_states(own) if own else {}),
        }

    def partition_records(self, refs: Collection[str]) -> Mapping[str, PartitionRecord]:
        own, base = self._split(refs)
        records = dict(self.own.partition_records(own)) if own else {}
        if base:
            below = self.base.partition_records(base)
            records.update((ref, _without_claim(record)) for ref, record in below.items())
        return records

    def partitions(
        self,
        *,
        prefix: str = "",
        contains: str = "",
        status: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Sequence[PartitionRecord]:
        def read(reader: Reader) -> Callable[[str, int], Sequence[PartitionRecord]]:
            def page(last: str, size: int) -> Sequence[PartitionRecord]:
                records = reader.partitions(prefix=prefix, contains=contains, status=status, after=last, limit=size)
                return records if reader is self.own else [_without_claim(record) for record in records]

            return page

        return self._merged(read, key=lambda record: record.ref, after=after, limit=limit)

    def partition_counts(self) -> Mapping[str, int]:
        counts = dict(self.base.partition_counts())
        for state, amount in self._replacements(""):
            counts[state.status] = counts.get(state.status, 0) + amount
            if state.tainted:
                counts[statuses.TAINTED] = counts.get(statuses.TAINTED, 0) + amount
        return {status: count for status, count in sorted(counts.items()) if count}

    def counts_under(self, prefix: str) -> Mapping[str, int]:
        counts = dict(self.base.counts_under(prefix))
        for state, amount in self._replacements(prefix):
            status = statuses.TAINTED if state.tainted else state.status
            counts[status] = counts.get(status, 0) + amount
        return {status: count for status, count in sorted(counts.items()) if count}

    def statuses_under(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[tuple[str, str]]:
        return self._merged(
            lambda reader: lambda last, size: reader.statuses_under(prefix, after=last, limit=size),
            key=lambda row: row[0],
            after=after,
            limit=limit,
        )

    def produced_by(self, ref: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        return _newest(limit, *(reader.produced_by(ref, limit=limit) for reader in (self.own, self.base)))

    def claimed(self, refs: Collection[str]) -> Mapping[str, str]:
        return self.own.claimed(refs)

    def claims_of(self, build_request_id: str) -> Mapping[str, str]:
        return self.own.claims_of(build_request_id)

    def unleased_builds(self) -> Sequence[str]:
        return self.own.unleased_builds()

    def holders(self) -> Mapping[str, bool]:
        return self.own.holders()

    def leases(self, holders: Collection[str]) -> Sequence[tuple[Lease, bool]]:
        return self.own.leases(holders)

    def resource_use(self) -> Sequence[ResourceUse]:
        return self.own.resource_use()

    def first_position(self, build_request_id: str) -> int | None:
        return self.own.first_position(build_request_id)

    def all_events(self, *, after_position: int = 0, limit: int = 1000) -> Iterator[tuple[int, BuildEvent]]:
        return self.own.all_events(after_position=after_position, limit=limit)

    def wait(self, seconds: float) -> bool:
        return self.own.wait(seconds)

    def size(self) -> int:
        return self.own.size()

    def sizes(self) -> LogSizes:
        return self.own.sizes()

    def bytes_of_events(self, build_request_ids: Collection[str]) -> int:
        return self.own.bytes_of_events(build_request_ids)

    def rows(self, table: Table, *, after: Sequence[Any] = (), limit: int = 1000) -> Sequence[tuple[Any, ...]]:
        return self.own.rows(table, after=after, limit=limit)

    def snapshot(self) -> AbstractContextManager[None]:
        stack = ExitStack()
        stack.enter_context(self.own.snapshot())
        stack.enter_context(self.base.snapshot())
        return _Snapshot(stack)

    def close(self) -> None:
        self.own.close()
        self.base.close()

    def _reader_of(self, build_request_id: str) -> Reader:
        """Returns the reader of the log that has a build; that of the environment for operations and unknown ids."""
        if self.own.build(build_request_id) is None and self.base.build(build_request_id) is not None:
            return self.base
        return self.own

    def _split(self, refs: Collection[str]) -> tuple[list[str], list[str]]:
        """Splits refs into those of the environment and those of the base."""
        own = self.own_refs(refs)
        return [ref for ref in refs if ref in own], [ref for ref in refs if ref not in own]

    def _visible(self, reader: Reader, refs: Iterable[str]) -> set[str]:
        """Returns those refs whose partitions are those of a reader."""
        own, base = self._split(list(dict.fromkeys(refs)))
        return set(own if reader is self.own else base)

    def _visible_rows(
        self,
        reader: Reader,
        read: Callable[[_Key, int], Sequence[_Row]],
        key: Callable[[_Row], _Key],
        ref: Callable[[_Row], str],
        after: _Key,
        limit: int,
    ) -> Iterator[_Row]:
        for page in read_pages(read, key=key, start=after, size=limit):
            visible = self._visible(reader, map(ref, page))
            yield from (row for row in page if ref(row) in visible)

    def _merged(
        self,
        read: Callable[[Reader], Callable[[str, int], Sequence[_Row]]],
        *,
        key: Callable[[_Row], str],
        after: str,
        limit: int,
    ) -> list[_Row]:
        """Returns the first visible rows of both logs, which both have in the order of refs."""
        both = [self._visible_rows(reader, read(reader), key, key, after, limit) for reader in (self.own, self.base)]
        return list(itertools.islice(heapq.merge(*both, key=key), limit))

    def _outputs(
        self,
        reader: Reader,
        job_run_ids: Collection[str],
        after: tuple[str, str] = ("", ""),
        limit: int = PAGE_ROWS,
    ) -> Iterator[tuple[str, str]]:
        return self._visible_rows(
            reader,
            lambda last, size: reader.outputs_of_runs(job_run_ids, after=last, limit=size),
            key=lambda row: row,
            ref=lambda row: row[1],
            after=after,
            limit=limit,
        )

    def _replacements(self, prefix: str) -> Iterator[tuple[PartitionState, int]]:
        """Yields the states of the environment's partitions, with 1, and those that they replace, with -1."""
        pages = read_pages(
            lambda after, limit: self.own.statuses_under(prefix, after=after, limit=limit),
            key=lambda row: row[0],
            start="",
        )
        for page in pages:
            refs = sorted(self.own_refs(ref for ref, _ in page))
            yield from ((state, 1) for state in self.own.partition_states(refs).values())
            yield from ((state, -1) for state in self.base.partition_states(refs).values())


class _Snapshot(AbstractContextManager[None]):
    """A snapshot of both logs."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _newest(limit: int, *runs: Sequence[JobRunRecord]) -> list[JobRunRecord]:
    # Positions in two logs cannot be compared.
    merged = sorted(
        itertools.chain(*runs), key=lambda run: (run.scheduled_time, run.build_request_id, run.number), reverse=True
    )
    return merged[:limit]


def _without_claim(record: PartitionRecord) -> PartitionRecord:
    """Returns a record of the base without the claim of a build there, for which no build here waits."""
    return record._replace(claimed_by_build_request_id="") if record.claimed_by_build_request_id else record
