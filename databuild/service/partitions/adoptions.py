"""Adoption of data that DataBuild did not build."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from databuild.errors import InvalidRequestError
from databuild.event_log.log import EventLog
from databuild.executors.executor import ProcessExecutor
from databuild.graph.catalog import JobCatalog
from databuild.model.build_request_id import new_build_request_id
from databuild.orchestration.build.settings import Settings
from databuild.orchestration.maintenance.adoption import adopt, check_produced
from databuild.service.resources.limits import Limits
from databuild.v1.events_pb2 import BuildEvent


class Adoptions:
    """Adopts partitions for callers. Used from one event loop.

    Args:
        catalog: The jobs.
        event_log: Records adoptions.
        executor: Ends processes of dead builds, and runs the lookup of the graph.
        settings: The working directory of the lookup.
        limits: The limit on the number of partitions.
        clock: Returns the time in seconds since the epoch.
    """

    def __init__(
        self,
        *,
        catalog: JobCatalog,
        event_log: EventLog,
        executor: ProcessExecutor,
        settings: Settings,
        limits: Limits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalog = catalog
        self._event_log = event_log
        self._executor = executor
        self._settings = settings
        self._limits = limits
        self._clock = clock

    async def adopt(self, partitions: tuple[str, ...], *, author: str, reason: str, force: bool = False) -> BuildEvent:
        """Records existing data as available partitions: all of them or none. Returns the recorded event.

        Args:
            partitions: Refs or ranges of refs.
            author: The name of the caller.
            reason: The origin of the data, and the reason to adopt it.
            force: Also adopt partitions that are available already or claimed by a build.

        Raises:
            InvalidRequestError: There is no partition or no reason, or no job produces a partition.
            AdoptionRefusedError: A partition is available already, or claimed by a build.
            LookupFaultError: The lookup of the graph failed.
        """
        return await adopt(
            await self._refs(partitions, reason),
            operation_id=new_build_request_id(self._clock()),
            author=author,
            reason=reason.strip(),
            force=force,
            event_log=self._event_log,
            executor=self._executor,
            clock=self._clock,
        )

    async def check(self, partitions: tuple[str, ...], *, reason: str) -> None:
        """Checks a request as `adopt` does, for an event log that has no partitions yet. Records nothing.

        Raises:
            InvalidRequestError: There is no partition or no reason, or no job produces a partition.
            LookupFaultError: The lookup of the graph failed.
        """
        await self._refs(partitions, reason)

    async def _refs(self, partitions: tuple[str, ...], reason: str) -> Sequence[str]:
        """Returns the refs of a valid request, with ranges expanded."""
        if not partitions:
            raise InvalidRequestError("the request has no partitions; name at least one")
        if not reason.strip():
            raise InvalidRequestError("the request has no reason; say where the data comes from")
        # In a thread, since a large range takes long to expand.
        refs = await asyncio.to_thread(self._catalog.expand, partitions, self._limits.max_partitions)
        working_directory = self._settings.working_directory
        await check_produced(refs, catalog=self._catalog, executor=self._executor, working_directory=working_directory)
        return refs
