"""Builds on a service: started, watched to their ends and stopped, as coroutines, which both clients run."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final, NamedTuple, Unpack

from databuild.client.notebook import LiveDisplay
from databuild.client.reads import Reads
from databuild.client.remote_build import RemoteBuild
from databuild.client.results import check_success, result_of, result_of_pruned
from databuild.model import statuses
from databuild.model.build_options import BuildKeywords, BuildOptions
from databuild.model.build_request_id import new_build_request_id
from databuild.model.job_graph import Plan
from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.plan_messages import plan_to_message
from databuild.model.pruning import Pruned
from databuild.model.results import BuildResult
from databuild.model.view_messages import build_from_message, pruned_from_message, verification_from_message
from databuild.model.views import BuildView, Verification
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2 as sv

MAX_UINT32: Final = 2**32 - 1


class Marked(NamedTuple):
    """Partitions that were marked, or whose mark was taken away, and who is recorded to have done it."""

    partitions: tuple[str, ...]
    author: str


class Adopted(NamedTuple):
    """Partitions that were adopted.

    Attributes:
        partitions: The partitions, ranges expanded.
        version: Their version.
        author: The recorded author.
        operation_id: The operation that the adoption is recorded as.
    """

    partitions: tuple[str, ...]
    version: str
    author: str
    operation_id: str


class Calls(Reads):
    """Asks a service, and has it do things. What is asked for twice, since an answer got lost, is done once."""

    async def submit(
        self,
        partitions: Sequence[str] = (),
        *,
        build_request_id: str = "",
        plan: Plan | None = None,
        **options: Unpack[BuildKeywords],
    ) -> BuildView:
        """Starts a build and returns how it stands once it is recorded.

        Args:
            partitions: Refs or ranges of refs; none stand for the graph's default partitions.
            build_request_id: The id that it is to have; the same request with the same id starts nothing new. Empty for
                a new one.
            plan: The plan to run exactly, with its partitions and its options; None to plan anew.
            options: The fields of `BuildOptions`; without `jobs`, the service chooses the number.
        """
        request = sv.SubmitBuildRequest(
            build_request_id=build_request_id or new_build_request_id(),
            partitions=partitions,
            options=BuildOptions(**options).to_message(),
            plan=plan_to_message(plan) if plan else None,
        )
        return build_from_message((await self._connection.ask("SubmitBuild", request)).build)

    async def start(self, build: RemoteBuild[Any]) -> BuildView:
        """Submits the build of a handle, and returns how it stands."""
        return await self.submit(
            build.partitions,
            build_request_id=build.build_request_id,
            plan=build.plan,
            **build.options,
        )

    async def execute_build(
        self,
        build: RemoteBuild[Any],
        *,
        check: bool = False,
        on_event: Callable[[ev.BuildEvent], None] | None = None,
    ) -> BuildResult:
        """Starts the build of a handle, unless it was started, and returns what came of it; notebooks show it live.

        Args:
            build: What `create_orchestrator` returned.
            check: Whether to raise where the build does not succeed.
            on_event: Told of every event.

        Raises:
            BuildFailedError: (with `check`) The build failed or was cancelled. Where no job did that but an error, that
                error is raised.
        """
        await self.start(build)
        shown = LiveDisplay(build)
        shown.start()
        async with contextlib.aclosing(self.watch_known(build.build_request_id)) as events:
            async for event in events:
                build.add(event)
                shown.refresh()
                if on_event is not None:
                    on_event(event)
        shown.refresh(now=True)
        result = build.result or await self.wait(build.build_request_id)
        if check:
            check_success(build.build_request_id, result)
        return result

    async def watch(self, build: str = "latest", *, after: int = 0) -> AsyncGenerator[ev.BuildEvent]:
        """Returns the events of a build, then new ones as they come; ends with the build.

        It goes on where it was, without gap or double, when the service was away.

        Args:
            build: The build.
            after: Only events after this sequence number.
        """
        known = (await self.get(build)).build
        async with contextlib.aclosing(self.watch_known(known.build_request_id, after=after)) as events:
            async for event in events:
                yield event

    async def watch_known(self, build_request_id: str, *, after: int = 0) -> AsyncGenerator[ev.BuildEvent]:
        """Returns the events of a build, as `watch` does, by its whole id."""
        request = sv.WatchBuildRequest(build_request_id=build_request_id, after_sequence=after)
        backoff = self._connection.backoff()
        while True:
            async with contextlib.aclosing(self._connection.stream("WatchBuild", request)) as answers:
                async for answer in answers:
                    backoff.reset()
                    for event in answer.events:
                        request.after_sequence = event.sequence
                        yield event
                        if event.build_request.status in BUILD_ENDS:
                            return
            # It ended without the end of the build: that came before, or the service is about to end.
            build = (await self.get(build_request_id)).build
            if build.status in statuses.BUILD.ended and build.last_sequence <= request.after_sequence:
                return
            await self._connection.sleep(backoff.next())

    async def wait(self, build: str = "latest", *, check: bool = False) -> BuildResult:
        """Waits for the end of a build and returns what came of it.

        Args:
            build: The build.
            check: Whether to raise where the build does not succeed, as `execute_build` does.
        """
        known = (await self.get(build)).build
        build_request_id = known.build_request_id
        end = None
        for event in await self.events(build_request_id, after=max(known.last_sequence - 1, 0), limit=1):
            end = event
        if end is not None and end.build_request.status not in BUILD_ENDS:
            async with contextlib.aclosing(self.watch_known(build_request_id, after=end.sequence)) as events:
                async for event in events:
                    end = event
        result = result_of(end.build_request) if end is not None else result_of_pruned(known)
        if check:
            check_success(build_request_id, result)
        return result

    async def cancel(self, build: str = "latest", *, author: str = "") -> BuildView:
        """Asks for a build to be stopped, and returns how it stands; `wait` waits for its end.

        Args:
            build: The build.
            author: Who asks; empty for whoever the client is.
        """
        request = sv.CancelBuildRequest(build_request_id=build)
        return build_from_message(await self._connection.ask("CancelBuild", request, author=author))

    async def retry(
        self,
        build: str = "latest",
        *,
        build_request_id: str = "",
        failed_jobs_only: bool = False,
        **options: Unpack[BuildKeywords],
    ) -> BuildView:
        """Starts a build of what another was asked for; what that one finished is not repeated.

        Args:
            build: The build to retry, which must have ended.
            build_request_id: The id of the new build; empty for a new one.
            failed_jobs_only: Whether to ask only for what failed jobs should have produced.
            options: The fields of `BuildOptions`; without `jobs`, the service chooses the number.
        """
        request = sv.RetryBuildRequest(
            build_request_id=build,
            new_build_request_id=build_request_id or new_build_request_id(),
            failed_jobs_only=failed_jobs_only,
            options=BuildOptions(**options).to_message(),
        )
        return build_from_message((await self._connection.ask("RetryBuild", request)).build)

    async def taint(self, partitions: Sequence[str], *, reason: str = "", untaint: bool = False) -> Marked:
        """Marks partitions as not to be trusted, or takes the mark away.

        Args:
            partitions: Refs or ranges of refs.
            reason: Why; recorded.
            untaint: Whether to take the mark away instead.
        """
        request = sv.TaintPartitionsRequest(partitions=partitions, reason=reason, untaint=untaint)
        answer = await self._connection.ask("TaintPartitions", request)
        return Marked(tuple(answer.partitions), answer.author)

    async def adopt(self, partitions: Sequence[str], *, reason: str, force: bool = False, author: str = "") -> Adopted:
        """Makes data available that was not built by DataBuild: all of the partitions, or none.

        Args:
            partitions: Refs or ranges of refs.
            reason: The origin of the data; recorded.
            force: Whether to adopt also partitions that are available, or claimed by a build.
            author: The author to record; empty for the user of the client. A service with tokens records the name of
                the token instead.
        """
        request = sv.AdoptPartitionsRequest(partitions=partitions, reason=reason, force=force)
        answer = await self._connection.ask("AdoptPartitions", request, author=author)
        return Adopted(tuple(answer.partitions), answer.version, answer.author, answer.operation_id)

    async def prune(
        self,
        *,
        older_than_seconds: float | None = None,
        keep: int | None = None,
        logs_older_than_seconds: float | None = None,
        dry_run: bool = False,
    ) -> Pruned:
        """Removes the events and job logs of builds that have ended; the records of partitions stay.

        Args:
            older_than_seconds: The minimum time since the end of a build; None for no minimum.
            keep: The number of the newest ended builds that are not pruned; None for none.
            logs_older_than_seconds: The minimum time since the end of a build whose job logs are removed; None to
                remove only those of pruned builds.
            dry_run: Whether to change nothing, and return what would be pruned.
        """
        request = sv.PruneBuildsRequest(
            older_than_seconds=_bounded(older_than_seconds),
            keep=_bounded(keep),
            logs_older_than_seconds=_bounded(logs_older_than_seconds),
            dry_run=dry_run,
        )
        total = Pruned(more=True)
        while total.more:
            total = total.plus(pruned_from_message(await self._connection.ask("PruneBuilds", request)))
        return total

    async def verify(self, builds: Sequence[str] = ()) -> Verification:
        """Checks the event log of the service, which can take minutes.

        Args:
            builds: The builds whose faults are reported; none for all.
        """
        request = sv.VerifyEventsRequest(builds=builds)
        while (answer := await self._connection.ask("VerifyEvents", request)).running:
            request.verification_id = answer.verification_id
        return verification_from_message(answer)

    async def logs(self, job_run_id: str, *, stream: str = "stderr", follow: bool = False) -> AsyncGenerator[bytes]:
        """Returns what a job run wrote, piece by piece.

        Args:
            job_run_id: The job run.
            stream: `stdout` or `stderr`.
            follow: Whether to go on until the job run ends.
        """
        request = sv.FollowLogRequest(job_run_id=job_run_id, stream=stream)
        backoff = self._connection.backoff()
        while not follow:
            piece = await self.read_log(job_run_id, stream=stream, offset=request.offset)
            if not piece.data:
                return
            request.offset = piece.next_offset
            yield piece.data
        while True:
            async with contextlib.aclosing(self._connection.stream("FollowLog", request)) as chunks:
                async for chunk in chunks:
                    request.offset = chunk.next_offset
                    backoff.reset()
                    if chunk.data:
                        yield chunk.data
                    if chunk.ended:
                        return
            await self._connection.sleep(backoff.next())

    async def close(self) -> None:
        """Lets go of the connection."""
        await self._connection.close()


def _bounded(number: float | None) -> int | None:
    """Returns a whole number that fits the message; the largest one selects as little as any larger one."""
    return None if number is None else min(math.floor(number), MAX_UINT32)
