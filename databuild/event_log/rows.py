"""Records from rows of the read models, which have the same columns in every database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from databuild.model.records import (
    AdoptionRecord,
    BuildRecord,
    FailureRecord,
    InputVersion,
    JobRunRecord,
    Manifest,
    PartitionRecord,
)

if TYPE_CHECKING:
    from databuild.event_log.coordination import ResourceUse


def failure_record(category: str | None, message: str | None) -> FailureRecord | None:
    """Returns a failure, where there is a category of one."""
    return FailureRecord(category, message or "") if category else None


def build_record(row: Sequence[Any]) -> BuildRecord:
    """Returns a build: the columns of a build in the order of the schema."""
    return BuildRecord._make((*row[:3], tuple(json.loads(row[3])), *row[4:15], failure_record(*row[15:17]), row[17]))


def job_run_record(row: Sequence[Any]) -> JobRunRecord:
    """Returns a job run: the fields of its record, then the category and message of its failure."""
    return JobRunRecord._make((*row[:14], failure_record(*row[14:])))


def _manifest(job_label: str, code_digest: str, configuration_digest: str, inputs: Iterable[Any]) -> Manifest:
    known = tuple(InputVersion(ref, version, bool(query)) for ref, version, query in inputs)
    return Manifest(job_label, code_digest, configuration_digest, known)


class PartitionRecords:
    """Makes records of partitions, with the manifests of the job runs that produced them.

    What a job run consumed is read and kept once for all its outputs: a run with as many inputs as outputs would
    otherwise take the square of that. Manifests are kept from one page to the next, and no longer.
    """

    def __init__(self, inputs_of: Callable[[Sequence[str]], Iterable[Sequence[str]]]) -> None:
        """Takes what reads the inputs (JSON) of job runs that have started, as pairs with the job run."""
        self._inputs_of = inputs_of
        self._manifests: dict[str, Manifest] = {}

    def of(self, rows: Sequence[Sequence[Any]]) -> list[PartitionRecord]:
        """Returns what is known of partitions.

        Args:
            rows: Of each partition its ref, status, build, time, availability, version, job run, the build of that,
                metadata, taint and its reason, category and message of its failure; then of its job run the label and
                digests, null where it is not known; the build that claims it; and who adopted it, as JSON, as
                `Known.data` has it.
        """
        runs = {row[6]: row[13:16] for row in rows if row[13] is not None}
        manifests = {run: known for run in runs if (known := self._manifests.get(run)) is not None}
        missing = [run for run in runs if run not in manifests]
        for run, inputs in self._inputs_of(missing) if missing else ():
            label, code_digest, configuration_digest = runs[run]
            manifests[run] = _manifest(label, code_digest, configuration_digest, json.loads(inputs))
        self._manifests = manifests
        return [_partition_record(row, manifests.get(row[6])) for row in rows]


def _partition_record(row: Sequence[Any], manifest: Manifest | None) -> PartitionRecord:
    adoption = None
    if row[17]:
        values = json.loads(row[17])
        adoption = AdoptionRecord._make(values[:4])
        manifest = manifest or (_manifest(*values[4]) if values[4:] else None)
    return PartitionRecord(
        row[0],
        row[1],
        row[2],
        row[3],
        bool(row[4]),
        row[5],
        row[6],
        row[7] or (adoption.operation_id if adoption is not None else ""),
        manifest,
        json.loads(row[8]) if row[8] else {},
        bool(row[9]),
        row[10],
        failure_record(row[11], row[12]),
        row[16] or "",
        adoption,
    )


def resource_uses(rows: Iterable[tuple[str, str, int, str]]) -> list[ResourceUse]:
    """Returns what builds hold of resources and wait for, by resource and build.

    Args:
        rows: Resource, build, what it holds, and JSON of the resources that it waits for.
    """
    from databuild.event_log.coordination import ResourceUse

    held: dict[tuple[str, str], int] = {}
    waiting: set[tuple[str, str]] = set()
    for resource, build, amount, waiting_for in rows:
        if resource:
            held[resource, build] = amount
        waiting.update((name, build) for name in json.loads(waiting_for))
    return [ResourceUse(*key, held.get(key, 0), key in waiting) for key in sorted(held.keys() | waiting)]
