"""Data that was not built here, made known on somebody's behalf."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from databuild.errors import InvalidRequestError
from databuild.event_log.log import EventLog
from databuild.executors.executor import Executor
from databuild.graph.catalog import JobCatalog
from databuild.model.build_request_id import new_build_request_id
from databuild.orchestration.build.settings import Settings
from databuild.orchestration.maintenance.adoption import adopt
from databuild.service.resources.limits import Limits
from databuild.v1.events_pb2 import BuildEvent


class Adopting:
    """Adopts partitions, as `partitions adopt` does. Used from one event loop."""

    def __init__(
        self,
        *,
        catalog: JobCatalog,
        event_log: EventLog,
        executor: Executor,
        settings: Settings,
        limits: Limits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Takes what it works with.

        Args:
            catalog: The jobs.
            event_log: Where adoptions go.
            executor: Ends what dead builds left behind, and runs the graph's lookup.
            settings: Where that runs.
            limits: What is allowed.
            clock: Returns the time in seconds since the epoch.
        """
        self._catalog = catalog
        self._event_log = event_log
        self._executor = executor
        self._settings = settings
        self._limits = limits
        self._clock = clock

    async def adopt(self, partitions: tuple[str, ...], *, author: str, reason: str, force: bool = False) -> BuildEvent:
        """Makes partitions available as they are, all of them or none, and returns the event that says so.

        Args:
            partitions: Refs or ranges of refs.
            author: Who does it.
            reason: Why, and where the data comes from.
            force: Whether to adopt also what is available already, or claimed by a build.

        Raises:
            InvalidRequestError: Nothing is named, no reason is given, or nobody produces one of them.
            AdoptionRefusedError: One of them is available, or claimed by a build.
            LookupFaultError: The graph's lookup failed.
        """
        if not partitions:
            raise InvalidRequestError("no partition is named")
        reason = reason.strip()
        if not reason:
            raise InvalidRequestError("there is no reason: who uses the data later wants to know where it comes from")
        return await adopt(
            await asyncio.to_thread(self._catalog.expand, partitions, self._limits.max_partitions),
            operation_id=new_build_request_id(self._clock()),
            author=author,
            reason=reason,
            force=force,
            catalog=self._catalog,
            event_log=self._event_log,
            executor=self._executor,
            working_directory=self._settings.working_directory,
            clock=self._clock,
        )
