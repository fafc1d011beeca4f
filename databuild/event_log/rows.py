"""Records from rows of the read models, whose columns are named as in `queries.sql`."""

from __future__ import annotations

import functools
import json
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from databuild.model.records import (
    AdoptionRecord,
    BuildPartitionRecord,
    BuildRecord,
    FailureRecord,
    InputVersion,
    JobRunRecord,
    Location,
    Manifest,
    PartitionRecord,
    PlacedData,
    RemovalRecord,
    ReportedData,
    StoredData,
    StoredRow,
)

if TYPE_CHECKING:
    from databuild.event_log.coordination import ResourceUse

_NO_METADATA: Final = ("", "{}")

# Like `_make`, without a check of the length.
_new_input_version: Callable[[Iterable[Any]], InputVersion] = functools.partial(tuple.__new__, InputVersion)
_new_manifest: Callable[[Iterable[Any]], Manifest] = functools.partial(tuple.__new__, Manifest)
_new_partition: Callable[[Iterable[Any]], PartitionRecord] = functools.partial(tuple.__new__, PartitionRecord)


def named_rows(columns: tuple[str, ...], rows: Sequence[Any]) -> list[Any]:
    """Returns rows as named tuples."""
    return list(map(_row_factory(columns), rows)) if rows else []


@functools.cache
def _row_factory(columns: tuple[str, ...]) -> Callable[[Sequence[Any]], Any]:
    """Returns a function like `_make` of a named tuple, without its check of the length, which costs more than it."""
    return functools.partial(tuple.__new__, namedtuple("Row", columns))


def build_record(row: Any) -> BuildRecord:
    """Returns a build, from a row of `{build_columns}`."""
    values: dict[str, Any] = row._asdict()
    values["requested"] = tuple(json.loads(row.requested))
    values["failure"] = _failure(values.pop("failure_category"), values.pop("failure_message"))
    return BuildRecord(**values)


# The failure is the last field of both records and has two columns; all other fields are columns of the same name.
_job_run_fields = attrgetter(*(name for name in JobRunRecord._fields if name != "failure"))
_build_partition_fields = attrgetter(*(name for name in BuildPartitionRecord._fields if name != "failure"))


def job_run_record(row: Any) -> JobRunRecord:
    """Returns a job run, from a row of `{job_run_columns}`."""
    return JobRunRecord._make((*_job_run_fields(row), _failure(row.failure_category, row.failure_message)))


def build_partition_record(row: Any) -> BuildPartitionRecord:
    """Returns a partition within a build, from a row of `{build_partitions}`."""
    failure = _failure(row.failure_category, row.failure_message)
    return BuildPartitionRecord._make((*_build_partition_fields(row), failure))


def _failure(category: str | None, message: str | None) -> FailureRecord | None:
    return FailureRecord(category, message or "") if category else None


def _manifest(
    job_label: str,
    code_digest: str,
    configuration_digest: str,
    inputs: Iterable[Any],
    output_digests: Mapping[str, str] = {},
) -> Manifest:
    versions = tuple(InputVersion(ref, version, bool(query)) for ref, version, query in inputs)
    return Manifest(job_label, code_digest, configuration_digest, versions, output_digests)


class PartitionRecords:
    """Creates records of partitions, with the manifests of the job runs that produced them.

    The inputs of a job run are read once for all its outputs: reading them for each output would be quadratic for a run
    with many inputs and outputs. Manifests are kept from one page to the next.
    """

    def __init__(self, inputs_of: Callable[[Sequence[Any]], Iterable[Sequence[str]]]) -> None:
        """Reads nothing yet.

        Args:
            inputs_of: Returns the job runs with some `run_key`s, each with its inputs and output digests (both JSON). A
                key may have become that of another run.
        """
        self._inputs_of = inputs_of
        self._manifests: dict[str, Manifest] = {}

    def of(self, rows: Sequence[Any]) -> list[PartitionRecord]:
        """Returns records of partitions, from rows of `{known_partitions}`."""
        if not rows:  # as for each link of a new chain
            return []
        runs = {row.job_run_id: row for row in rows if row.job_label is not None}
        manifests = {run: manifest for run in runs if (manifest := self._manifests.get(run)) is not None}
        missing = [row.run_key for run, row in runs.items() if run not in manifests]
        found = [run for run in self._inputs_of(missing) if run[0] in runs] if missing else []
        # Decoding one text for all takes half as long as decoding each.
        decoded = json.loads(f"[{','.join([inputs for _, inputs, _ in found])}]")
        for (run, _, digests), inputs in zip(found, decoded, strict=True):
            row = runs[run]
            manifests[run] = _new_manifest(
                (
                    row.job_label,
                    row.code_digest,
                    row.configuration_digest,
                    tuple(map(_new_input_version, inputs)),
                    json.loads(digests) if digests else {},
                )
            )
        self._manifests = manifests
        return [_partition_record(row, manifests.get(row.job_run_id)) for row in rows]


def _partition_record(row: Any, manifest: Manifest | None) -> PartitionRecord:
    # By position: names would take most of the time of a page of records.
    (
        ref,
        status,
        build,
        time,
        available,
        version,
        job_run_id,
        produced_by,
        metadata,
        tainted,
        taint_reason,
        failure_category,
        failure_message,
        _job_label,
        _code_digest,
        _configuration_digest,
        claimed_by,
        adopted,
        location,
        removal,
        _run_key,
    ) = row
    adoption = None
    if adopted:  # in the form of `PartitionChange.data`
        values = json.loads(adopted)
        adoption = AdoptionRecord._make(values[:4])
        manifest = manifest or (_manifest(*values[4]) if values[4:] else None)
    return _new_partition(
        (
            ref,
            status,
            build,
            time,
            bool(available),
            version,
            job_run_id,
            produced_by or (adoption.operation_id if adoption is not None else ""),
            manifest,
            {} if metadata in _NO_METADATA else json.loads(metadata),
            bool(tainted),
            taint_reason,
            _failure(failure_category, failure_message) if failure_category else None,
            claimed_by or "",
            adoption,
            Location._make(json.loads(location)) if location else None,
            RemovalRecord._make(json.loads(removal)) if removal else None,
        )
    )


def stored_data(rows: Sequence[StoredRow]) -> list[StoredData]:
    """Returns the data of partitions, from rows of `{stored_data}`."""
    # Decoding one text for all takes half as long as decoding each.
    decoded = json.loads(f"[{','.join([location or 'null' for _, _, location in rows])}]")
    return [
        StoredData(ref, version, None if values is None else Location._make(values))
        for (ref, version, _), values in zip(rows, decoded, strict=True)
    ]


def placed_data(rows: Iterable[tuple[str, str, str, Any, float, Any, str]]) -> list[PlacedData]:
    """Returns data with its place, from rows of `{placed_data}`."""
    return [
        PlacedData(
            ref,
            version,
            Location._make(json.loads(location)) if location else None,
            status,
            time,
            bool(available),
            RemovalRecord._make(json.loads(removal)).kind if removal else "",
        )
        for ref, version, location, status, time, available, removal in rows
    ]


def reported_data(rows: Iterable[Any]) -> list[ReportedData]:
    """Returns the data of partitions, from rows of `{reported_columns}`."""
    return [
        ReportedData(
            row.ref,
            bool(row.available),
            row.time,
            row.version,
            row.job_run_id,
            row.duration_seconds,
            {} if row.metadata in _NO_METADATA else json.loads(row.metadata),
            Location._make(json.loads(row.location)) if row.location else None,
        )
        for row in rows
    ]


def metadata_of(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields refs with their metadata, from rows of `{metadata_of}`."""
    for ref, metadata in rows:
        yield ref, {} if metadata in _NO_METADATA else json.loads(metadata)


def resource_uses(rows: Iterable[tuple[str, str, int, str]]) -> list[ResourceUse]:
    """Returns the resources that builds hold and wait for, by resource and build.

    Args:
        rows: Resource, build, amount that it holds, and resources that it waits for (JSON).
    """
    from databuild.event_log.coordination import ResourceUse

    held: dict[tuple[str, str], int] = {}
    waiting: set[tuple[str, str]] = set()
    for resource, build, amount, waiting_for in rows:
        if resource:
            held[resource, build] = amount
        waiting.update((name, build) for name in json.loads(waiting_for))
    return [ResourceUse(*key, held.get(key, 0), key in waiting) for key in sorted(held.keys() | waiting)]
