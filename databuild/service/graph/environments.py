"""The environments of a graph: the service of each, which starts at its first use, and operations on all of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from databuild.errors import EnvironmentInUseError, InvalidRequestError, ShuttingDownError
from databuild.event_log.log import EventLog
from databuild.event_log.open import EnvironmentLogs
from databuild.event_log.overlay.reader import OverlayReader
from databuild.graph.catalog import JobCatalog
from databuild.model import statuses
from databuild.model.build_request_id import new_build_request_id
from databuild.model.environment_views import EnvironmentView, PartitionComparison, Promotion, RemovedEnvironment
from databuild.model.environments import check_environment
from databuild.orchestration.environments import environment_removal
from databuild.orchestration.environments.comparison import compare
from databuild.orchestration.environments.overview import overview
from databuild.orchestration.environments.promotion import promote
from databuild.service.graph.graph_service import GraphService
from databuild.service.resources.limits import Limits
from databuild.storage.storages import Storages

if TYPE_CHECKING:
    from databuild.exporters.environment_exports import EnvironmentExports

IDLE_SECONDS: Final = 600.0
"""The time after which the service of an environment stops that nobody has used and that runs no builds."""

_MAX_PAGE: Final = 1000


@dataclass(slots=True)
class _Started:
    service: GraphService
    used: float
    ready: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Environments:
    """The environments beside a base. Used on one event loop."""

    def __init__(
        self,
        logs: EnvironmentLogs,
        *,
        base_log: EventLog,
        catalog: JobCatalog,
        limits: Limits,
        make_service: Callable[[str, EventLog], GraphService],
        folder_of: Callable[[str], str],
        exports: EnvironmentExports | None = None,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Starts nothing yet.

        Args:
            logs: The logs of the environments.
            base_log: The event log of the base, to which promotions are written.
            catalog: The jobs.
            limits: The limits.
            make_service: Returns the service of an environment over its event log.
            folder_of: Returns the folder of an environment, which has its job logs.
            exports: Sends the events of environments to other systems; None for none.
            idle_seconds: The time after which an unused service stops.
            clock: Returns the time in seconds since the epoch.
        """
        self._logs = logs
        self._base_log = base_log
        self._catalog = catalog
        self._limits = limits
        self._make_service = make_service
        self._folder_of = folder_of
        self._exports = exports
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._started: dict[str, _Started] = {}
        self._closed = False

    async def start(self) -> None:
        """Starts the services of environments with builds that have not ended: dead and queued ones among them."""
        for name in await asyncio.to_thread(self._unfinished):
            await self.service(name, create=False)
        if self._exports is not None:
            self._exports.catch_up()

    async def service(self, environment: str, *, create: bool) -> GraphService:
        """Returns the service of an environment.

        Args:
            environment: The name.
            create: True to make the environment if it does not exist.

        Raises:
            InvalidRequestError: The name is invalid.
            EnvironmentNotFoundError: There is no such environment, and `create` is False.
        """
        if self._closed:
            raise ShuttingDownError
        started = self._started.get(environment)
        if started is None:
            await asyncio.to_thread(check_environment if create else self._logs.check, environment)
            started = self._started.get(environment)  # another request may have started it meanwhile
        if started is None:
            log = self._logs.open(environment)
            service = self._make_service(environment, log)
            started = self._started[environment] = _Started(service, self._clock())
            try:
                if self._exports is not None:
                    await asyncio.to_thread(self._exports.begin, environment, log)
                await service.start()
            except BaseException as error:
                del self._started[environment]
                started.ready.set_exception(error)
                started.ready.exception()  # retrieved, if nobody else waits
                await self._close(environment, service)
                raise
            started.ready.set_result(None)
            await self._stop_idle()
        await asyncio.shield(started.ready)
        started.used = self._clock()
        return started.service

    async def exists(self, environment: str) -> bool:
        """Returns True if an environment exists.

        Raises:
            InvalidRequestError: The name is invalid.
        """
        check_environment(environment)
        return environment in self._started or environment in await asyncio.to_thread(self._logs.names)

    async def overviews(self) -> Sequence[EnvironmentView]:
        """Returns the environments, in order of their names."""
        return await asyncio.to_thread(self._overviews)

    async def compare(
        self, environment: str, partitions: Sequence[str], *, after: str, limit: int
    ) -> Sequence[PartitionComparison]:
        """Compares partitions of an environment with those of the base, by ref.

        Args:
            environment: The environment.
            partitions: Refs and ranges of refs; none for all.
            after: The ref after which to begin.
            limit: The maximum number of comparisons.

        Raises:
            EnvironmentNotFoundError: There is no such environment.
        """
        if not 0 < limit <= _MAX_PAGE:
            raise InvalidRequestError(f"page_size is {limit}; it must be from 1 to {_MAX_PAGE:,}")

        def run() -> list[PartitionComparison]:
            refs = self._catalog.expand(tuple(partitions), self._limits.max_partitions, produced=False)
            with self._reading(environment) as reader:
                return list(itertools.islice(compare(reader, refs, after), limit))

        return await asyncio.to_thread(run)

    async def promote(self, environment: str, partitions: Sequence[str], *, author: str, reason: str) -> Promotion:
        """Makes partitions of an environment available in the base.

        Args:
            environment: The environment.
            partitions: Refs and ranges of refs; none for all that can be promoted.
            author: The author to record.
            reason: The reason to record.

        Raises:
            EnvironmentNotFoundError: There is no such environment.
            PromotionRefusedError: A partition that was named cannot be promoted, or the base has changed meanwhile.
        """
        refs = await asyncio.to_thread(self._catalog.expand, tuple(partitions), self._limits.max_partitions)
        reader = await asyncio.to_thread(self._open_reader, environment)
        try:
            return await promote(
                refs,
                environment=environment,
                reader=reader,
                event_log=self._base_log,
                catalog=self._catalog,
                operation_id=new_build_request_id(self._clock()),
                author=author,
                reason=reason,
                clock=self._clock,
            )
        finally:
            reader.close()

    async def remove(self, environment: str, *, delete_data: bool) -> RemovedEnvironment:
        """Removes an environment; with `delete_data`, also the data that was made in it and that nobody else uses.

        Raises:
            EnvironmentNotFoundError: There is no such environment.
            EnvironmentInUseError: Builds run there.
        """
        await asyncio.to_thread(self._logs.check, environment)
        started = self._started.get(environment)
        if started is not None:
            if running := started.service.running.ids:
                raise EnvironmentInUseError(environment, running)
            await self._stop(environment)
        if self._exports is not None:
            await asyncio.to_thread(self._exports.remove, environment)
        folder = self._folder_of(environment)
        storages = Storages(self._catalog.extensions)
        return await asyncio.to_thread(
            environment_removal.remove, self._logs, environment, folder, storages, with_data=delete_data
        )

    @property
    def has_builds(self) -> bool:
        """True if a service of an environment has builds, in its queue or running."""
        return any(started.service.has_builds for started in self._started.values())

    async def drain(self, seconds: float) -> bool:
        """Accepts no new builds, and waits a limited time for those that run. Returns True if no build is left."""
        return all(await asyncio.gather(*(started.service.drain(seconds) for started in self._started.values())))

    async def close(self, *, leave_builds: bool = False) -> None:
        """Stops the services of all environments, as `GraphService.close` does."""
        self._closed = True
        for started in list(self._started.values()):
            await started.service.close(leave_builds=leave_builds)
        self._started.clear()

    async def _stop_idle(self) -> None:
        oldest = self._clock() - self._idle_seconds
        for name, started in list(self._started.items()):
            if started.ready.done() and started.used < oldest and not started.service.running.ids:
                await self._stop(name)

    async def _stop(self, environment: str) -> None:
        await self._close(environment, self._started.pop(environment).service)

    async def _close(self, environment: str, service: GraphService) -> None:
        await service.close()
        if self._exports is not None:
            await asyncio.to_thread(self._exports.end, environment)

    def _overviews(self) -> list[EnvironmentView]:
        views = []
        for name in self._logs.names():
            with contextlib.closing(self._logs.reader(name)) as reader:
                views.append(overview(reader, name))
        return views

    def _unfinished(self) -> list[str]:
        found = []
        for name in self._logs.names():
            with contextlib.closing(self._logs.reader(name)) as reader:
                if any(reader.builds(status=status, limit=1) for status in statuses.BUILD.open):
                    found.append(name)
        return found

    def _open_reader(self, environment: str) -> OverlayReader:
        self._logs.check(environment)
        return self._logs.reader(environment)

    def _reading(self, environment: str) -> contextlib.closing[OverlayReader]:
        return contextlib.closing(self._open_reader(environment))
