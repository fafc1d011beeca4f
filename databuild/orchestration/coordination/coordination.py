"""Coordination of builds that share an event log: leases, the end of dead builds, and waiting for live ones.

A build is alive while its lease runs or, where that can be told, its process does. Whoever notices that one has died
ends it; its claims end with it. A build that waits holds nothing that another could wait for, so that builds never wait
for each other in a circle.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from databuild.errors import CoordinationError, InvalidStateTransitionError
from databuild.event_log import liveness
from databuild.event_log.coordination import LeaseOwner
from databuild.event_log.log import EventLog
from databuild.event_log.reads import OpenBuildReads
from databuild.executors.executor import Executor
from databuild.model import statuses
from databuild.model.lifecycle import BuildState
from databuild.model.paging import read_rows
from databuild.model.results import BuildResult, Cancelled, Failed
from databuild.orchestration.coordination.dead_builds import find_dead
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.v1 import partition_pb2 as pt

_RENEWALS: Final = 3
_POLL_SECONDS: Final = 0.1
_POLLS_PER_LOOK_FOR_THE_DEAD: Final = 10
_PAGE: Final = 10_000


class Coordination:
    """The part of one build in the coordination with other builds."""

    def __init__(
        self,
        event_log: EventLog,
        reader: OpenBuildReads,
        executor: Executor,
        build_request_id: str,
        *,
        clock: Callable[[], float],
        lease_seconds: float,
        lease_owner: LeaseOwner | None = None,
    ) -> None:
        """Takes no lease yet.

        Args:
            event_log: The event log that it shares.
            reader: Reads that log.
            executor: Ends processes that the dead left behind.
            build_request_id: The build.
            clock: Returns the time in seconds since the epoch, for the events that end the dead.
            lease_seconds: Duration of the lease. A build whose lease has expired counts as dead.
            lease_owner: The owner of the build's lease, if another process may take it over.
        """
        self._event_log = event_log
        self._reader = reader
        self._executor = executor
        self._build_request_id = build_request_id
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._lease_owner = lease_owner
        self._holder = liveness.this_process()
        self._waiting: dict[asyncio.Future[None], Sequence[str]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._polls = 0

    def renew(self) -> asyncio.Future[None]:
        """Takes or renews the lease of the build; need not be awaited."""
        renewed = asyncio.ensure_future(
            self._event_log.renew_lease(self._build_request_id, self._holder, self._lease_seconds, self._lease_owner)
        )
        # Where nobody awaits it, the event that is written with it tells of the same error.
        renewed.add_done_callback(lambda done: done.cancelled() or done.exception())
        return renewed

    @contextlib.asynccontextmanager
    async def staying_alive(self) -> AsyncIterator[None]:
        """Renews the lease while the inside runs.

        Raises:
            CoordinationError: Others have taken the build for dead; the inside was cancelled.
            EventLogError: The lease could not be renewed; the inside was cancelled.
        """
        inside = asyncio.current_task()
        assert inside is not None
        failure: BaseException | None = None

        async def beat() -> None:
            nonlocal failure
            while True:
                await asyncio.sleep(self._lease_seconds / _RENEWALS)
                try:
                    await self.renew()
                except Exception as error:
                    failure = error
                    inside.cancel()
                    return

        beating = asyncio.create_task(beat(), name="lease")
        try:
            yield
        except asyncio.CancelledError:
            if failure is not None:
                inside.uncancel()
                raise failure from None
            raise
        finally:
            beating.cancel()
            if self._watcher is not None:
                self._watcher.cancel()

    async def end_the_dead(self) -> list[str]:
        """Ends every build whose orchestrator has died, and returns them."""
        dead = find_dead(self._reader)
        dead.pop(self._build_request_id, None)
        for build, why in sorted(dead.items()):
            await self._end(build, why.fault, here=why.here)
        return sorted(dead)

    async def released(self, refs: Sequence[str]) -> None:
        """Waits until no other live build claims one of these refs; without any, until the next look."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[done] = refs
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch(), name="claims-of-others")
        try:
            await done
        finally:
            self._waiting.pop(done, None)

    async def _watch(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(_POLL_SECONDS)
                self._polls += 1
                if self._polls % _POLLS_PER_LOOK_FOR_THE_DEAD == 0:
                    await self.end_the_dead()
                wanted = {ref for refs in self._waiting.values() for ref in refs}
                held = {ref for ref, build in self._reader.claimed(wanted).items() if build != self._build_request_id}
                for done, refs in tuple(self._waiting.items()):
                    if held.isdisjoint(refs) and not done.done():
                        done.set_result(None)
                        del self._waiting[done]
        except Exception as error:
            for done in self._waiting:
                if not done.done():
                    done.set_exception(error)

    async def _end(self, build: str, fault: str, *, here: bool) -> None:
        """Ends one build that has died, unless somebody else does."""
        if here:
            await self._executor.kill_orphans(build)
        record = self._reader.build(build)
        if record is None or record.status not in statuses.BUILD.open:
            return
        claims = self._reader.claims_of(build)
        state = self._state(build)
        # A run that overwrites existing data is logged before it starts: without one in the log, the data is intact.
        in_doubt = {ref: run for ref, run in claims.items() if run in state.jobs}
        orchestrator = BuildOrchestrator(self._event_log, build, record.requested, clock=self._clock, state=state)
        result: BuildResult = Failed(
            jobs_completed=record.jobs_completed,
            jobs_failed=record.jobs_failed,
            category=pt.FAILURE_CATEGORY_INFRASTRUCTURE,
            message=f"{fault}; build again to go on from where it was",
        )
        if record.status == "RECEIVED" and record.cancel_requested_by:  # so that it was not left to the next service
            result = Cancelled(author=record.cancel_requested_by)
        with contextlib.suppress(InvalidStateTransitionError, CoordinationError):
            await orchestrator.complete_build(result, in_doubt)

    def _state(self, build: str) -> BuildState:
        record = self._reader.build(build)
        assert record is not None
        runs = read_rows(
            lambda after, limit: self._reader.job_runs(build, after=after, limit=limit),
            key=lambda run: run.number,
            start=0,
            size=_PAGE,
        )
        partitions = read_rows(
            lambda after, limit: self._reader.build_partitions(build, after=after, limit=limit),
            key=lambda partition: partition.ref,
            start="",
            size=_PAGE,
        )
        return BuildState.from_records(
            build,
            record.status,
            last_sequence=record.last_sequence,
            jobs=[(run.job_run_id, run.status) for run in runs],
            partitions=[(partition.ref, partition.status) for partition in partitions],
        )
