"""The parts of the service, their start and their end. This module does not depend on gRPC or HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from databuild.errors import OrchestrationError
from databuild.event_log import liveness as processes
from databuild.event_log.liveness import Liveness
from databuild.event_log.log import EventLog
from databuild.event_log.open import EnvironmentLogs
from databuild.executors.engines import Engines, no_engines
from databuild.executors.executor import ProcessExecutor
from databuild.graph.catalog import JobCatalog
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.settings import Settings
from databuild.orchestration.coordination.coordination import Coordination
from databuild.orchestration.coordination.dead_builds import find_dead_builds
from databuild.orchestration.logs.log_folders import log_folders
from databuild.orchestration.logs.log_uploads import LogUploads
from databuild.orchestration.logs.stored_logs import LogReader
from databuild.service.builds.abandoned_builds import find_abandoned_builds
from databuild.service.builds.builds import BuildService
from databuild.service.builds.event_feeds import EventFeeds
from databuild.service.builds.plans import Planner
from databuild.service.builds.reports import Reports
from databuild.service.builds.running_builds import RunningBuilds
from databuild.service.graph.graph_records import GraphRecords
from databuild.service.graph.maintenance import Maintenance
from databuild.service.job_runs.jobs import Jobs
from databuild.service.job_runs.logs import Logs
from databuild.service.partitions.adoptions import Adoptions
from databuild.service.partitions.partitions import Partitions
from databuild.service.partitions.previews import Previews
from databuild.service.partitions.removals import ServiceRemovals
from databuild.service.partitions.store_verification import StoreVerification
from databuild.service.partitions.trends import PartitionTrends
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool
from databuild.service.resources.service_context import ServiceContext
from databuild.storage.storages import Storages
from databuild.v1.events_pb2 import BuildEvent

_HOUSEKEEPING_SECONDS: Final = 10.0

_log = logging.getLogger("databuild.service")


class GraphService:
    """The service of one graph. Made and used on one event loop.

    Attributes:
        catalog: The jobs.
        limits: The limits.
        builds: Operations on builds.
        partitions: Operations on partitions, and plans.
        adoptions: Adoption of existing data.
        stores: Verification of the stores of data.
        trends: The numbers of partitions over time.
        previews: Previews of data.
        jobs: Queries about jobs.
        graph: The graph by job.
        logs: The logs of job runs.
        removals: Forgetting and deleting of data.
        reports: Reports about builds.
        maintenance: Pruning and verification of the event log.
        running: The builds of this process.
        event_feeds: The streams of events.
    """

    def __init__(
        self,
        *,
        catalog: JobCatalog,
        event_log: EventLog,
        make_executor: Callable[[], ProcessExecutor],
        settings: Settings,
        limits: Limits | None = None,
        on_event: Callable[[BuildEvent], None] | None = None,
        clock: Callable[[], float] = time.time,
        liveness: Liveness = processes,
        engines: Engines | None = None,
        owns_engines: bool = True,
        storages: Storages | None = None,
        environments: EnvironmentLogs | None = None,
    ) -> None:
        """Connects the parts. `start` starts them.

        Args:
            catalog: The jobs.
            event_log: The event log. `close` closes it.
            make_executor: Returns a new executor. Called once for each event loop.
            settings: The directories of job processes, and the timing of builds.
            limits: The limits; None for the defaults.
            on_event: Called with each event when it is passed to the event log.
            clock: Returns the time in seconds since the epoch.
            liveness: Tells which processes have died.
            engines: The engines that builds may use; None for none.
            owns_engines: True if `close` disconnects from them.
            storages: The stores of logs; None for none but folders.
            environments: The logs of the environments, which use data of this one; None for none.
        """
        self.catalog = catalog
        self.limits = limits or Limits()
        self._context = context = ServiceContext(
            catalog=catalog,
            event_log=event_log,
            readers=ReaderPool(event_log.reader),
            executor=make_executor(),
            settings=settings,
            limits=self.limits,
            storages=storages or Storages({}),
            clock=clock,
            liveness=liveness,
        )
        self._engines = engines or no_engines()
        self._owns_engines = owns_engines
        self._log_uploads = LogUploads(context.storages, settings.log_directory)
        # Only one reader: a reader reports what is new since its own last wait.
        self._notification_reader = ReaderPool(event_log.reader, 1)
        self.event_feeds = EventFeeds(
            context.readers, self._notification_reader, lambda build: self.running.get(build) is not None
        )
        event_log.observe(self.event_feeds)
        build_context = BuildContext(
            catalog=catalog,
            event_log=event_log,
            executor=context.executor,
            settings=settings,
            clock=clock,
            liveness=liveness,
            on_event=on_event,
            engines=self._engines,
            log_uploads=lambda: self._log_uploads,
        )
        self.running = RunningBuilds(build_context, self.limits, context.readers)
        event_log.observe(self.running)
        self._planner = Planner(catalog, event_log.reader, make_executor, settings, self.limits.max_plans)
        self.builds = BuildService(context, self.running, self.event_feeds)
        self.partitions = Partitions(context, self._planner)
        self.adoptions = Adoptions(context)
        self.stores = StoreVerification(context)
        self.removals = ServiceRemovals(context, environments)
        self.trends = PartitionTrends(catalog, context.readers)
        self.previews = Previews(catalog, context.readers, enabled=self.limits.previews)
        self.jobs = Jobs(catalog, self.limits, context.readers)
        self.graph = GraphRecords(catalog, self.limits, context.readers)
        log_reader = LogReader(settings.log_directory, context.storages, base_log_directory=settings.base_log_directory)
        self.logs = Logs(settings.log_directory, context.readers, log_reader)
        self.reports = Reports(self.builds, log_reader)
        log_places = log_folders(settings.log_directory, context.storages, self.limits.default_log_store)
        self.maintenance = Maintenance(event_log, log_places, context.readers, clock=clock)
        self._housekeeping: asyncio.Task[None] | None = None

    async def start(self) -> Sequence[str]:
        """Ends or continues dead builds and resumes abandoned ones, now and periodically.

        A build is dead if its process has died, and abandoned if it was only queued there. A dead build on an engine is
        continued.

        Returns:
            The ids of the dead builds that were ended now.
        """
        ended = await self._take_over()
        await self._context.readers.read(self._log_uploads.take_over)
        self._housekeeping = asyncio.create_task(self._keep_house(), name="housekeeping")
        return ended

    @property
    def has_builds(self) -> bool:
        """True if there are builds, in the queue or running."""
        return bool(self.running.ids)

    async def drain(self, seconds: float) -> bool:
        """Accepts no new builds, and waits a limited time for those that run. Returns True if no build is left."""
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
            await self._context.event_log.close()
            self._engines.leave()
        await self.running.end(leave_builds=leave_builds)
        if self._owns_engines:
            await self._engines.close()
        await asyncio.to_thread(self._log_uploads.close)
        # The streams end after the builds, so that watchers get the last events.
        self.logs.close()
        await self.maintenance.close()
        self.event_feeds.close()
        await self._planner.close()
        await self._context.executor.close()
        await asyncio.to_thread(self._context.readers.close)
        await asyncio.to_thread(self._notification_reader.close)
        await self._context.event_log.close()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            try:
                await self._take_over()
            except OrchestrationError as error:
                _log.warning("cannot look for dead builds: %s", error)

    async def _take_over(self) -> Sequence[str]:
        # Before abandoned builds are resumed, since these end dead builds, too.
        ended = await self._end_dead_builds()
        abandoned = await self._context.readers.read(
            lambda reader: find_abandoned_builds(reader, self.catalog.graph_label, self._context.liveness)
        )
        if resumed := sum(self.running.resume(*build) for build in abandoned):
            _log.warning("queued builds of a dead service that were resumed: %d", resumed)
        return ended

    async def _end_dead_builds(self) -> Sequence[str]:
        if not await self._context.readers.read(lambda reader: find_dead_builds(reader, self._context.liveness)):
            return ()
        # Coordination reads and appends in turns, so it has a reader of its own instead of one query of the pool.
        reader = self._context.event_log.reader()
        try:
            coordination = Coordination(
                self._context.event_log,
                reader,
                self._context.executor,
                "",
                clock=self._context.clock,
                lease_seconds=self._context.settings.lease_seconds,
                liveness=self._context.liveness,
                continue_build=self.running.continue_build,
            )
            return await coordination.end_dead_builds()
        finally:
            reader.close()
