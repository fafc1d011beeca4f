"""The builds that this process runs or is about to run: each a task through the one `run_build`.

It runs builds in turn and stops them; it does not check requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence

from databuild.errors import DataBuildError, EventLogError, ShuttingDownError
from databuild.event_log.coordination import LeaseOwner
from databuild.event_log.reads import BuildReads
from databuild.model.planning import PlanningProgress
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest
from databuild.service.access.auth import ANONYMOUS
from databuild.service.builds.build_queue import BuildQueue
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool

_LOOK_SECONDS = 0.5
_AUTHOR = "the service, which was told to stop"
"""Recorded author of the cancellation of builds that had not ended when the service stopped."""

_LOOKS_AT = 1000

_log = logging.getLogger("databuild.service")


class RunningBuild:
    """A build of this process that has not ended.

    Attributes:
        request: The request.
        submitter: The name of the caller.
        left_by: The process that received it and died, where this one goes on with it; else empty.
        received: Done when the request is recorded; fails where it cannot be.
        task: Runs it.
        has_turn: True once the build has left the queue to run.
        progress: The progress of planning; None before it starts.
        warnings: The warnings of planning so far.
    """

    def __init__(self, request: BuildRequest, submitter: str, left_by: str = "") -> None:
        self.request = request
        self.submitter = submitter
        self.left_by = left_by
        self.received: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None
        self.has_turn = False
        self.progress: PlanningProgress | None = None
        self.warnings: list[str] = []

    def planning(self, progress: PlanningProgress) -> None:
        """Stores the progress."""
        self.progress = progress

    def warned(self, warning: str) -> None:
        """Stores a warning."""
        self.warnings.append(warning)


class QueueAdmission:
    """Admits one build when the queue gives it its turn (an `Admission` of `run_build`)."""

    def __init__(self, build: RunningBuild, queue: BuildQueue, watch_cancel_requests: Callable[[], None]) -> None:
        """Does not enter the queue yet.

        Args:
            build: The build.
            queue: The queue of this process.
            watch_cancel_requests: Starts to poll the event log for requests to cancel builds in the queue.
        """
        self._build = build
        self._queue = queue
        self._watch_cancel_requests = watch_cancel_requests

    @property
    def lease_owner(self) -> LeaseOwner | None:
        """The submitter; None for a build with a plan: the plan is not recorded, so no other process could run it."""
        if self._build.request.plan is not None:
            return None
        return LeaseOwner(self._build.submitter or ANONYMOUS, self._build.left_by)

    def received(self) -> None:
        """Answers the submitter."""
        if not self._build.received.done():
            self._build.received.set_result(None)

    async def admit(self) -> str:
        """Waits in the queue."""
        self._watch_cancel_requests()
        author = await self._queue.turn(self._build.request.build_request_id, self._build.submitter)
        self._build.has_turn = not author
        return author


class RunningBuilds:
    """Runs builds, so many at once. Used from one event loop."""

    def __init__(self, context: BuildContext, limits: Limits, readers: ReaderPool) -> None:
        """Starts nothing yet.

        Args:
            context: The context that all builds share.
            limits: The limits on running and queued builds.
            readers: Read the event log.
        """
        self._context = context
        self._readers = readers
        self._queue = BuildQueue(limits.max_builds, limits.max_queued_builds)
        self._builds: dict[str, RunningBuild] = {}
        self._looking: asyncio.Task[None] | None = None
        self._stopped = False
        self._leaving = False

    @property
    def stopped(self) -> bool:
        """True once no new builds are accepted."""
        return self._stopped

    @property
    def running(self) -> Sequence[str]:
        """The builds that have had their turn and not ended."""
        return [build for build, running in self._builds.items() if running.has_turn]

    @property
    def waiting(self) -> Mapping[str, int]:
        """The place of each build that waits for its turn, from 1."""
        return {build: place for place, build in enumerate(self._queue.order, 1)}

    def get(self, build_request_id: str) -> RunningBuild | None:
        """Returns a build, unless it has ended or is not of this process."""
        return self._builds.get(build_request_id)

    def start(self, request: BuildRequest, submitter: str) -> RunningBuild:
        """Starts a build, as soon as it is its turn.

        Raises:
            OverloadedError: Too many wait already.
            ShuttingDownError: No new builds are taken.
        """
        if self._stopped:
            raise ShuttingDownError
        self._queue.check_room()
        return self._start(RunningBuild(request, submitter))

    def go_on(self, request: BuildRequest, submitter: str, left_by: str) -> bool:
        """Goes on with a build that another process received and left in its queue, as soon as it is its turn.

        Args:
            request: The request.
            submitter: The name of the caller.
            left_by: The process, as the holder of a lease is named.

        Returns:
            Whether it does so now: not where it does already, or no new builds are taken.
        """
        if self._stopped or request.build_request_id in self._builds:
            return False
        self._start(RunningBuild(request, submitter, left_by))
        return True

    def cancel_waiting(self, build_request_id: str, author: str) -> None:
        """Ends a build that waits; one that does not is left alone."""
        self._queue.cancel(build_request_id, author)

    async def drain(self, seconds: float) -> bool:
        """Takes no new builds, and gives those that run a time to end; returns whether all have."""
        self._stopped = True
        self._queue.stop()
        tasks = [build.task for build in self._builds.values() if build.has_turn and build.task is not None]
        if tasks and seconds > 0:
            await asyncio.wait(tasks, timeout=seconds)
        return not self._builds

    async def end(self, *, leave_builds: bool = False) -> None:
        """Cancels all builds, and returns when they have ended.

        Args:
            leave_builds: True if the ends of builds cannot be recorded, on purpose: the event log is closed.
        """
        self._stopped = True
        self._leaving = leave_builds
        self._queue.stop()
        if self._looking is not None:
            self._looking.cancel()
        tasks = [build.task for build in self._builds.values() if build.task is not None]
        for task in tasks:
            task.cancel(_AUTHOR)
        if tasks:
            await asyncio.wait(tasks)

    def _start(self, build: RunningBuild) -> RunningBuild:
        self._builds[build.request.build_request_id] = build
        build.task = asyncio.create_task(self._run(build), name=build.request.build_request_id)
        return build

    async def _run(self, build: RunningBuild) -> None:
        request = build.request
        try:
            admission = QueueAdmission(build, self._queue, self._watch_cancel_requests)
            await run_build(request, dataclasses.replace(self._context, admission=admission, planning=build))
        except Exception as error:
            if not build.received.done():
                build.received.set_exception(error)
            elif self._leaving:
                _log.warning("build %s is left as it is", request.build_request_id)
            elif isinstance(error, DataBuildError):
                _log.warning("build %s: %s", request.build_request_id, error)
            else:
                _log.exception("build %s: a fault of DataBuild itself", request.build_request_id)
        finally:
            del self._builds[request.build_request_id]
            if build.has_turn:
                self._queue.done()
            if not build.received.done():  # cancelled before it was recorded
                build.received.set_exception(ShuttingDownError())
            build.received.exception()  # whoever asked may have gone

    def _watch_cancel_requests(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_for_cancel_requests(), name="cancel-requests")

    async def _look_for_cancel_requests(self) -> None:
        """Lets builds that wait know that another process has asked for them to be cancelled."""
        while waiting := self._queue.order:
            for start in range(0, len(waiting), _LOOKS_AT):
                await asyncio.sleep(_LOOK_SECONDS)
                some = waiting[start : start + _LOOKS_AT]
                with contextlib.suppress(EventLogError):  # asked again soon
                    for build, author in (await self._readers.read(functools.partial(_cancelled, some))).items():
                        self._queue.cancel(build, author)


def _cancelled(builds: Sequence[str], reader: BuildReads) -> dict[str, str]:
    """Returns who has asked for builds to be cancelled, by build."""
    records = [reader.build(build) for build in builds]
    return {one.build_request_id: one.cancel_requested_by for one in records if one and one.cancel_requested_by}
