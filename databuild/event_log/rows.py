"""Records from rows of the read models, which have the same columns in every database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
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
    from databuild.event_log.log import ResourceUse


def failure_record(category: str | None, message: str | None) -> FailureRecord | None:
    """Returns a failure, where there is a category of one."""
    return FailureRecord(category, message or "") if category else None


def build_record(row: Sequence[Any]) -> BuildRecord:
    """Returns a build: the columns of a build in the order of the schema."""
    return BuildRecord._make((*row[:3], tuple(json.loads(row[3])), *row[4:15], failure_record(*row[15:17]), row[17]))


def job_run_record(row: Sequence[Any]) -> JobRunRecord:
    """Returns a job run: the fields of its record, then the category and message of its failure."""
    return JobRunRecord._make((*row[:14], failure_record(*row[14:])))


def _manifest(job_label: str, code_digest: str, configuration_digest: str, inputs: list[Any]) -> Manifest:
    known = tuple(InputVersion(ref, version, bool(query)) for ref, version, query in inputs)
    return Manifest(job_label, code_digest, configuration_digest, known)


def partition_record(row: Sequence[Any], manifests: dict[str, Manifest]) -> PartitionRecord:
    """Returns what is known of a partition, and the manifest of the job run that produced it.

    Args:
        row: Its ref, status, build, time, availability, version, job run, the build of that, metadata, taint and its
            reason, category and message of its failure; then of its job run the label, digests and inputs, null where
            it is not known; the build that claims it; and who adopted it, as JSON, as `Known.data` has it.
        manifests: Those of the page, by job run, so that what many partitions share is made once.
    """
    run = row[6]
    adoption = manifest = None
    if row[18]:
        values = json.loads(row[18])
        adoption = AdoptionRecord._make(values[:4])
        manifest = _manifest(*values[4]) if values[4:] else None
    if row[16] is not None:
        manifest = manifests.get(run)
        if manifest is None:
            manifest = manifests[run] = _manifest(row[13], row[14], row[15], json.loads(row[16]))
    return PartitionRecord(
        row[0],
        row[1],
        row[2],
        row[3],
        bool(row[4]),
        row[5],
        run,
        row[7] or (adoption.operation_id if adoption is not None else ""),
        manifest,
        json.loads(row[8]) if row[8] else {},
        bool(row[9]),
        row[10],
        failure_record(row[11], row[12]),
        row[17] or "",
        adoption,
    )


def resource_uses(rows: Iterable[tuple[str, str, int, str]]) -> list[ResourceUse]:
    """Returns what builds hold of resources and wait for, by resource and build.

    Args:
        rows: Resource, build, what it holds, and JSON of the resources that it waits for.
    """
    from databuild.event_log.log import ResourceUse

    held: dict[tuple[str, str], int] = {}
    waiting: set[tuple[str, str]] = set()
    for resource, build, amount, waiting_for in rows:
        if resource:
            held[resource, build] = amount
        waiting.update((name, build) for name in json.loads(waiting_for))
    return [ResourceUse(*key, held.get(key, 0), key in waiting) for key in sorted(held.keys() | waiting)]
