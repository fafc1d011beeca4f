"""Cache of partition records: each partition of an analysis is read at most once, so the plan is consistent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from databuild.graph.ports import PartitionRecords
from databuild.model.pacing import Pace, slices
from databuild.model.records import PartitionRecord

_PAGE_SIZE: Final = 5000
"""Number of partitions read by one query, which blocks the event loop."""


class NoRecords:
    """A reader without records, so that a plan contains every task that its partitions can need."""

    def partition_records(self, _refs: Collection[str], /) -> Mapping[str, PartitionRecord]:
        return {}


class RecordCache:
    """Partition records, read on demand.

    Attributes:
        by_ref: The record of each partition that was looked up and has one.
        reused: The refs of those that are used as they are, so that neither their configuration nor their inputs
            matter.
    """

    def __init__(self, reader: PartitionRecords, pace: Pace, is_reused: Callable[[PartitionRecord], bool]) -> None:
        """Reads nothing yet.

        Args:
            reader: Reads records.
            pace: Lets the event loop run between pages.
            is_reused: Returns True if a partition is used as it is.
        """
        self.by_ref: dict[str, PartitionRecord] = {}
        self.reused: set[str] = set()
        self._reader = reader
        self._is_reused = is_reused
        self._pace = pace
        self._looked_up: set[str] = set()

    def knows(self, refs: Iterable[str]) -> bool:
        """Returns True if all these partitions have been looked up."""
        return self._looked_up.issuperset(refs)

    async def look_up(self, refs: Iterable[str]) -> None:
        """Reads the records of partitions that have not been looked up before."""
        await self._pace.rest()
        unread = [ref for ref in refs if ref not in self._looked_up]
        self._looked_up.update(unread)
        for page in slices(unread, _PAGE_SIZE):
            await self._pace.rest()
            records = self._reader.partition_records(page)
            self.by_ref.update(records)
            self.reused.update(ref for ref, record in records.items() if self._is_reused(record))
