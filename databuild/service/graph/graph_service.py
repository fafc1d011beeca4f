"""The service as a whole: its parts, how they begin, and how they end. It knows nothing of gRPC or HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from databuild.errors import OrchestrationError
from databuild.event_log.log import EventLog
from databuild.executors.executor import Executor
from databuild.graph.catalog import JobCatalog
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.settings import Settings
from databuild.orchestration.coordination.coordination import Coordination
from databuild.orchestration.coordination.dead_builds import find_dead
from databuild.orchestration.telemetry.telemetry import Telemetry
from databuild.service.builds.abandoned_builds import left_builds
from databuild.service.builds.builds import BuildService
from databuild.service.builds.plans import Planner
from databuild.service.builds.running_builds import RunningBuilds
from databuild.service.builds.watching import Watching
from databuild.service.graph.maintenance import Maintenance
from databuild.service.job_runs.jobs import Jobs
from databuild.service.job_runs.logs import Logs
from databuild.service.partitions.adoptions import Adoptions
from databuild.service.partitions.partitions import Partitions
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool
from databuild.v1.events_pb2 import BuildEvent

_LOOK_FOR_THE_DEAD_SECONDS: Final = 10.0

_log = logging.getLogger("databuild.service")


class GraphService:
    """One graph, served.

    Attributes:
        catalog: The jobs.
        limits: What is allowed.
        builds: Builds.
        partitions: Partitions and plans.
        adoptions: Adoption of existing data.
        jobs: Jobs.
        logs: The logs of job runs.
        maintenance: Pruning and verification of the event log.
        running: The builds of this process.
        watching: Who watches builds.
    """

    def __init__(
        self,
        *,
        catalog: JobCatalog,
        event_log: EventLog,
        make_executor: Callable[[], Executor],
        settings: Settings,
        limits: Limits | None = None,
        on_event: Callable[[BuildEvent], None] | None = None,
        telemetry: Telemetry | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Makes the parts; to be called, and they to be used, on one event loop.

        Args:
            catalog: The jobs.
            event_log: The event log, which this closes in the end.
            make_executor: Makes what runs processes, once for each event loop.
            settings: Where processes run and what they leave behind.
            limits: What is allowed; None for the usual.
            on_event: Told of every event as it is handed to the event log.
            telemetry: Receives traces and metrics of builds; None for none.
            clock: Returns the time in seconds since the epoch.
        """
        self.catalog = catalog
        self.limits = limits = limits or Limits()
        self._settings = settings
        self._clock = clock
        self._executor = make_executor()
        self._readers = ReaderPool(event_log.reader)
        self._news = ReaderPool(event_log.reader, 1)
        self.watching = Watching(self._readers, self._news, lambda build: self.running.get(build) is not None)
        self._event_log = event_log
        event_log.observe(self.watching)
        self._planner = Planner(catalog, event_log.reader, make_executor, settings, limits.max_plans)
        context = BuildContext(
            catalog=catalog,
            event_log=self._event_log,
            executor=self._executor,
            settings=settings,
            clock=clock,
            telemetry=telemetry,
            on_event=on_event,
        )
        self.running = RunningBuilds(context, limits, self._readers)
        self.builds = BuildService(
            catalog=catalog,
            event_log=self._event_log,
            running=self.running,
            limits=limits,
            readers=self._readers,
            watching=self.watching,
            clock=clock,
        )
        self.partitions = Partitions(
            catalog=catalog,
            event_log=self._event_log,
            planner=self._planner,
            limits=limits,
            readers=self._readers,
            clock=clock,
        )
        self.adoptions = Adoptions(
            catalog=catalog,
            event_log=self._event_log,
            executor=self._executor,
            settings=settings,
            limits=limits,
            clock=clock,
        )
        self.jobs = Jobs(catalog, limits, self._readers)
        self.logs = Logs(settings.log_directory, self._readers)
        self.maintenance = Maintenance(event_log, settings.log_directory, self._readers, clock=clock)
        self._housekeeping: asyncio.Task[None] | None = None

    async def start(self) -> Sequence[str]:
        """Ends the builds whose orchestrators have died, now and from time to time; returns those of now.

        With those that only waited in the queue of a service it goes on instead.
        """
        dead = await self._look_after_the_dead()
        self._housekeeping = asyncio.create_task(self._keep_house(), name="housekeeping")
        return dead

    async def drain(self, seconds: float) -> bool:
        """Takes no new builds, and gives those that run a time to end; returns whether all have."""
        return await self.running.drain(seconds)

    async def close(self, *, leave_builds: bool = False) -> None:
        """Stops all parts, and closes the event log. Does nothing if it is already closed.

        Args:
            leave_builds: Record no end of running builds, so that the next service ends them as dead and continues
                queued ones. By default they are cancelled.
        """
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            await asyncio.wait({self._housekeeping})
        if leave_builds:
            # Cancelled builds try to record their end. In a closed log they cannot.
            await self._event_log.close()
        await self.running.end(leave_builds=leave_builds)
        self.logs.close()
        await self.maintenance.close()
        self.watching.close()
        await self._planner.close()
        await asyncio.to_thread(self._readers.close)
        await asyncio.to_thread(self._news.close)
        await self._event_log.close()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_FOR_THE_DEAD_SECONDS)
            try:
                await self._look_after_the_dead()
            except OrchestrationError as error:
                _log.warning("looking for builds that have died: %s", error)

    async def _look_after_the_dead(self) -> Sequence[str]:
        left = await self._readers.read(lambda reader: left_builds(reader, self.catalog.graph_label))
        if taken := sum(self.running.go_on(*build) for build in left):
            _log.warning("builds that waited in a service that has died go on waiting: %d", taken)
        if not await self._readers.read(find_dead):
            return ()
        reader = self._event_log.reader()
        try:
            coordination = Coordination(
                self._event_log,
                reader,
                self._executor,
                "",
                clock=self._clock,
                lease_seconds=self._settings.lease_seconds,
            )
            return await coordination.end_the_dead()
        finally:
            reader.close()
