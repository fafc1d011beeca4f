"""The builds of this process, in the queue or running. Each is a task that calls `run_build`.

Requests are validated before they come here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Mapping, Sequence

from databuild.errors import DataBuildError, EventLogError, ShuttingDownError
from databuild.event_log.coordination import LeaseOwner
from databuild.event_log.reads import BuildReads
from databuild.model.planning import PlanningProgress
from databuild.model.record_messages import time_from_message
from databuild.model.records import BuildRecord
from databuild.orchestration.build.begun_build import BegunBuild, read_begun_build
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import continue_build, run_build
from databuild.orchestration.build.settings import BuildRequest
from databuild.service.access.auth import ANONYMOUS
from databuild.service.builds.build_queue import BuildQueue
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool
from databuild.v1.events_pb2 import BuildEvent

_AUTHOR = "the service at shutdown"
"""Recorded author of the cancellation of builds that had not ended when the service stopped."""

_CANCEL_BATCH = 1000
"""The number of queued builds that one query checks for requests to cancel them."""

_log = logging.getLogger("databuild.service")


class RunningBuild:
    """A build of this process that has not ended.

    Attributes:
        request: The request.
        submitter: The name of the caller.
        former_holder: The dead process that this one resumes the build from; empty for a new build.
        begun: The progress of that process, if the build was running on an engine; else None.
        received: Done when the request is recorded; fails if it cannot be recorded.
        record: The record of the build right after its request was recorded; None before, and for a build that another
            process has recorded.
        task: The task that runs the build.
        has_slot: True from the moment the build leaves the queue to run.
        progress: The progress of planning; None before it starts.
        warnings: The warnings about the request, and those of planning so far.
    """

    def __init__(
        self, request: BuildRequest, submitter: str, former_holder: str = "", begun: BegunBuild | None = None
    ) -> None:
        self.request = request
        self.submitter = submitter
        self.former_holder = former_holder
        self.begun = begun
        self.received: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.record: BuildRecord | None = None
        self.task: asyncio.Task[None] | None = None
        self.has_slot = False
        self.progress: PlanningProgress | None = None
        self.warnings = list(request.warnings)

    def planning(self, progress: PlanningProgress) -> None:
        self.progress = progress

    def warned(self, warning: str) -> None:
        self.warnings.append(warning)


class QueueAdmission:
    """Admits a build when it gets a slot of the queue. An `Admission` for `run_build`.

    Args:
        build: The build.
        queue: The queue of this process.
        watch_cancel_requests: Starts to poll the event log for requests to cancel builds in the queue.
    """

    def __init__(self, build: RunningBuild, queue: BuildQueue, watch_cancel_requests: Callable[[], None]) -> None:
        self._build = build
        self._queue = queue
        self._watch_cancel_requests = watch_cancel_requests

    @property
    def lease_owner(self) -> LeaseOwner | None:
        """The submitter; None for a build that no other process can resume."""
        # A plan is not recorded, so another process could not run it.
        if self._build.request.plan is not None:
            return None
        return LeaseOwner(self._build.submitter or ANONYMOUS, self._build.former_holder)

    def received(self) -> None:
        if not self._build.received.done():
            self._build.received.set_result(None)

    async def admit(self) -> str:
        self._watch_cancel_requests()
        author = await self._queue.acquire(self._build.request.build_request_id, self._build.submitter)
        self._build.has_slot = not author
        return author


class RunningBuilds:
    """Queues and runs builds. Used from one event loop. An `Observer` of the event log.

    Args:
        context: The context that all builds share.
        limits: The limits on running and queued builds.
        readers: Read the event log.
    """

    def __init__(self, context: BuildContext, limits: Limits, readers: ReaderPool) -> None:
        self._context = context
        self._readers = readers
        self._queue = BuildQueue(limits.max_builds, limits.max_queued_builds)
        self._builds: dict[str, RunningBuild] = {}
        self._cancel_watch: asyncio.Task[None] | None = None
        self._stopped = False
        self._leaving = False

    @property
    def stopped(self) -> bool:
        """True once no new builds are accepted."""
        return self._stopped

    @property
    def running(self) -> Sequence[str]:
        """The ids of the builds that have a slot."""
        return [build for build, running in self._builds.items() if running.has_slot]

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all builds, in the queue or running."""
        return list(self._builds)

    @property
    def waiting(self) -> Mapping[str, int]:
        """The positions of the builds in the queue, from 1."""
        return {build: position for position, build in enumerate(self._queue.order, 1)}

    def position(self, build_request_id: str) -> int:
        """Returns the position of a build in the queue, from 1; 0 if it is not queued."""
        return self._queue.position(build_request_id)

    def get(self, build_request_id: str) -> RunningBuild | None:
        """Returns a build; None if it has ended or belongs to another process."""
        return self._builds.get(build_request_id)

    def check_open(self) -> None:
        """Checks that new builds are accepted.

        Raises:
            ShuttingDownError: The service is stopping.
        """
        if self._stopped:
            raise ShuttingDownError

    def start(self, request: BuildRequest, submitter: str) -> RunningBuild:
        """Adds a new build to the queue.

        Raises:
            OverloadedError: The queue is full.
            ShuttingDownError: The service is stopping.
        """
        self.check_open()
        self._queue.check_capacity()
        return self._start(RunningBuild(request, submitter))

    def resume(self, request: BuildRequest, submitter: str, former_holder: str) -> bool:
        """Adds a build to the queue that a dead process has received and not started.

        Args:
            request: The request.
            submitter: The name of the caller.
            former_holder: The dead process, as its lease names it.

        Returns:
            False if the build is here already, or the service is stopping.
        """
        if self._stopped or request.build_request_id in self._builds:
            return False
        self._start(RunningBuild(request, submitter, former_holder))
        return True

    def continue_build(self, build_request_id: str, holder: str) -> bool:
        """Continues a build that was running on an engine when its process died.

        Args:
            build_request_id: The build.
            holder: The dead process, as its lease names it.

        Returns:
            False if the build cannot be continued and has to be ended.
        """
        if self._stopped or build_request_id in self._builds:
            return True
        context = self._context
        with contextlib.closing(context.event_log.reader()) as reader:
            begun = read_begun_build(reader, build_request_id, holder, catalog=context.catalog, engines=context.engines)
        if begun is None:
            return False
        _log.warning("build %s: its process has died; it is continued here", build_request_id)
        self._start(RunningBuild(begun.request, "", holder, begun))
        return True

    def cancel_waiting(self, build_request_id: str, author: str) -> None:
        """Removes a build from the queue, so that it ends. Does nothing if it does not wait."""
        self._queue.cancel(build_request_id, author)

    def notify(self, events: Sequence[BuildEvent]) -> None:
        """Sets the record of a new build, whose first events are durable now."""
        if events[0].sequence == 1 and (build := self._builds.get(events[0].build_request_id)) is not None:
            build.record = _received_record(events)

    def close(self) -> None:
        """Does nothing: `end` ends the builds, before the event log is closed."""

    async def drain(self, seconds: float) -> bool:
        """Accepts no new builds, and waits a limited time for those that run. Returns True if no build is left."""
        self._stopped = True
        # Queued builds stay in the queue: they would only start to be cancelled.
        self._queue.stop()
        tasks = [build.task for build in self._builds.values() if build.has_slot and build.task is not None]
        if tasks and seconds > 0:
            await asyncio.wait(tasks, timeout=seconds)
        return not self._builds

    async def end(self, *, leave_builds: bool = False) -> None:
        """Cancels all builds, and waits for them.

        Args:
            leave_builds: True if the ends of builds cannot be recorded, on purpose: the event log is closed.
        """
        self._stopped = True
        self._leaving = leave_builds
        self._queue.stop()
        if self._cancel_watch is not None:
            self._cancel_watch.cancel()
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
            context = self._context._replace(admission=admission, planning=build, continue_build=self.continue_build)
            if build.begun is not None:
                await continue_build(build.begun, context)
            else:
                await run_build(request, context)
        except Exception as error:
            if not build.received.done():
                build.received.set_exception(error)
            elif self._leaving:
                _log.warning("build %s is left to the next service", request.build_request_id)
            elif isinstance(error, DataBuildError):
                _log.warning("build %s: %s", request.build_request_id, error)
            else:
                _log.exception("build %s: internal error", request.build_request_id)
        finally:
            del self._builds[request.build_request_id]
            if build.has_slot:
                self._queue.release()
            if not build.received.done():  # the task was cancelled before the request was recorded
                build.received.set_exception(ShuttingDownError())
            # Mark the exception as retrieved: the caller may have disconnected.
            build.received.exception()

    def _watch_cancel_requests(self) -> None:
        if self._cancel_watch is None or self._cancel_watch.done():
            self._cancel_watch = asyncio.create_task(self._poll_cancel_requests(), name="cancel-requests")

    async def _poll_cancel_requests(self) -> None:
        """Cancels queued builds whose cancellation another process has requested.

        A running build polls the event log itself.
        """
        while waiting := self._queue.order:
            for start in range(0, len(waiting), _CANCEL_BATCH):
                await asyncio.sleep(self._context.settings.cancel_poll_seconds)
                batch = waiting[start : start + _CANCEL_BATCH]
                with contextlib.suppress(EventLogError):  # the next round tries again
                    for build, author in (await self._readers.read(functools.partial(_cancel_requests, batch))).items():
                        self._queue.cancel(build, author)


def _received_record(events: Sequence[BuildEvent]) -> BuildRecord:
    """Returns the record of a build from its first events, as the event log has it."""
    first, last = events[0], events[-1]
    return BuildRecord(
        build_request_id=first.build_request_id,
        status="RECEIVED",
        graph_label=first.build_request.graph_label,
        requested=tuple(ref.str for ref in first.build_request.requested),
        received_time=time_from_message(first.time),
        updated_time=time_from_message(last.time),
        last_sequence=last.sequence,
        retry_of_build_request_id=first.build_request.retry_of_build_request_id,
    )


def _cancel_requests(builds: Sequence[str], reader: BuildReads) -> Mapping[str, str]:
    return reader.cancel_requests(builds)
