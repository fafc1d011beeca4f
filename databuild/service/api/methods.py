"""The RPCs of the service: one method for each, from the request message to the response message.

gRPC, HTTP and the dashboard call these methods. Nothing here depends on the way a request has come.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from databuild.errors import DeadlineExceededError, InvalidRequestError
from databuild.model import statuses
from databuild.model.build_options import BuildOptions, PlanOptions, verify_policy_name
from databuild.model.environment_messages import (
    comparison_to_message,
    environment_to_message,
    promotion_to_message,
    removal_to_message,
)
from databuild.model.environments import refuse_removal
from databuild.model.graph_messages import dependents_to_message, graph_to_message
from databuild.model.plan_messages import plan_from_message, plan_to_message
from databuild.model.pruning import PruneOptions
from databuild.model.record_messages import build_partition_to_message, job_run_to_message, partition_to_message
from databuild.model.removal import CleanOptions
from databuild.model.removal_messages import cleaning_to_message, deletion_to_message
from databuild.model.reproduction_messages import reproduction_to_message
from databuild.model.statuses import StatusEnum
from databuild.model.store_check_messages import check_to_message, options_from_message
from databuild.model.trend_messages import check_result_to_message, trends_to_message
from databuild.model.view_messages import (
    build_to_message,
    downstream_to_message,
    explanation_to_message,
    job_to_message,
    lineage_to_message,
    log_chunk_to_message,
    partition_view_to_message,
    pruned_to_message,
    storage_to_message,
    verification_to_message,
)
from databuild.service.access.auth import READ, WRITE, Caller
from databuild.service.api.graphs import build_graph
from databuild.service.api.json_codec import check_number
from databuild.service.api.routes import method_name
from databuild.service.builds.requests import Submission
from databuild.service.graph.environments import Environments
from databuild.service.graph.graph_service import GraphService
from databuild.service.job_runs.jobs import definition
from databuild.service.job_runs.logs import MAX_CHUNK_BYTES
from databuild.service.partitions.previews import preview_to_message
from databuild.v1 import plan_pb2
from databuild.v1 import service_pb2 as sv
from databuild.v1.events_pb2 import BuildEvent

ROLES: Final[Mapping[str, str]] = {
    "SubmitBuild": WRITE,
    "GetBuild": READ,
    "WatchBuild": READ,
    "ListBuilds": READ,
    "CancelBuild": WRITE,
    "RetryBuild": WRITE,
    "ListBuildEvents": READ,
    "ListBuildPartitions": READ,
    "ListJobRuns": READ,
    "GetGraph": READ,
    "GetBuildGraph": READ,
    "PlanBuild": READ,
    "ListPartitions": READ,
    "GetPartition": READ,
    "ExplainPartition": READ,
    "GetLineage": READ,
    "GetTrends": READ,
    "PreviewPartition": READ,
    "ListDownstream": READ,
    "GetDeclaredDownstream": READ,
    "TaintPartitions": WRITE,
    "AdoptPartitions": WRITE,
    "VerifyPartitions": WRITE,
    "ListEnvironments": READ,
    "CompareEnvironment": READ,
    "PromoteEnvironment": WRITE,
    "RemoveEnvironment": WRITE,
    "ForgetPartitions": WRITE,
    "DeletePartitions": WRITE,
    "CleanPartitions": WRITE,
    "ListJobs": READ,
    "GetJob": READ,
    "GetJobRun": READ,
    "GetReproduction": READ,
    "GetStorage": READ,
    "PruneBuilds": WRITE,
    "VerifyEvents": WRITE,
    "ReadLog": READ,
    "FollowLog": READ,
}
"""The role that each RPC requires. An RPC that is missing here cannot be served, so none is open by mistake."""

_PLANS: Final = frozenset({"PlanBuild", "ExplainPartition"})
_ABOUT_ENVIRONMENTS: Final = frozenset(
    {"ListEnvironments", "CompareEnvironment", "PromoteEnvironment", "RemoveEnvironment"}
)

_REMOVALS: Final = frozenset({"ForgetPartitions", "DeletePartitions", "CleanPartitions"})

_DEFAULT_BUILDS: Final = 20
_DEFAULT_ROWS: Final = 100
_DEFAULT_EDGES: Final = 1000


class Api:
    """Answers RPCs. `service.proto` describes each of them.

    All methods except `answer` are named after their RPC, and assume that the role of the caller has been checked.
    """

    def __init__(self, service: GraphService, environments: Environments | None = None) -> None:
        """Connects the parts.

        Args:
            service: The service of the base, or of one environment.
            environments: The environments beside the base; None if there are none.
        """
        self.service = self._service = service
        self._environments = environments
        self._builds = service.builds
        self._partitions = service.partitions

    async def answer(self, rpc: str, request: Message, caller: Caller) -> Message:
        """Answers an RPC that is not a stream.

        Args:
            rpc: The name of the RPC.
            request: Its request message.
            caller: The sender of the request.

        Raises:
            PermissionDeniedError: The caller does not have the role that the RPC requires.
            DeadlineExceededError: The answer takes too long.
            DataBuildError: The request fails.
        """
        caller.check(ROLES[rpc])
        method: Callable[[Message, Caller], Awaitable[Message]] = getattr(self, method_name(rpc))
        seconds = self._service.limits.answer_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await method(request, caller)
        except TimeoutError:
            raise DeadlineExceededError(seconds) from None

    async def of_environment(self, environment: str, rpc: str, request: Message, caller: Caller) -> Api:
        """Returns the API of an environment; this one for no environment.

        A request that records something makes the environment, unless it is refused. Before that, plans are those of
        the base.

        Args:
            environment: The name of the environment; empty for none.
            rpc: The name of the RPC that follows.
            request: Its request message.
            caller: The sender of the request.

        Raises:
            InvalidRequestError: The name is invalid, this service has no environments, or the RPC is for the base only.
            EnvironmentNotFoundError: There is no such environment.
            DataBuildError: The request would make the environment and be refused there.
        """
        if not environment or rpc in _ABOUT_ENVIRONMENTS:
            return self
        if rpc in _REMOVALS:
            refuse_removal(environment)
        environments = self._known_environments()
        if await environments.exists(environment):
            return Api(await environments.service(environment, create=False))
        if rpc in _PLANS:
            return self
        caller.check(ROLES[rpc])
        return Api(await environments.service(environment, create=await self._begins_environment(request)))

    async def _begins_environment(self, request: Message) -> bool:
        """Returns True for a request that makes its environment, which has no records yet.

        Raises:
            DataBuildError: The environment would refuse the request, since the base does for the same reason.
        """
        match request:
            case sv.SubmitBuildRequest():
                await self._builds.check(_submission(request))
            case sv.TaintPartitionsRequest():
                await self._partitions.check_taint(tuple(request.partitions), downstream=request.downstream)
            case sv.AdoptPartitionsRequest():
                await self._service.adoptions.check(tuple(request.partitions), reason=request.reason)
            case _:
                return False
        return True

    async def list_environments(
        self, _request: sv.ListEnvironmentsRequest, _caller: Caller
    ) -> sv.ListEnvironmentsResponse:
        if self._environments is None:
            return sv.ListEnvironmentsResponse()
        return sv.ListEnvironmentsResponse(
            environments=map(environment_to_message, await self._environments.overviews())
        )

    async def compare_environment(
        self, request: sv.CompareEnvironmentRequest, _caller: Caller
    ) -> sv.CompareEnvironmentResponse:
        limit = request.page_size or _DEFAULT_ROWS
        comparisons = await self._known_environments().compare(
            request.environment, request.partitions, after=request.page_token, limit=limit
        )
        return sv.CompareEnvironmentResponse(
            comparisons=map(comparison_to_message, comparisons),
            next_page_token=comparisons[-1].ref if len(comparisons) == limit else "",
        )

    async def promote_environment(
        self, request: sv.PromoteEnvironmentRequest, caller: Caller
    ) -> sv.PromoteEnvironmentResponse:
        promotion = await self._known_environments().promote(
            request.environment, request.partitions, author=caller.name, reason=request.reason.strip()
        )
        return promotion_to_message(promotion)

    async def remove_environment(
        self, request: sv.RemoveEnvironmentRequest, _caller: Caller
    ) -> sv.RemoveEnvironmentResponse:
        environments = self._known_environments()
        return removal_to_message(await environments.remove(request.environment, delete_data=request.delete_data))

    def _known_environments(self) -> Environments:
        if self._environments is None:
            raise InvalidRequestError("this service has no environments, since its event log is in memory")
        return self._environments

    async def submit_build(self, request: sv.SubmitBuildRequest, caller: Caller) -> sv.SubmitBuildResponse:
        view = await self._builds.submit(_submission(request), submitter=caller.name, traceparent=caller.traceparent)
        return sv.SubmitBuildResponse(build_request_id=view.build.build_request_id, build=build_to_message(view))

    async def get_build(self, request: sv.GetBuildRequest, _caller: Caller) -> sv.BuildSummary:
        return build_to_message(await self._builds.get(request.build_request_id))

    async def watch_build(self, request: sv.WatchBuildRequest, _caller: Caller) -> AsyncGenerator[Sequence[BuildEvent]]:
        """Yields batches of events. Each protocol encodes them with `EventFeeds.encodings`, for all of its watchers."""
        check_number("after_sequence", request.after_sequence)
        async with contextlib.aclosing(self._builds.watch(request.build_request_id, request.after_sequence)) as batches:
            async for events in batches:
                yield events

    async def list_builds(self, request: sv.ListBuildsRequest, _caller: Caller) -> sv.ListBuildsResponse:
        status = _status(statuses.BUILD, request.status)
        page = await self._builds.list_builds(
            status=status, before=request.page_token, limit=request.page_size or _DEFAULT_BUILDS
        )
        return sv.ListBuildsResponse(builds=map(build_to_message, page.builds), next_page_token=page.next_before)

    async def cancel_build(self, request: sv.CancelBuildRequest, caller: Caller) -> sv.BuildSummary:
        return build_to_message(await self._builds.cancel(request.build_request_id, caller.name))

    async def retry_build(self, request: sv.RetryBuildRequest, caller: Caller) -> sv.SubmitBuildResponse:
        view = await self._builds.retry(
            request.build_request_id,
            Submission(
                build_request_id=request.new_build_request_id, options=BuildOptions.from_message(request.options)
            ),
            failed_jobs_only=request.failed_jobs_only,
            submitter=caller.name,
            traceparent=caller.traceparent,
        )
        return sv.SubmitBuildResponse(build_request_id=view.build.build_request_id, build=build_to_message(view))

    async def list_build_events(
        self, request: sv.ListBuildEventsRequest, _caller: Caller
    ) -> sv.ListBuildEventsResponse:
        check_number("after_sequence", request.after_sequence)
        events = await self._builds.events(
            request.build_request_id, after=request.after_sequence, limit=request.page_size or _DEFAULT_ROWS
        )
        return sv.ListBuildEventsResponse(events=events)

    async def list_build_partitions(
        self, request: sv.ListBuildPartitionsRequest, _caller: Caller
    ) -> sv.ListBuildPartitionsResponse:
        limit = self._limit(request.page_size)
        status = _status(statuses.PARTITION, request.status)
        rows = await self._builds.partitions(
            request.build_request_id, status=status, after=request.page_token, limit=limit
        )
        return sv.ListBuildPartitionsResponse(
            partitions=map(build_partition_to_message, rows), next_page_token=rows[-1].ref if len(rows) == limit else ""
        )

    async def list_job_runs(self, request: sv.ListJobRunsRequest, _caller: Caller) -> sv.ListJobRunsResponse:
        limit = self._limit(request.page_size)
        status = _status(statuses.JOB, request.status)
        after = _job_run_number(request.page_token)
        rows = await self._builds.job_runs(request.build_request_id, status=status, after=after, limit=limit)
        next_page_token = str(rows[-1].number) if len(rows) == limit else ""
        return sv.ListJobRunsResponse(job_runs=map(job_run_to_message, rows), next_page_token=next_page_token)

    async def get_job_run(self, request: sv.GetJobRunRequest, _caller: Caller) -> sv.JobRun:
        return job_run_to_message(await self._builds.job_run(request.job_run_id))

    async def get_reproduction(self, request: sv.GetReproductionRequest, _caller: Caller) -> sv.Reproduction:
        return reproduction_to_message(await self._service.jobs.reproduction(request.job_run_id))

    async def get_graph(self, request: sv.GetGraphRequest, _caller: Caller) -> sv.Graph:
        return graph_to_message(await self._service.graph.view(records=request.include_records))

    async def get_build_graph(self, request: sv.GetBuildGraphRequest, _caller: Caller) -> sv.BuildGraph:
        return await self._builds.query(request.build_request_id, build_graph)

    async def plan_build(self, request: sv.PlanBuildRequest, _caller: Caller) -> plan_pb2.Plan:
        options = PlanOptions.from_message(request.options)
        plan = await self._partitions.plan(
            tuple(request.partitions),
            options,
            records=not request.without_records,
            downstream=request.downstream,
            verify=verify_policy_name(request.verify),
        )
        message = await asyncio.to_thread(plan_to_message, plan)
        message.time.GetCurrentTime()
        return message

    async def list_partitions(self, request: sv.ListPartitionsRequest, _caller: Caller) -> sv.ListPartitionsResponse:
        status = _status(statuses.PARTITION, request.status)
        page = await self._partitions.search(
            prefix=request.prefix,
            contains=request.contains,
            pattern=request.pattern,
            status=statuses.TAINTED if request.tainted else status,
            after=request.page_token,
            limit=request.page_size or _DEFAULT_ROWS,
        )
        return sv.ListPartitionsResponse(
            partitions=map(partition_to_message, page.partitions),
            next_page_token=page.next_after,
            counts=await self._partitions.counts(),
        )

    async def get_partition(self, request: sv.GetPartitionRequest, _caller: Caller) -> sv.PartitionDetail:
        return partition_view_to_message(await self._partitions.get(request.ref))

    async def explain_partition(self, request: sv.ExplainPartitionRequest, _caller: Caller) -> sv.PartitionExplanation:
        return explanation_to_message(await self._partitions.explain(request.ref))

    async def get_lineage(self, request: sv.GetLineageRequest, _caller: Caller) -> sv.Lineage:
        down = request.direction == sv.GetLineageRequest.DIRECTION_DOWNSTREAM
        query = self._partitions.downstream if down else self._partitions.upstream
        lineage = await query(request.ref, depth=request.depth or 1, limit=request.max_edges or _DEFAULT_EDGES)
        return lineage_to_message(lineage)

    async def get_trends(self, request: sv.GetTrendsRequest, _caller: Caller) -> sv.Trends:
        return trends_to_message(
            await self._service.trends.get(request.ref, request.job_label, max_points=request.max_points)
        )

    async def preview_partition(self, request: sv.PreviewPartitionRequest, _caller: Caller) -> sv.Preview:
        return preview_to_message(await self._service.previews.make(request.ref, request.image))

    async def list_downstream(self, request: sv.ListDownstreamRequest, _caller: Caller) -> sv.ListDownstreamResponse:
        page = await self._partitions.list_downstream(
            tuple(request.partitions),
            transitive=request.transitive,
            page_token=request.page_token,
            limit=self._limit(request.page_size),
        )
        return downstream_to_message(page)

    async def get_declared_downstream(
        self, request: sv.GetDeclaredDownstreamRequest, _caller: Caller
    ) -> sv.DeclaredDownstream:
        dependents = await self._partitions.declared_downstream(
            tuple(request.partitions), transitive=request.transitive, limit=self._limit(request.max_dependents)
        )
        return dependents_to_message(dependents)

    async def taint_partitions(self, request: sv.TaintPartitionsRequest, caller: Caller) -> sv.TaintPartitionsResponse:
        refs = await self._partitions.taint(
            tuple(request.partitions),
            tainted=not request.untaint,
            author=caller.name,
            reason=request.reason,
            downstream=request.downstream,
        )
        return sv.TaintPartitionsResponse(partitions=refs, author=caller.name)

    async def adopt_partitions(self, request: sv.AdoptPartitionsRequest, caller: Caller) -> sv.AdoptPartitionsResponse:
        event = await self._service.adoptions.adopt(
            tuple(request.partitions), author=caller.name, reason=request.reason, force=request.force
        )
        return sv.AdoptPartitionsResponse(
            partitions=[partition.str for partition in event.adoption.partitions],
            version=event.event_id,
            author=event.adoption.author,
            operation_id=event.build_request_id,
        )

    async def verify_partitions(
        self, request: sv.VerifyPartitionsRequest, caller: Caller
    ) -> sv.VerifyPartitionsResponse:
        check = await self._service.stores.verify(
            tuple(request.partitions), options_from_message(request), after=request.page_token, author=caller.name
        )
        return check_to_message(check)

    async def forget_partitions(
        self, request: sv.ForgetPartitionsRequest, caller: Caller
    ) -> sv.ForgetPartitionsResponse:
        forgotten = await self._service.removals.forget(
            tuple(request.partitions), author=caller.name, reason=request.reason.strip()
        )
        return sv.ForgetPartitionsResponse(
            partitions=forgotten.partitions, author=forgotten.author, operation_ids=forgotten.operation_ids
        )

    async def delete_partitions(
        self, request: sv.DeletePartitionsRequest, caller: Caller
    ) -> sv.DeletePartitionsResponse:
        deletion = await self._service.removals.delete(
            tuple(request.partitions),
            author=caller.name,
            reason=request.reason.strip(),
            force=request.force,
            dry_run=request.dry_run,
            after=request.page_token,
        )
        return deletion_to_message(deletion)

    async def clean_partitions(self, request: sv.CleanPartitionsRequest, caller: Caller) -> sv.CleanPartitionsResponse:
        options = CleanOptions(delete_inputs=request.delete_inputs, dry_run=request.dry_run)
        return cleaning_to_message(await self._service.removals.clean(options, author=caller.name))

    async def list_jobs(self, _request: sv.ListJobsRequest, _caller: Caller) -> sv.ListJobsResponse:
        return sv.ListJobsResponse(jobs=map(job_to_message, await self._service.jobs.list_jobs()))

    async def get_job(self, request: sv.GetJobRequest, _caller: Caller) -> sv.JobDetail:
        job, runs = await self._service.jobs.get(request.job_label, limit=request.max_job_runs or _DEFAULT_ROWS)
        checks = await self._service.jobs.checks(runs)
        return sv.JobDetail(
            job=job_to_message(job),
            job_runs=map(job_run_to_message, runs),
            definition=definition(self._service.catalog.jobs[job.job_label]),
            checks=map(check_result_to_message, checks),
        )

    async def read_log(self, request: sv.ReadLogRequest, _caller: Caller) -> sv.LogChunk:
        check_number("offset", request.offset)
        chunk = await self._service.logs.chunk(
            request.job_run_id,
            request.stream or "stderr",
            offset=request.offset,
            limit=request.max_bytes or MAX_CHUNK_BYTES,
        )
        return log_chunk_to_message(chunk)

    async def follow_log(self, request: sv.FollowLogRequest, _caller: Caller) -> AsyncGenerator[sv.LogChunk]:
        check_number("offset", request.offset)
        stream = self._service.logs.follow(request.job_run_id, request.stream or "stderr", offset=request.offset)
        async with contextlib.aclosing(stream) as chunks:
            async for chunk in chunks:
                # The path would be the same in each of many messages.
                yield log_chunk_to_message(chunk._replace(path=""))

    async def get_storage(self, request: sv.GetStorageRequest, _caller: Caller) -> sv.Storage:
        return storage_to_message(await self._service.logs.storage_usage(count=request.include_counts))

    async def prune_builds(self, request: sv.PruneBuildsRequest, _caller: Caller) -> sv.PruneBuildsResponse:
        options = PruneOptions(
            older_than_seconds=request.older_than_seconds if request.HasField("older_than_seconds") else None,
            keep=request.keep if request.HasField("keep") else None,
            logs_older_than_seconds=(
                request.logs_older_than_seconds if request.HasField("logs_older_than_seconds") else None
            ),
        )
        if options == PruneOptions():
            raise InvalidRequestError(
                "the request selects nothing; set older_than_seconds, keep or logs_older_than_seconds"
            )
        return pruned_to_message(await self._service.maintenance.prune(options, dry_run=request.dry_run))

    async def verify_events(self, request: sv.VerifyEventsRequest, _caller: Caller) -> sv.VerifyEventsResponse:
        verification = await self._service.maintenance.verify(request.verification_id, request.builds)
        return verification_to_message(*verification)

    def _limit(self, limit: int) -> int:
        return min(limit or _DEFAULT_ROWS, self._service.limits.max_page_rows)


def _status(kind: StatusEnum[Any], value: int) -> str | None:
    """Returns the name of a status; None if it is unset.

    Raises:
        InvalidRequestError: The value is unknown.
    """
    if not value:
        return None
    try:
        return str(kind.name(value))
    except ValueError:
        raise InvalidRequestError(
            f"the status is {value}; it must be one of {', '.join(map(kind.message_name, kind.names))}"
        ) from None


def _submission(request: sv.SubmitBuildRequest) -> Submission:
    return Submission(
        build_request_id=request.build_request_id,
        partitions=tuple(request.partitions),
        options=BuildOptions.from_message(request.options),
        plan=plan_from_message(request.plan) if request.HasField("plan") else None,
        downstream=request.downstream,
    )


def _job_run_number(page_token: str) -> int:
    """Returns the number of the job run in a page token; 0 for an empty token.

    Raises:
        InvalidRequestError: The token is not an unsigned 32-bit number.
    """
    if not page_token:
        return 0
    number = int(page_token) if len(page_token) <= 10 and page_token.isascii() and page_token.isdecimal() else -1
    if not 0 <= number < 1 << 32:
        raise InvalidRequestError(f"the page_token {page_token[:80]!r} is not the number of a job run")
    return number
