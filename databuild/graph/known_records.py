"""Records of the partitions of one analysis, each looked up once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from databuild.graph.ports import PartitionRecords
from databuild.model.pacing import Pace, slices
from databuild.model.records import PartitionRecord

_AT_ONCE: Final = 5000
"""How many partitions are looked up together, so that no query keeps the event loop for long."""


class KnownRecords:
    """Remembers records.

    Attributes:
        by_ref: The records of partitions that were looked up, where there are any.
    """

    def __init__(self, reader: PartitionRecords, pace: Pace) -> None:
        """Reads nothing yet; `pace` lets the event loop run between pages."""
        self.by_ref: dict[str, PartitionRecord] = {}
        self._reader = reader
        self._pace = pace
        self._looked_up: set[str] = set()

    async def look_up(self, refs: Iterable[str]) -> None:
        """Looks up partitions, those that were not before."""
        await self._pace.rest()
        wanted = [ref for ref in refs if ref not in self._looked_up]
        self._looked_up.update(wanted)
        for some in slices(wanted, _AT_ONCE):
            await self._pace.rest()
            self.by_ref.update(self._reader.partition_records(some))
