"""Coordination of builds that share an event log: leases, the end of dead builds, and waits for live builds.

A build is alive while its lease is valid and, if it runs on this machine, its process lives. Any build that detects a
dead build ends it, which also releases its claims. A build that waits for another holds no claims that a third could
wait for, so there are no deadlocks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from databuild.errors import CoordinationError, InvalidStateTransitionError
from databuild.event_log import liveness as processes
from databuild.event_log.coordination import LEASE_TAKEN_OVER, LeaseOwner
from databuild.event_log.liveness import Liveness
from databuild.event_log.log import EventLog
from databuild.event_log.reads import OpenBuildReads
from databuild.executors.executor import ProcessExecutor
from databuild.model import statuses
from databuild.model.lifecycle import BuildState
from databuild.model.paging import read_rows
from databuild.model.results import BuildResult, Cancelled, Failed
from databuild.orchestration.coordination.dead_builds import Death, find_dead_builds
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.v1 import partition_pb2 as pt

_RENEWALS_PER_LEASE: Final = 3  # so that one slow renewal does not cost the lease
_POLLS_PER_DEAD_BUILD_CHECK: Final = 10
_PAGE: Final = 10_000


class Coordination:
    """The part of one build in the coordination with other builds."""

    def __init__(
        self,
        event_log: EventLog,
        reader: OpenBuildReads,
        executor: ProcessExecutor,
        build_request_id: str,
        *,
        clock: Callable[[], float],
        lease_seconds: float,
        poll_seconds: float = 0.1,
        lease_owner: LeaseOwner | None = None,
        liveness: Liveness = processes,
        continue_build: Callable[[str, str], bool] | None = None,
    ) -> None:
        """Does nothing yet; `renew` takes the lease.

        Args:
            event_log: The shared event log.
            reader: Reads that log.
            executor: Ends processes of dead builds.
            build_request_id: The build.
            clock: Returns the time in seconds since the epoch, for the events that end dead builds.
            lease_seconds: Duration of the lease. A build whose lease has expired counts as dead.
            poll_seconds: Interval at which `released` reads the event log.
            lease_owner: The owner of the build's lease, if another process may take it over.
            liveness: Tells which processes have died.
            continue_build: Continues a build whose orchestrator has died although its job runs have not ended. Its
                arguments are the build and the process that has died; it returns False if the build has to be ended.
                None to end all.
        """
        self._event_log = event_log
        self._reader = reader
        self._executor = executor
        self._build_request_id = build_request_id
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        self._lease_owner = lease_owner
        self._liveness = liveness
        self._continue_build = continue_build
        self.lost = False
        self._holder = liveness.this_process()
        self._waiting: dict[asyncio.Future[None], Sequence[str]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._polls = 0

    def renew(self) -> asyncio.Future[None]:
        """Renews the lease of the build, or takes it at first. Need not be awaited."""
        renewed = asyncio.ensure_future(
            self._event_log.renew_lease(self._build_request_id, self._holder, self._lease_seconds, self._lease_owner)
        )
        # Retrieves the error, for callers that do not await: the append of the next event raises the same error.
        renewed.add_done_callback(lambda done: done.cancelled() or done.exception())
        return renewed

    @contextlib.asynccontextmanager
    async def renewing_lease(self) -> AsyncIterator[None]:
        """Renews the lease while the context is active.

        Raises:
            CoordinationError: Another build has declared this one dead; the body was cancelled.
            EventLogError: The lease could not be renewed; the body was cancelled.
        """
        inside = asyncio.current_task()
        assert inside is not None
        failure: BaseException | None = None

        async def renew_periodically() -> None:
            nonlocal failure
            while True:
                await asyncio.sleep(self._lease_seconds / _RENEWALS_PER_LEASE)
                try:
                    await self.renew()
                except Exception as error:
                    # The build must not continue without a lease: another build may end it and claim its partitions.
                    failure = error
                    # An event log that fails may have given the lease to another process.
                    self.lost = not isinstance(error, CoordinationError) or error.fault == LEASE_TAKEN_OVER
                    inside.cancel()
                    return

        renewing = asyncio.create_task(renew_periodically(), name="lease")
        try:
            yield
        except asyncio.CancelledError:
            if failure is not None:
                inside.uncancel()
                raise failure from None
            raise
        finally:
            renewing.cancel()
            if self._watcher is not None:
                self._watcher.cancel()

    async def end_dead_builds(self) -> list[str]:
        """Ends every build whose orchestrator has died, or continues it. Returns the ids of those that were ended."""
        dead_builds = find_dead_builds(self._reader, self._liveness)
        dead_builds.pop(self._build_request_id, None)
        ended = []
        for build, death in sorted(dead_builds.items()):
            if death.holder and self._continue_build is not None and self._continue_build(build, death.holder):
                continue
            if await self._end(build, death):
                ended.append(build)
        return ended

    async def wait_for_release(self, refs: Sequence[str]) -> None:
        """Waits until no other live build claims any of these refs; without refs, until the next poll."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[done] = refs
        # One task polls for all waits of the build, with one query.
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch(), name="claims-of-others")
        try:
            await done
        finally:
            self._waiting.pop(done, None)

    async def _watch(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(self._poll_seconds)
                self._polls += 1
                if self._polls % _POLLS_PER_DEAD_BUILD_CHECK == 0:
                    await self.end_dead_builds()
                awaited = {ref for refs in self._waiting.values() for ref in refs}
                claims = self._reader.claimed(awaited)
                claimed_elsewhere = {ref for ref, build in claims.items() if build != self._build_request_id}
                for done, refs in tuple(self._waiting.items()):
                    if claimed_elsewhere.isdisjoint(refs) and not done.done():
                        done.set_result(None)
                        del self._waiting[done]
        except Exception as error:
            # Nothing awaits this task, so each waiting caller gets the error.
            for done in self._waiting:
                if not done.done():
                    done.set_exception(error)

    async def _end(self, build: str, death: Death) -> bool:
        """Ends one dead build, unless another build does so first; returns False if its request was never recorded."""
        if death.on_this_machine:
            await self._executor.kill_orphans(build, death.holder)
        record = self._reader.build(build)
        if record is None:
            await self._event_log.remove_lease(build, death.holder)
            return False
        if record.status not in statuses.BUILD.open:
            return True
        claims = self._reader.claims_of(build)
        state = self._state(build)
        # A run that overwrites existing data is logged before it starts: without one in the log, the data is intact.
        in_doubt = {ref: run for ref, run in claims.items() if run in state.jobs}
        orchestrator = BuildOrchestrator(self._event_log, build, record.requested, clock=self._clock, state=state)
        result: BuildResult = Failed(
            jobs_completed=record.jobs_completed,
            jobs_failed=record.jobs_failed,
            category=pt.FAILURE_CATEGORY_INFRASTRUCTURE,
            message=f"{death.fault}; build again to continue",
        )
        # A build that was cancelled before its admission is not taken over by another process, and never runs.
        if record.status == "RECEIVED" and record.cancel_requested_by:
            result = Cancelled(author=record.cancel_requested_by)
        # The event log refuses these events if another process has ended the build since `_state` was read.
        with contextlib.suppress(InvalidStateTransitionError, CoordinationError):
            await orchestrator.complete_build(result, in_doubt)
        return True

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
