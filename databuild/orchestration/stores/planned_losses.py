"""Plans that agree with the stores of data: data that is lost is planned to be rebuilt. Records nothing."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from databuild.event_log.reads import StoredDataReads
from databuild.graph.ports import PartitionRecords
from databuild.model.job_graph import Plan
from databuild.model.records import PartitionRecord
from databuild.orchestration.stores.used_data import UsedData

if TYPE_CHECKING:
    from databuild.orchestration.stores.job_look import Check, JobLook


async def plan_without_losses(
    make: Callable[[PartitionRecords], Awaitable[Plan]],
    *,
    records: PartitionRecords,
    stored: StoredDataReads,
    verify: str,
    extensions: Mapping[str, Sequence[str]],
    jobs: tuple[JobLook, Check] | None,
) -> Plan:
    """Makes the plan that a build would make, which looks for data and records losses before it plans.

    Args:
        make: Makes a plan from records.
        records: The records of partitions.
        stored: Reads the places of data.
        verify: The data to look for, one of `VERIFY_POLICIES`.
        extensions: The extensions of the graph with their import paths, which serve object stores.
        jobs: Asks the jobs of the graph about data that DataBuild cannot check itself; None if no job can answer.

    Raises:
        EventLogError: The places cannot be read.
        StorageError: A whole folder with many partitions is gone, so that its disk may not be mounted, or a job finds
            none of its partitions.
    """
    with_losses = _RecordsWithLosses(records)
    used = UsedData(stored, verify, max_age_seconds=math.inf, lost=with_losses.add, extensions=extensions, jobs=jobs)
    plan = await used.plan(lambda: make(used.records(with_losses)))
    return plan._replace(warnings=(*plan.warnings, *used.warnings()))


class _RecordsWithLosses:
    """Records as they would be if losses had been recorded."""

    def __init__(self, records: PartitionRecords) -> None:
        self._records = records
        self._lost: dict[str, str] = {}

    async def add(self, versions: Mapping[str, str]) -> None:
        """Adds losses: the versions of the lost data, by ref."""
        self._lost.update(versions)

    def partition_records(self, refs: Collection[str], /) -> Mapping[str, PartitionRecord]:
        records = self._records.partition_records(refs)
        if not self._lost:
            return records
        return {ref: self._as_lost(record) for ref, record in records.items()}

    def _as_lost(self, record: PartitionRecord) -> PartitionRecord:
        if not record.available or self._lost.get(record.ref) != record.version:
            return record
        return record._replace(status="MISSING", available=False)
