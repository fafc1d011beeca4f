"""Builds on behalf of others: each goes through the one `run_build`, in this process, over one event log.

It knows nothing of gRPC or HTTP, which are thin over it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import NamedTuple, TypeVar

from databuild.errors import (
    BuildConflictError,
    BuildPrunedError,
    CoordinationError,
    InvalidRequestError,
    InvalidStateTransitionError,
    JobRunNotFoundError,
    TooManyPartitionsError,
)
from databuild.event_log.log import EventLog
from databuild.event_log.reads import BuildReads, OpenBuildReads
from databuild.graph.catalog import JobCatalog
from databuild.model import statuses
from databuild.model.records import BuildPartitionRecord, BuildRecord, JobRunRecord
from databuild.model.views import BuildView
from databuild.orchestration.build.retry import check_may_be_retried, partitions_to_retry
from databuild.orchestration.build.settings import BuildRequest
from databuild.orchestration.coordination.build_ids import LATEST, find_build
from databuild.orchestration.coordination.dead_builds import find_dead
from databuild.orchestration.jobs.waits import waits_of
from databuild.orchestration.maintenance.operations import cancel_request
from databuild.service.builds.requests import (
    Submission,
    build_request,
    difference,
    recorded_request,
    requested_partitions,
)
from databuild.service.builds.running_builds import RunningBuilds
from databuild.service.builds.watching import Watching
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool
from databuild.v1.events_pb2 import BuildEvent

_T = TypeVar("_T")


class BuildPage(NamedTuple):
    """A page of builds, newest first; `next_before` is what to ask for the next page with, empty on the last."""

    builds: tuple[BuildView, ...]
    next_before: str


class BuildService:
    """Starts, shows and stops builds. Used from one event loop."""

    def __init__(
        self,
        *,
        catalog: JobCatalog,
        event_log: EventLog,
        running: RunningBuilds,
        limits: Limits,
        readers: ReaderPool,
        watching: Watching,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Takes what it works with.

        Args:
            catalog: The jobs.
            event_log: Where requests to cancel go.
            running: Runs builds.
            limits: What is allowed.
            readers: Read the event log.
            watching: Serves those who watch.
            clock: Returns the time in seconds since the epoch.
        """
        self._catalog = catalog
        self._event_log = event_log
        self._running = running
        self._limits = limits
        self._readers = readers
        self._watching = watching
        self._clock = clock

    async def submit(self, submission: Submission, *, submitter: str = "") -> BuildView:
        """Starts a build and returns when it is recorded; the same request with the same id starts nothing new.

        Args:
            submission: What is asked for.
            submitter: Who asks: submitters take turns where builds have to wait.

        Raises:
            InvalidRequestError: The request makes no sense, and there is no build.
            BuildConflictError: The id is that of a build that was asked for something else.
            OverloadedError: Too many builds wait already.
            ShuttingDownError: No new builds are taken.
        """
        plan = submission.plan
        if plan is None:
            requested = await asyncio.to_thread(
                requested_partitions, self._catalog, submission.partitions, self._limits
            )
        else:
            self._check_plan(submission)
            requested = plan.requested
        return await self._submit(submission, requested, submitter)

    async def retry(
        self, text: str, submission: Submission, *, failed_jobs_only: bool = False, submitter: str = ""
    ) -> BuildView:
        """Starts a build of what another was asked for; what that one finished is not repeated.

        Args:
            text: The build to retry.
            submission: How to build, and the id of the new build; names no partitions.
            failed_jobs_only: Whether to ask only for what failed jobs should have produced.
            submitter: Who asks.

        Raises:
            BuildNotFoundError: There is no such build.
            BuildStateError: It has not ended.
            InvalidRequestError: It completed, or no job of it failed.
        """

        def partitions(reader: OpenBuildReads) -> tuple[str, tuple[str, ...]]:
            build = find_build(reader, text)
            check_may_be_retried(reader, build)
            old = build.build_request_id
            return old, partitions_to_retry(reader, old, failed_jobs_only=failed_jobs_only)

        old, requested = await self._readers.read(partitions)
        return await self._submit(submission, requested, submitter, retry_of=old)

    async def get(self, text: str = LATEST) -> BuildView:
        """Returns how a build stands.

        Args:
            text: Its id, the beginning of one, or `latest`.

        Raises:
            BuildNotFoundError: There is none, or there are several.
        """

        def view(reader: OpenBuildReads) -> BuildView:
            build = find_build(reader, text)
            if build.status in statuses.BUILD.ended:
                return BuildView(build, warnings=_warnings(reader, build))
            waits = waits_of(reader, build.build_request_id)
            return BuildView(build, waiting_for=tuple(waits), dead=self._deaths(reader, [build])[0])

        found = self._placed([await self._readers.read(view)])[0]
        running = self._running.get(found.build.build_request_id)
        if running is None or found.build.status in statuses.BUILD.ended:
            return found
        planning = running.progress if found.build.status == "PLANNING" else None
        return found._replace(planning=planning, warnings=tuple(running.warnings))

    async def list_builds(self, *, status: str | None = None, before: str = "", limit: int = 20) -> BuildPage:
        """Returns builds, newest first.

        Args:
            status: Only builds of this status.
            before: The id of the last build of the page before.
            limit: How many at most.
        """
        limit = min(max(limit, 1), self._limits.max_page_rows)

        def views(reader: OpenBuildReads) -> list[BuildView]:
            builds = reader.builds(status=status, before=before or None, limit=limit)
            deaths = self._deaths(reader, builds)
            return [BuildView(build, dead=death) for build, death in zip(builds, deaths, strict=True)]

        page = self._placed(await self._readers.read(views))
        return BuildPage(page, page[-1].build.build_request_id if len(page) == limit else "")

    async def cancel(self, text: str, author: str) -> BuildView:
        """Asks for a build to be stopped, whichever process runs it.

        Raises:
            BuildNotFoundError: There is no such build.
            BuildStateError: It has ended.
        """

        def request(reader: OpenBuildReads) -> tuple[str, BuildEvent]:
            build = find_build(reader, text)
            return build.build_request_id, cancel_request(reader, build, author, clock=self._clock)

        build_request_id, event = await self._readers.read(request)
        await self._event_log.append([event])
        self._running.cancel_waiting(build_request_id, author)
        return await self.get(build_request_id)

    async def watch(self, text: str, after: int = 0) -> AsyncGenerator[Sequence[BuildEvent]]:
        """Returns the events of a build after a sequence number, then new ones as they come, some at once.

        It ends with the build.

        Raises:
            BuildNotFoundError: There is no such build.
            BuildPrunedError: Its events are not kept any more.
        """
        build = (await self.get(text)).build
        if build.status in statuses.BUILD.ended and after >= build.last_sequence:
            return
        if build.pruned_time:
            raise BuildPrunedError(build.build_request_id, "its events are not kept any more")
        # From where it stands now, so that the end is seen of a build that never gets so far.
        watching = self._watching.watch(build.build_request_id, min(after, build.last_sequence))
        async with contextlib.aclosing(watching) as pieces:
            async for events in pieces:
                if events[0].sequence > after:
                    yield events
                elif wanted := [event for event in events if event.sequence > after]:
                    yield wanted

    async def ask(self, text: str, question: Callable[[BuildReads, BuildRecord], _T]) -> _T:
        """Returns the answer to a question about a build, which is called in a thread.

        Raises:
            BuildNotFoundError: There is no such build.
        """
        return await self._readers.read(lambda reader: question(reader, find_build(reader, text)))

    async def events(self, text: str, *, after: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        """Returns a page of the events of a build, in order."""
        limit = min(max(limit, 1), self._limits.max_page_rows)

        return await self.ask(
            text,
            lambda reader, build: reader.events(build.build_request_id, after_sequence=after, limit=limit),
        )

    async def partitions(
        self, text: str, *, status: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[BuildPartitionRecord]:
        """Returns a page of the partitions of a build with their statuses in it, by ref."""
        limit = min(max(limit, 1), self._limits.max_page_rows)

        return await self.ask(
            text,
            lambda reader, build: reader.build_partitions(
                build.build_request_id, status=status, after=after, limit=limit
            ),
        )

    async def job_runs(
        self, text: str, *, status: str | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[JobRunRecord]:
        """Returns a page of the job runs of a build, in the order in which they were first heard of."""
        limit = min(max(limit, 1), self._limits.max_page_rows)

        return await self.ask(
            text,
            lambda reader, build: reader.job_runs(build.build_request_id, status=status, after=after, limit=limit),
        )

    async def job_run(self, job_run_id: str) -> JobRunRecord:
        """Returns one job run.

        Raises:
            JobRunNotFoundError: There is none of that id.
        """
        job_run = await self._readers.read(lambda reader: reader.job_run(job_run_id))
        if job_run is None:
            raise JobRunNotFoundError(job_run_id)
        return job_run

    async def _submit(
        self, submission: Submission, requested: tuple[str, ...], submitter: str, *, retry_of: str = ""
    ) -> BuildView:
        request = build_request(submission, requested, self._limits, retry_of)
        build_request_id = request.build_request_id
        if submission.build_request_id and self._running.get(build_request_id) is None:
            known = await self._readers.read(lambda reader: recorded_request(reader, build_request_id))
            if known is not None:
                return await self._known(known, request)
        running = self._running.get(build_request_id)
        if running is not None:
            await asyncio.shield(running.received)
            return await self._known(running.request, request)
        running = self._running.start(request, submitter)
        try:
            await asyncio.shield(running.received)
        except (CoordinationError, InvalidStateTransitionError):  # another process was given the same id just now
            known = await self._readers.read(lambda reader: recorded_request(reader, build_request_id))
            if known is None:
                raise
            return await self._known(known, request)
        return await self.get(build_request_id)

    async def _known(self, known: BuildRequest, request: BuildRequest) -> BuildView:
        if words := difference(known, request):
            raise BuildConflictError(request.build_request_id, words)
        return await self.get(request.build_request_id)

    def _check_plan(self, submission: Submission) -> None:
        plan = submission.plan
        assert plan is not None
        if submission.partitions:
            raise InvalidRequestError("the plan says what to build; name no partition beside it")
        if len(plan.requested) > self._limits.max_partitions:
            raise TooManyPartitionsError(self._limits.max_partitions)
        if plan.graph_label != self._catalog.graph_label:
            message = f"the plan is of the graph {plan.graph_label}, and this is {self._catalog.graph_label}"
            raise InvalidRequestError(message)

    def _placed(self, views: Sequence[BuildView]) -> tuple[BuildView, ...]:
        """Returns builds with their places among those that wait for their turn."""
        places = self._running.waiting
        return tuple(view._replace(queue_position=places.get(view.build.build_request_id, 0)) for view in views)

    def _deaths(self, reader: OpenBuildReads, builds: Sequence[BuildRecord]) -> list[str]:
        """Returns why nothing more comes of builds, in words; nothing for those of which more may."""
        others = [build for build in builds if build.status not in statuses.BUILD.ended and not self._is_running(build)]
        dead = find_dead(reader) if others else {}
        faults = {build: death.fault for build, death in dead.items()}
        return [faults.get(build.build_request_id, "") for build in builds]

    def _is_running(self, build: BuildRecord) -> bool:
        return self._running.get(build.build_request_id) is not None


def _warnings(reader: BuildReads, build: BuildRecord) -> tuple[str, ...]:
    """Returns what a build that has ended warned of, as its last event says; nothing where that was pruned."""
    last = reader.events(build.build_request_id, after_sequence=build.last_sequence - 1, limit=1)
    return tuple(last[0].build_request.warnings) if last else ()
