"""Forgetting, deleting and cleaning for callers of a service."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from databuild.errors import InvalidRequestError
from databuild.event_log.open import EnvironmentLogs
from databuild.model.removal import MAX_REMOVALS, Cleaning, CleanOptions, Deletion, Forgotten
from databuild.orchestration.stores.cleaning import Cleaner
from databuild.orchestration.stores.removal import Removals
from databuild.orchestration.stores.selection import Selection
from databuild.service.resources.service_context import ServiceContext

MAX_SECONDS: Final = 20.0
"""The time after which a cleaning stops, and a deletion gives up on builds that are planning."""


class ServiceRemovals:
    """Removes data for callers, for one of them at a time. Used from one event loop.

    Args:
        context: The parts of the service.
        environments: The logs of the environments, which use the data; None for none.
    """

    def __init__(self, context: ServiceContext, environments: EnvironmentLogs | None) -> None:
        self._context = context
        self._removals = Removals(
            context.event_log,
            context.executor,
            context.storages,
            produced=context.catalog.may_produce,
            # Folders that are no data.
            protected=(context.settings.working_directory, context.settings.log_directory),
            clock=context.clock,
            max_planning_seconds=MAX_SECONDS / 2,
            environments=environments,
        )
        self._cleaner = Cleaner(context.event_log, context.catalog, self._removals, clock=context.clock)
        self._alone = asyncio.Lock()

    async def forget(self, partitions: tuple[str, ...], *, author: str, reason: str) -> Forgotten:
        """Forgets partitions.

        Raises:
            InvalidRequestError: There is no partition or no reason, or a partition is not valid.
            RemovalRefusedError: A build is making a partition.
        """
        selection = await self._selection(partitions)
        async with self._alone:
            return await self._removals.forget(selection, author=author, reason=reason)

    async def delete(
        self,
        partitions: tuple[str, ...],
        *,
        author: str,
        reason: str,
        force: bool = False,
        dry_run: bool = False,
        after: str = "",
    ) -> Deletion:
        """Deletes the data of the next part of partitions.

        Raises:
            InvalidRequestError: There is no partition or no reason, or a partition is not valid.
            RemovalRefusedError: A build has begun to make a partition just now.
        """
        selection = await self._selection(partitions)
        async with self._alone:
            return await self._removals.delete_part(
                selection, author=author, reason=reason, force=force, dry_run=dry_run, after=after, limit=MAX_REMOVALS
            )

    async def clean(self, options: CleanOptions, *, author: str) -> Cleaning:
        """Deletes old data and leftovers for a bounded time."""
        async with self._alone:
            end = time.monotonic() + MAX_SECONDS
            return await self._cleaner.clean(options, author=author, stop=lambda: time.monotonic() >= end)

    async def _selection(self, partitions: tuple[str, ...]) -> Selection:
        if not partitions:
            raise InvalidRequestError("the request has no partitions; name at least one")
        maximum = self._context.limits.max_partitions
        return await asyncio.to_thread(
            Selection, partitions, lambda texts: self._context.catalog.expand(texts, maximum)
        )
