"""Verification of stores: looks for the data of partitions, and records what is missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from databuild.event_log.log import EventLog
from databuild.graph.catalog import JobCatalog
from databuild.model.store_check import StoreCheck, StoreCheckOptions
from databuild.orchestration.stores.selection import Selection
from databuild.orchestration.stores.verification import Part, verify_part
from databuild.service.resources.limits import Limits
from databuild.storage.storages import Storages

_PART: Final = 1000
_PART_WITH_CONTENT: Final = 10
"""The numbers of partitions of a part: a request must be answered in time, also if files are large."""


class StoreVerification:
    """Verifies stores for callers. Used from one event loop.

    Args:
        catalog: The jobs.
        event_log: Reads the places of data, and records findings.
        limits: The limit on the number of partitions.
        storages: The storages of the graph.
        clock: Returns the time in seconds since the epoch.
    """

    def __init__(
        self,
        *,
        catalog: JobCatalog,
        event_log: EventLog,
        limits: Limits,
        storages: Storages,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalog = catalog
        self._event_log = event_log
        self._limits = limits
        self._storages = storages
        self._clock = clock
        # One at a time: each uses several threads.
        self._alone = asyncio.Lock()

    async def verify(
        self, partitions: tuple[str, ...], options: StoreCheckOptions, *, after: str, author: str
    ) -> StoreCheck:
        """Verifies the next part of partitions.

        Args:
            partitions: Refs, ranges and patterns; empty for all partitions.
            options: The options.
            after: `next_after` of the part before; empty for the first part.
            author: The name of the caller.

        Raises:
            InvalidRequestError: A partition is not valid, or there are too many.
            EventLogError: The event log failed.
        """
        async with self._alone:
            part = await asyncio.to_thread(self._part, partitions, options, after, author)
            for event in part.events:
                await self._event_log.append([event])
        return part.check

    def _part(self, partitions: tuple[str, ...], options: StoreCheckOptions, after: str, author: str) -> Part:
        maximum = self._limits.max_partitions
        selection = Selection(partitions, lambda texts: self._catalog.expand(texts, maximum, produced=False))
        with closing(self._event_log.reader()) as reader:
            return verify_part(
                reader,
                selection,
                options,
                after=after,
                author=author,
                limit=_PART_WITH_CONTENT if options.content else _PART,
                clock=self._clock,
                storages=lambda: self._storages,
            )
