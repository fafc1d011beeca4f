"""Operations on builds: submit, retry, show, list, cancel and watch. This module does not depend on gRPC or HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeVar

from databuild.errors import (
    BuildConflictError,
    BuildPrunedError,
    CoordinationError,
    InvalidRequestError,
    InvalidStateTransitionError,
    JobRunNotFoundError,
    TooManyPartitionsError,
)
from databuild.event_log.reads import BuildReads, OpenBuildReads
from databuild.model import statuses
from databuild.model.records import BuildPartitionRecord, BuildRecord, JobRunRecord
from databuild.model.views import BuildView
from databuild.orchestration.build.downstream_request import Requested, partitions_to_build
from databuild.orchestration.build.retry import check_may_be_retried, partitions_to_retry
from databuild.orchestration.build.settings import BuildRequest
from databuild.orchestration.coordination.build_ids import LATEST, find_build
from databuild.orchestration.coordination.dead_builds import find_dead_builds
from databuild.orchestration.jobs.waits import resource_waits
from databuild.orchestration.maintenance.operations import cancel_request
from databuild.service.builds.event_feeds import EventFeeds
from databuild.service.builds.requests import (
    Submission,
    build_request,
    describe_difference,
    few_known_refs,
    recorded_request,
    requested_partitions,
    starting_points,
)
from databuild.service.builds.running_builds import RunningBuilds
from databuild.service.resources.service_context import ServiceContext
from databuild.tuples import NamedTuple
from databuild.v1.events_pb2 import BuildEvent

_T = TypeVar("_T")


class BuildPage(NamedTuple):
    """A page of builds, newest first. `next_before` is the `before` of the next page; empty on the last page."""

    builds: tuple[BuildView, ...]
    next_before: str


class BuildService:
    """Operations on builds. Used from one event loop.

    A build is selected by its id, a unique prefix of it, or `latest`.

    Args:
        context: The parts of the service.
        running: Runs builds.
        event_feeds: Streams events.
    """

    def __init__(self, context: ServiceContext, running: RunningBuilds, event_feeds: EventFeeds) -> None:
        self._context = context
        self._running = running
        self._event_feeds = event_feeds

    async def submit(self, submission: Submission, *, submitter: str = "", traceparent: str = "") -> BuildView:
        """Starts a build, and returns it as it is when its request is recorded.

        Repeating a request with the same id starts nothing, and returns the build as it is now.

        Args:
            submission: The request.
            submitter: The name of the caller. Submitters take turns in the queue.
            traceparent: The trace context of the caller; empty for none.

        Raises:
            InvalidRequestError: The request is not valid, or nothing is downstream. No build is recorded.
            BuildConflictError: A build with this id and another request exists.
            OverloadedError: The queue is full.
            ShuttingDownError: The service is stopping.
        """
        requested = await self._requested(submission)
        return await self._submit(submission, requested, submitter, traceparent=traceparent)

    async def check(self, submission: Submission) -> None:
        """Checks a request as `submit` does, and records nothing.

        Raises:
            InvalidRequestError: The request is not valid, or nothing is downstream.
            BuildConflictError: A build with this id and another request exists.
            ShuttingDownError: The service is stopping.
        """
        self._running.check_open()
        request = build_request(submission, await self._requested(submission), self._context.limits, retry_of="")
        if build_request_id := submission.build_request_id:
            running = self._running.get(build_request_id)
            existing = running.request if running else await self._recorded(build_request_id)
            if existing is not None:
                _check_same(existing, request)

    async def retry(
        self,
        selector: str,
        submission: Submission,
        *,
        failed_jobs_only: bool = False,
        submitter: str = "",
        traceparent: str = "",
    ) -> BuildView:
        """Starts a build of the partitions that another build was requested to build and did not finish.

        Args:
            selector: The build to retry.
            submission: The id and options of the new build. Its partitions are ignored.
            failed_jobs_only: Request only the outputs of failed jobs.
            submitter: The name of the caller.
            traceparent: The trace context of the caller; empty for none.

        Raises:
            BuildNotFoundError: The build does not exist.
            BuildStateError: The build has not ended.
            InvalidRequestError: The build completed, or none of its jobs failed.
        """

        def partitions(reader: OpenBuildReads) -> tuple[str, tuple[str, ...]]:
            build = find_build(reader, selector)
            check_may_be_retried(reader, build, self._context.liveness)
            old = build.build_request_id
            return old, partitions_to_retry(reader, old, failed_jobs_only=failed_jobs_only)

        old, requested = await self._context.readers.read(partitions)
        return await self._submit(submission, Requested(requested), submitter, retry_of=old, traceparent=traceparent)

    async def get(self, selector: str = LATEST) -> BuildView:
        """Returns a build as it is now.

        Raises:
            BuildNotFoundError: No build matches the selector, or several do.
        """

        def view(reader: OpenBuildReads) -> BuildView:
            build = find_build(reader, selector)
            if build.status in statuses.BUILD.ended:
                return BuildView(build, warnings=_warnings(reader, build))
            waits = resource_waits(reader, build.build_request_id)
            return BuildView(build, waiting_for=tuple(waits), dead_reason=self._deaths(reader, [build])[0])

        recorded = await self._context.readers.read(view)
        build_request_id = recorded.build.build_request_id
        recorded = recorded._replace(queue_position=self._running.position(build_request_id))
        running = self._running.get(build_request_id)
        if running is None or recorded.build.status in statuses.BUILD.ended:
            return recorded
        # Progress and warnings of planning are not recorded until it has completed.
        planning = running.progress if recorded.build.status == "PLANNING" else None
        return recorded._replace(planning=planning, warnings=tuple(running.warnings))

    async def list_builds(self, *, status: str | None = None, before: str = "", limit: int = 20) -> BuildPage:
        """Returns a page of builds, newest first.

        Args:
            status: The status of the builds; None for all.
            before: `next_before` of the page before; empty for the first page.
            limit: The maximum number of builds.

        Raises:
            BuildNotFoundError: There is no build `before`.
        """
        limit = min(max(limit, 1), self._context.limits.max_page_rows)

        def views(reader: OpenBuildReads) -> list[BuildView]:
            builds = reader.builds(status=status, before=before or None, limit=limit)
            deaths = self._deaths(reader, builds)
            return [BuildView(build, dead_reason=death) for build, death in zip(builds, deaths, strict=True)]

        page = self._with_positions(await self._context.readers.read(views))
        return BuildPage(page, page[-1].build.build_request_id if len(page) == limit else "")

    async def cancel(self, selector: str, author: str) -> BuildView:
        """Records a request to cancel a build, which the process that runs the build polls for.

        Raises:
            BuildNotFoundError: The build does not exist.
            BuildStateError: The build has ended.
        """

        def request(reader: OpenBuildReads) -> tuple[str, BuildEvent]:
            build = find_build(reader, selector)
            event = cancel_request(reader, build, author, clock=self._context.clock, liveness=self._context.liveness)
            return build.build_request_id, event

        build_request_id, event = await self._context.readers.read(request)
        await self._context.event_log.append([event])
        self._running.cancel_waiting(build_request_id, author)
        return await self.get(build_request_id)

    async def watch(self, selector: str, after: int = 0) -> AsyncGenerator[Sequence[BuildEvent]]:
        """Yields batches of the events of a build after a sequence number, and of new events as they come.

        Ends with the build, or when the service shuts down.

        Raises:
            BuildNotFoundError: The build does not exist.
            BuildPrunedError: The events of the build have been pruned.
        """
        build = await self._watched(selector, after)
        if build.status in statuses.BUILD.ended and after >= build.last_sequence:
            return
        if build.pruned_time:
            raise BuildPrunedError(build.build_request_id, "its events are not kept any more")
        # `after` may be larger than any sequence number that the build will reach. Start at the newest event at the
        # latest, so that the stream sees the end of the build.
        stream = self._event_feeds.watch(build.build_request_id, min(after, build.last_sequence))
        async with contextlib.aclosing(stream) as batches:
            async for events in batches:
                if events[0].sequence > after:
                    yield events
                elif later := [event for event in events if event.sequence > after]:
                    yield later

    async def check_exists(self, selector: str) -> None:
        """Checks that a build exists.

        Raises:
            BuildNotFoundError: No build matches the selector, or several do.
        """
        await self._watched(selector, 0)

    async def _watched(self, selector: str, after: int) -> BuildRecord:
        """Returns the record of a build to watch from a sequence number on; it may be that of its first events."""
        running = self._running.get(selector)
        if running is not None and running.record is not None and after <= running.record.last_sequence:
            return running.record
        return await self._context.readers.read(lambda reader: find_build(reader, selector))

    async def query(self, selector: str, query: Callable[[BuildReads, BuildRecord], _T]) -> _T:
        """Runs a query about a build in a thread, and returns its result.

        Raises:
            BuildNotFoundError: The build does not exist.
        """
        return await self._context.readers.read(lambda reader: query(reader, find_build(reader, selector)))

    async def events(self, selector: str, *, after: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        """Returns a page of the events of a build, in order of their sequence numbers."""
        limit = min(max(limit, 1), self._context.limits.max_page_rows)

        return await self.query(
            selector,
            lambda reader, build: reader.events(build.build_request_id, after_sequence=after, limit=limit),
        )

    async def partitions(
        self, selector: str, *, status: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[BuildPartitionRecord]:
        """Returns a page of the partitions of a build with their status in this build, by ref."""
        limit = min(max(limit, 1), self._context.limits.max_page_rows)

        return await self.query(
            selector,
            lambda reader, build: reader.build_partitions(
                build.build_request_id, status=status, after=after, limit=limit
            ),
        )

    async def job_runs(
        self, selector: str, *, status: str | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[JobRunRecord]:
        """Returns a page of the job runs of a build, in the order of their first events."""
        limit = min(max(limit, 1), self._context.limits.max_page_rows)

        return await self.query(
            selector,
            lambda reader, build: reader.job_runs(build.build_request_id, status=status, after=after, limit=limit),
        )

    async def job_run(self, job_run_id: str) -> JobRunRecord:
        """Returns a job run.

        Raises:
            JobRunNotFoundError: The job run does not exist.
        """
        job_run = await self._context.readers.read(lambda reader: reader.job_run(job_run_id))
        if job_run is None:
            raise JobRunNotFoundError(job_run_id)
        return job_run

    async def _downstream(self, submission: Submission) -> Requested:
        given = await asyncio.to_thread(
            starting_points, self._context.catalog, submission.partitions, self._context.limits
        )
        # The downstream partitions change with time. A repeated request keeps those of the first one.
        if build_request_id := submission.build_request_id:
            running = self._running.get(build_request_id)
            earlier = running.request if running else await self._recorded(build_request_id)
            if earlier is not None and earlier.downstream_of == given:
                return Requested(earlier.requested, given, earlier.warnings)
        limit = self._context.limits.max_partitions
        return await self._context.readers.read(
            lambda reader: partitions_to_build(reader, self._context.catalog, given, limit)
        )

    async def _recorded(self, build_request_id: str) -> BuildRequest | None:
        return await self._context.readers.read(lambda reader: recorded_request(reader, build_request_id))

    async def _submit(
        self, submission: Submission, requested: Requested, submitter: str, *, retry_of: str = "", traceparent: str
    ) -> BuildView:
        request = build_request(submission, requested, self._context.limits, retry_of)._replace(traceparent=traceparent)
        build_request_id = request.build_request_id
        # A client repeats a request whose response was lost. The build may be in the log, or not yet recorded.
        if submission.build_request_id and self._running.get(build_request_id) is None:
            recorded = await self._recorded(build_request_id)
            if recorded is not None:
                return await self._get_existing(recorded, request)
        running = self._running.get(build_request_id)
        if running is not None:
            # Shielded: a client that disconnects must not cancel a future that others wait for.
            await asyncio.shield(running.received)
            return await self._get_existing(running.request, request)
        running = self._running.start(request, submitter)
        try:
            await asyncio.shield(running.received)
        except (CoordinationError, InvalidStateTransitionError):
            # Another process has recorded a build with the same id since we looked.
            recorded = await self._recorded(build_request_id)
            if recorded is None:
                raise
            return await self._get_existing(recorded, request)
        # Not read from the event log, where it is one thread and one transaction away.
        assert running.record is not None
        position = self._running.position(build_request_id)
        return BuildView(running.record, queue_position=position, warnings=tuple(running.warnings))

    async def _requested(self, submission: Submission) -> Requested:
        """Returns the partitions that a request stands for.

        Raises:
            InvalidRequestError: A partition is not valid, there is none, or nothing is downstream.
        """
        plan = submission.plan
        if plan is not None:
            self._check_plan(submission)
            return Requested(plan.requested)
        if submission.downstream:
            return await self._downstream(submission)
        return Requested(await self._refs(submission.partitions))

    async def _refs(self, partitions: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the requested refs, with ranges expanded: in a thread, unless that takes longer."""
        if (refs := few_known_refs(self._context.catalog, partitions, self._context.limits)) is not None:
            return refs
        return await asyncio.to_thread(requested_partitions, self._context.catalog, partitions, self._context.limits)

    async def _get_existing(self, existing: BuildRequest, request: BuildRequest) -> BuildView:
        _check_same(existing, request)
        return await self.get(request.build_request_id)

    def _check_plan(self, submission: Submission) -> None:
        plan = submission.plan
        assert plan is not None
        if submission.partitions or submission.downstream:
            raise InvalidRequestError(
                "the plan names its partitions already; leave out the partitions of the request, and `downstream`"
            )
        if len(plan.requested) > self._context.limits.max_partitions:
            raise TooManyPartitionsError(self._context.limits.max_partitions)
        if plan.graph_label != self._context.catalog.graph_label:
            message = (
                f"the plan is for the graph {plan.graph_label}; this service serves {self._context.catalog.graph_label}"
            )
            raise InvalidRequestError(message)

    def _with_positions(self, views: Sequence[BuildView]) -> tuple[BuildView, ...]:
        positions = self._running.waiting
        return tuple(view._replace(queue_position=positions.get(view.build.build_request_id, 0)) for view in views)

    def _deaths(self, reader: OpenBuildReads, builds: Sequence[BuildRecord]) -> list[str]:
        """Returns for each build the reason why it is dead; empty for builds that are not."""
        others = [build for build in builds if build.status not in statuses.BUILD.ended and not self._is_running(build)]
        dead = find_dead_builds(reader, self._context.liveness) if others else {}
        faults = {build: death.fault for build, death in dead.items()}
        return [faults.get(build.build_request_id, "") for build in builds]

    def _is_running(self, build: BuildRecord) -> bool:
        return self._running.get(build.build_request_id) is not None


def _check_same(existing: BuildRequest, request: BuildRequest) -> None:
    if difference := describe_difference(existing, request):
        raise BuildConflictError(request.build_request_id, difference)


def _warnings(reader: BuildReads, build: BuildRecord) -> tuple[str, ...]:
    """Returns the warnings of a build that has ended from its last event; none if it was pruned."""
    last = reader.events(build.build_request_id, after_sequence=build.last_sequence - 1, limit=1)
    return tuple(last[0].build_request.warnings) if last else ()
