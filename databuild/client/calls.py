"""The requests of both clients that change something, and those that watch or wait, as coroutines."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final, Unpack

from databuild.client.notebook import LiveDisplay
from databuild.client.reads import Reads, as_list
from databuild.client.remote_build import RemoteBuild
from databuild.client.results import check_success, result_of, result_of_pruned
from databuild.model import statuses
from databuild.model.build_options import BuildKeywords, BuildOptions
from databuild.model.build_request_id import new_build_request_id
from databuild.model.environment_messages import promotion_from_message, removal_from_message
from databuild.model.environment_views import Promotion, RemovedEnvironment
from databuild.model.job_graph import Plan
from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.plan_messages import plan_to_message
from databuild.model.pruning import Pruned
from databuild.model.removal import Cleaning, Deletion, Forgotten
from databuild.model.removal_messages import cleaning_from_message, deletion_from_message
from databuild.model.results import BuildResult
from databuild.model.store_check import REPORT, StoreCheck, StoreCheckOptions
from databuild.model.store_check_messages import check_from_message, store_check_to_message
from databuild.model.view_messages import build_from_message, pruned_from_message, verification_from_message
from databuild.model.views import Adoption, BuildView, Taint, Verification
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2 as sv

MAX_UINT32: Final = 2**32 - 1


class Calls(Reads):
    """All requests to a service. A request that is repeated because its response got lost takes effect once."""

    async def submit(
        self,
        partitions: Sequence[str] = (),
        *,
        build_request_id: str = "",
        plan: Plan | None = None,
        downstream: bool = False,
        **options: Unpack[BuildKeywords],
    ) -> BuildView:
        """Submits a build, and returns its state once the service has recorded it.

        Args:
            partitions: Refs or ranges of refs; none for the default partitions of the graph.
            build_request_id: The id of the build; empty for a new one. A second request with the same id and content
                starts no second build.
            plan: The plan to run exactly, with its partitions and its options; None to make a new plan.
            downstream: True to build, instead of the partitions, what was made from them in any number of steps.
            options: The fields of `BuildOptions`; without `jobs`, the service chooses the number.
        """
        request = sv.SubmitBuildRequest(
            build_request_id=build_request_id or new_build_request_id(),
            partitions=as_list(partitions),
            options=BuildOptions(**options).to_message(),
            plan=plan_to_message(plan) if plan else None,
            downstream=downstream,
        )
        return build_from_message((await self._connection.ask("SubmitBuild", request)).build)

    async def start(self, build: RemoteBuild[Any]) -> BuildView:
        """Submits a build that `create_orchestrator` returned."""
        return await self.submit(
            build.partitions,
            build_request_id=build.build_request_id,
            plan=build.plan,
            downstream=build.downstream,
            **build.options,
        )

    async def execute_build(
        self,
        build: RemoteBuild[Any],
        *,
        check: bool = False,
        on_event: Callable[[ev.BuildEvent], None] | None = None,
    ) -> BuildResult:
        """Submits a build, unless it was submitted before, and waits for its result. A notebook shows its progress.

        Args:
            build: A build that `create_orchestrator` returned.
            check: True to raise if the build does not succeed.
            on_event: Called with every event of the build.

        Raises:
            BuildFailedError: `check` is set, and the build failed or was cancelled. If an error ended the build instead
                of a job, that error is raised.
        """
        await self.start(build)
        display = LiveDisplay(build)
        display.start()
        async with contextlib.aclosing(self.watch_known(build.build_request_id)) as events:
            async for event in events:
                build.add(event)
                display.refresh()
                if on_event is not None:
                    on_event(event)
        display.refresh(now=True)
        result = build.result or await self.wait(build.build_request_id)
        if check:
            check_success(build.build_request_id, result)
        return result

    async def watch(self, build: str = "latest", *, after: int = 0) -> AsyncGenerator[ev.BuildEvent]:
        """Yields the events of a build, and new ones as they are recorded, until the build ends.

        After an interruption it continues with the next event: none is lost or repeated.

        Args:
            build: The id of the build, the beginning of an id, or `latest`.
            after: Only events after this sequence number.
        """
        # Resolve the id once: `latest` may be another build after an interruption.
        build_request_id = (await self.get(build)).build.build_request_id
        async with contextlib.aclosing(self.watch_known(build_request_id, after=after)) as events:
            async for event in events:
                yield event

    async def watch_known(self, build_request_id: str, *, after: int = 0) -> AsyncGenerator[ev.BuildEvent]:
        """Yields the events of the build with this id, as `watch` does."""
        request = sv.WatchBuildRequest(build_request_id=build_request_id, after_sequence=after)
        backoff = self._connection.backoff()
        while True:
            async with contextlib.aclosing(self._connection.stream("WatchBuild", request)) as answers:
                async for answer in answers:
                    backoff.reset()
                    for event in answer.events:
                        request.after_sequence = event.sequence
                        yield event
                        if event.HasField("build_request") and event.build_request.status in BUILD_ENDS:
                            return
            # The stream ended without the end of the build. Either that event is not after `after`, or the service is
            # shutting down, and the next one continues.
            build = (await self.get(build_request_id)).build
            if build.status in statuses.BUILD.ended and build.last_sequence <= request.after_sequence:
                return
            await self._connection.sleep(backoff.next_pause())

    async def wait(self, build: str = "latest", *, check: bool = False) -> BuildResult:
        """Waits for the end of a build, and returns its result.

        Args:
            build: The id of the build, the beginning of an id, or `latest`.
            check: True to raise if the build does not succeed, as `execute_build` does.
        """
        record = (await self.get(build)).build
        build_request_id = record.build_request_id
        # The last event of a build that has ended holds its result. A pruned build has no events.
        last = next(iter(await self.events(build_request_id, after=max(record.last_sequence - 1, 0), limit=1)), None)
        if last is not None and last.build_request.status not in BUILD_ENDS:
            async with contextlib.aclosing(self.watch_known(build_request_id, after=last.sequence)) as events:
                async for event in events:
                    last = event
        result = result_of(last.build_request) if last is not None else result_of_pruned(record)
        if check:
            check_success(build_request_id, result)
        return result

    async def cancel(self, build: str = "latest", *, author: str = "") -> BuildView:
        """Requests that a build stop, and returns its state. It does not wait for the end, which `wait` does.

        Args:
            build: The id of the build, the beginning of an id, or `latest`.
            author: The author to record; empty for that of the client.
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
        """Submits a new build of the partitions of another one. Partitions that it finished are not built again.

        Args:
            build: The build to retry, which must have ended.
            build_request_id: The id of the new build; empty for a new one.
            failed_jobs_only: True to request only the partitions that failed jobs should have produced.
            options: The fields of `BuildOptions`; without `jobs`, the service chooses the number.
        """
        request = sv.RetryBuildRequest(
            build_request_id=build,
            new_build_request_id=build_request_id or new_build_request_id(),
            failed_jobs_only=failed_jobs_only,
            options=BuildOptions(**options).to_message(),
        )
        return build_from_message((await self._connection.ask("RetryBuild", request)).build)

    async def taint(
        self, partitions: Sequence[str], *, reason: str = "", untaint: bool = False, downstream: bool = False
    ) -> Taint:
        """Taints partitions, so that the next build rebuilds them, or removes their taint.

        Args:
            partitions: Refs or ranges of refs.
            reason: The reason to record.
            untaint: True to remove the taint.
            downstream: True to change also what was made from the partitions in any number of steps.
        """
        request = sv.TaintPartitionsRequest(
            partitions=as_list(partitions), reason=reason, untaint=untaint, downstream=downstream
        )
        answer = await self._connection.ask("TaintPartitions", request)
        return Taint(tuple(answer.partitions), answer.author)

    async def adopt(self, partitions: Sequence[str], *, reason: str, force: bool = False, author: str = "") -> Adoption:
        """Makes partitions available whose data was not built by DataBuild: all of them, or none.

        Args:
            partitions: Refs or ranges of refs.
            reason: The origin of the data; recorded.
            force: True to also adopt partitions that are available or claimed by a build.
            author: The author to record; empty for the user of the client. A service with tokens records the name of
                the token instead.
        """
        request = sv.AdoptPartitionsRequest(partitions=as_list(partitions), reason=reason, force=force)
        answer = await self._connection.ask("AdoptPartitions", request, author=author)
        return Adoption(tuple(answer.partitions), answer.version, answer.author, answer.operation_id)

    async def promote_environment(
        self, environment: str, partitions: Sequence[str] = (), *, reason: str = "", author: str = ""
    ) -> Promotion:
        """Makes partitions of an environment available in the base without building them again.

        Args:
            environment: The environment.
            partitions: Refs or ranges of refs, all of which are promoted or none; none for all that can be promoted.
            reason: The reason; recorded.
            author: The author to record; empty for the user of the client. A service with tokens records the name of
                the token instead.
        """
        request = sv.PromoteEnvironmentRequest(environment=environment, partitions=as_list(partitions), reason=reason)
        answer = await self._connection.ask("PromoteEnvironment", request, author=author)
        return promotion_from_message(environment, answer)

    async def remove_environment(self, environment: str, *, delete_data: bool = False) -> RemovedEnvironment:
        """Removes an environment: its records, its job logs and, if asked for, its files.

        Args:
            environment: The environment.
            delete_data: True to delete also the files that were made in it and that nobody else uses.
        """
        request = sv.RemoveEnvironmentRequest(environment=environment, delete_data=delete_data)
        return removal_from_message(environment, await self._connection.ask("RemoveEnvironment", request))

    async def verify_partitions(
        self,
        partitions: Sequence[str] = (),
        *,
        content: bool = False,
        changed: str = REPORT,
        dry_run: bool = False,
        confirm_losses: bool = False,
    ) -> StoreCheck:
        """Checks whether the data of partitions is at the recorded places, and records what is missing.

        Args:
            partitions: Refs, ranges of refs and partition patterns; none for all partitions.
            content: True to compare the content of data whose version is a digest that `databuild.job` has computed.
            changed: How to handle changed data: `report`, `rebuild` or `adopt`.
            dry_run: True to record nothing.
            confirm_losses: True to record data as missing although a whole folder with many partitions is gone, or a
                job finds none of its partitions.
        """
        options = StoreCheckOptions(content, changed, dry_run, confirm_losses)
        total = await self.verify_part(partitions, options)
        while total.next_after:
            total = total.plus(await self.verify_part(partitions, options, after=total.next_after))
        return total

    async def verify_part(
        self, partitions: Sequence[str], options: StoreCheckOptions, *, author: str = "", after: str = ""
    ) -> StoreCheck:
        """Looks for the data of a part of partitions, as `verify_partitions` does for all of them.

        Args:
            partitions: The partitions.
            options: The options.
            author: The author to record; empty for that of the client.
            after: `next_after` of the part before; empty for the first part.

        Raises:
            InvalidRequestError: The policy for changed data is unknown.
        """
        request = store_check_to_message(as_list(partitions), options, after)
        return check_from_message(await self._connection.ask("VerifyPartitions", request, author=author))

    async def forget(self, partitions: Sequence[str], *, reason: str, author: str = "") -> Forgotten:
        """Makes the service forget the data of partitions, which stays in its store. The next build rebuilds it.

        Args:
            partitions: Refs, ranges of refs and partition patterns. Those without a record are left out.
            reason: The reason to record.
            author: The author to record; empty for the user of the client.
        """
        request = sv.ForgetPartitionsRequest(partitions=as_list(partitions), reason=reason)
        answer = await self._connection.ask("ForgetPartitions", request, author=author)
        return Forgotten(tuple(answer.partitions), answer.author, tuple(answer.operation_ids))

    async def delete(
        self,
        partitions: Sequence[str],
        *,
        reason: str = "",
        force: bool = False,
        dry_run: bool = False,
        author: str = "",
    ) -> Deletion:
        """Deletes the data of partitions in its stores. Data that cannot be deleted stays, with a fault.

        Args:
            partitions: Refs, ranges of refs and partition patterns. Those without data are left out.
            reason: The reason to record; required unless `dry_run` is set.
            force: True to delete also data whose version in its store is not the recorded one, or is not recorded.
            dry_run: True to delete nothing, and return what would be deleted.
            author: The author to record; empty for the user of the client.
        """
        total = Deletion(next_after="")
        more = True
        while more:
            total = total.plus(
                await self.delete_part(
                    partitions, reason=reason, force=force, dry_run=dry_run, author=author, after=total.next_after
                )
            )
            more = bool(total.next_after)
        return total

    async def delete_part(
        self,
        partitions: Sequence[str],
        *,
        reason: str = "",
        force: bool = False,
        dry_run: bool = False,
        author: str = "",
        after: str = "",
    ) -> Deletion:
        """Deletes the data of a part of partitions, as `delete` does for all of them.

        Args:
            partitions: The partitions.
            reason: The reason to record.
            force: True to delete data of any version.
            dry_run: True to delete nothing.
            author: The author to record; empty for that of the client.
            after: `next_after` of the part before; empty for the first part.
        """
        request = sv.DeletePartitionsRequest(
            partitions=as_list(partitions), reason=reason, force=force, dry_run=dry_run, page_token=after
        )
        return deletion_from_message(await self._connection.ask("DeletePartitions", request, author=author))

    async def clean(self, *, delete_inputs: bool = False, dry_run: bool = False, author: str = "") -> Cleaning:
        """Deletes data that is older than the retention of its job, and what killed job runs left behind.

        Args:
            delete_inputs: True to delete also data from which available partitions were made.
            dry_run: True to delete nothing, and return what would be deleted.
            author: The author to record; empty for the user of the client.
        """
        request = sv.CleanPartitionsRequest(delete_inputs=delete_inputs, dry_run=dry_run)
        total = Cleaning(more=True)
        while total.more:
            answer = await self._connection.ask("CleanPartitions", request, author=author)
            total = total.plus(cleaning_from_message(answer))
        return total

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
            dry_run: True to change nothing, and return what would be pruned.
        """
        request = sv.PruneBuildsRequest(
            older_than_seconds=_bounded(older_than_seconds),
            keep=_bounded(keep),
            logs_older_than_seconds=_bounded(logs_older_than_seconds),
            dry_run=dry_run,
        )
        total = Pruned(more=True)
        while total.more:  # one request prunes a limited number of builds
            total = total.plus(pruned_from_message(await self._connection.ask("PruneBuilds", request)))
        return total

    async def verify(self, builds: Sequence[str] = ()) -> Verification:
        """Checks the event log of the service, which can take minutes.

        Args:
            builds: The builds whose faults are reported; none for all.
        """
        request = sv.VerifyEventsRequest(builds=as_list(builds))
        # A response comes before the deadline, even if the verification still runs.
        while (answer := await self._connection.ask("VerifyEvents", request)).running:
            request.verification_id = answer.verification_id
        return verification_from_message(answer)

    async def logs(self, job_run_id: str, *, stream: str = "stderr", follow: bool = False) -> AsyncGenerator[bytes]:
        """Yields the content of a log in chunks, which may split a character.

        Args:
            job_run_id: The id of the job run.
            stream: `stdout` or `stderr`.
            follow: True to continue until the job run ends.
        """
        request = sv.FollowLogRequest(job_run_id=job_run_id, stream=stream)
        backoff = self._connection.backoff()
        # Without `follow`, read what exists now: FollowLog would wait for the end of the job run.
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
            await self._connection.sleep(backoff.next_pause())

    async def close(self) -> None:
        await self._connection.close()


def _bounded(number: float | None) -> int | None:
    """Rounds down to a number that fits the field of the message. The maximum, 136 years, means the same as more."""
    return None if number is None else min(math.floor(number), MAX_UINT32)
