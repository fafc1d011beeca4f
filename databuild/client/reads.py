"""The requests of both clients that only read, as coroutines: from arguments to messages, and from messages to records.

This module does not know how requests reach the service.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, Unpack

from databuild.client.connection import Connection
from databuild.errors import InvalidRequestError
from databuild.model import statuses
from databuild.model.build_options import DEFAULT_VERIFY, PlanKeywords, PlanOptions, verify_policy_message_name
from databuild.model.environment_messages import comparison_from_message, environment_from_message
from databuild.model.environment_views import EnvironmentView, PartitionComparison
from databuild.model.graph_messages import dependents_from_message, graph_from_message
from databuild.model.graph_view import GraphView
from databuild.model.job_graph import Plan
from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.plan_messages import plan_from_message
from databuild.model.record_messages import (
    build_partition_from_message,
    job_run_from_message,
    partition_from_message,
)
from databuild.model.records import BuildPartitionRecord, JobRunRecord, PartitionRecord
from databuild.model.reproduction import Reproduction
from databuild.model.reproduction_messages import reproduction_from_message
from databuild.model.trend_messages import trends_from_message
from databuild.model.trends import Trends
from databuild.model.view_messages import (
    build_from_message,
    downstream_from_message,
    explanation_from_message,
    log_chunk_from_message,
    partition_view_from_message,
    storage_from_message,
)
from databuild.model.views import (
    BuildView,
    DeclaredDependents,
    DownstreamPage,
    DownstreamPartition,
    Explanation,
    LogChunk,
    PartitionView,
    StorageUsage,
)
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2 as sv

_PAGE: Final = 1000
"""The maximum number of rows in one response of the service."""

_Row = TypeVar("_Row")


def as_list(texts: Sequence[str]) -> Sequence[str]:
    """Returns refs, ranges of refs or ids of builds, and refuses one text, whose characters would be taken for them.

    Raises:
        InvalidRequestError: It is one text.
    """
    if isinstance(texts, str):
        raise InvalidRequestError(f"{texts!r} is one text, not a list; write [{texts!r}]")
    return texts


class Reads:
    """The requests that only read.

    Every method raises the errors of the service, and ServiceUnreachableError if it cannot be reached. A `build` is the
    id of a build, the unique beginning of an id, or `latest`. A method that returns a list reads as many pages as the
    limit needs.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, build: str = "latest") -> BuildView:
        """Returns the state of a build."""
        return build_from_message(await self._connection.ask("GetBuild", sv.GetBuildRequest(build_request_id=build)))

    async def list_builds(self, *, status: str = "", before: str = "", limit: int = 20) -> list[BuildView]:
        """Returns builds, newest first.

        Args:
            status: Only builds with this status, such as `FAILED`; empty for all.
            before: Only builds that are older than the one with this id; empty for all.
            limit: The maximum number of builds.
        """
        request = sv.ListBuildsRequest(status=_status_number(statuses.BUILD, status), page_token=before)

        async def page(size: int) -> tuple[Sequence[BuildView], Any]:
            request.page_size = size
            answer = await self._connection.ask("ListBuilds", request)
            request.page_token = answer.next_page_token
            return [build_from_message(build) for build in answer.builds], answer.next_page_token

        return await _paged(page, limit)

    async def events(self, build: str = "latest", *, after: int = 0, limit: int = 1000) -> list[ev.BuildEvent]:
        """Returns events of a build, in order.

        Args:
            build: The build.
            after: Only events after this sequence number.
            limit: The maximum number of events.
        """
        request = sv.ListBuildEventsRequest(build_request_id=build, after_sequence=after)

        async def page(size: int) -> tuple[Sequence[ev.BuildEvent], Any]:
            request.page_size = size
            events = (await self._connection.ask("ListBuildEvents", request)).events
            if not events:
                return events, False
            request.build_request_id = events[-1].build_request_id  # `latest` may be another build by then
            request.after_sequence = events[-1].sequence
            return events, events[-1].build_request.status not in BUILD_ENDS

        return await _paged(page, limit)

    async def job_runs(
        self, build: str = "latest", *, status: str = "", after: int = 0, limit: int = 1000
    ) -> list[JobRunRecord]:
        """Returns the job runs of a build in the order of their numbers, which is that of their first events.

        Args:
            build: The build.
            status: Only job runs with this status, such as `RUNNING`; empty for all.
            after: Only job runs after the one with this number.
            limit: The maximum number of job runs.
        """
        request = sv.ListJobRunsRequest(
            build_request_id=build,
            status=_status_number(statuses.JOB, status),
            page_token=str(after) if after else "",
        )

        async def page(size: int) -> tuple[Sequence[JobRunRecord], Any]:
            request.page_size = size
            answer = await self._connection.ask("ListJobRuns", request)
            if answer.job_runs:
                request.build_request_id = answer.job_runs[-1].build_request_id
            request.page_token = answer.next_page_token
            return [job_run_from_message(run) for run in answer.job_runs], answer.next_page_token

        return await _paged(page, limit)

    async def job_run(self, job_run_id: str) -> JobRunRecord:
        """Returns the record of a job run."""
        return job_run_from_message(await self._connection.ask("GetJobRun", sv.GetJobRunRequest(job_run_id=job_run_id)))

    async def reproduction(self, job_run_id: str) -> Reproduction:
        """Returns what is needed to run a job run again, and whether its inputs are still the ones that it read."""
        request = sv.GetReproductionRequest(job_run_id=job_run_id)
        return reproduction_from_message(await self._connection.ask("GetReproduction", request))

    async def runs_of_job(self, job_label: str, *, limit: int = 20) -> list[JobRunRecord]:
        """Returns the job runs of a job that have started, newest first, of all builds."""
        request = sv.GetJobRequest(job_label=job_label, max_job_runs=limit)
        return [job_run_from_message(run) for run in (await self._connection.ask("GetJob", request)).job_runs]

    async def build_partitions(
        self, build: str = "latest", *, status: str = "", after: str = "", limit: int = 1000
    ) -> list[BuildPartitionRecord]:
        """Returns the partitions of a build with their status in that build, by ref.

        Args:
            build: The build.
            status: Only partitions with this status, such as `AVAILABLE`; empty for all.
            after: Only refs after this one.
            limit: The maximum number of partitions.
        """
        # Responses do not repeat the id, so resolve `latest` before the first of several pages.
        if build == "latest" and limit > _PAGE:
            build = (await self.get(build)).build.build_request_id
        request = sv.ListBuildPartitionsRequest(
            build_request_id=build,
            status=_status_number(statuses.PARTITION, status),
            page_token=after,
        )

        async def page(size: int) -> tuple[Sequence[BuildPartitionRecord], Any]:
            request.page_size = size
            answer = await self._connection.ask("ListBuildPartitions", request)
            request.page_token = answer.next_page_token
            return [build_partition_from_message(row) for row in answer.partitions], answer.next_page_token

        return await _paged(page, limit)

    async def partitions(
        self,
        *,
        prefix: str = "",
        contains: str = "",
        pattern: str = "",
        status: str = "",
        after: str = "",
        limit: int = 100,
    ) -> list[PartitionRecord]:
        """Returns the records of partitions, by ref.

        Args:
            prefix: Only refs that begin with this text.
            contains: Only refs that contain this text.
            pattern: Only refs that match this partition pattern; empty for all.
            status: Only partitions with this status in their newest build, such as `FAILED`, or `TAINTED`; empty for
                all.
            after: Only refs after this one.
            limit: The maximum number of partitions.
        """
        tainted = status == statuses.TAINTED  # listed beside the statuses, but not one of them
        request = sv.ListPartitionsRequest(
            prefix=prefix,
            contains=contains,
            pattern=pattern,
            status=_status_number(statuses.PARTITION, "" if tainted else status),
            tainted=tainted,
            page_token=after,
        )

        async def page(size: int) -> tuple[Sequence[PartitionRecord], Any]:
            request.page_size = size
            answer = await self._connection.ask("ListPartitions", request)
            request.page_token = answer.next_page_token
            return [partition_from_message(record) for record in answer.partitions], answer.next_page_token

        return await _paged(page, limit)

    async def partition_counts(self) -> dict[str, int]:
        """Returns the number of partitions by status in their newest build, and of tainted ones as `TAINTED`."""
        answer = await self._connection.ask("ListPartitions", sv.ListPartitionsRequest(page_size=1))
        return dict(sorted(answer.counts.items()))

    async def partition(self, ref: str) -> PartitionView:
        """Returns the record of one partition, and its newest job runs."""
        return partition_view_from_message(await self._connection.ask("GetPartition", sv.GetPartitionRequest(ref=ref)))

    async def downstream(
        self, partitions: Sequence[str], *, transitive: bool = False, page_token: str = "", limit: int = 1000
    ) -> DownstreamPage:
        """Returns the partitions whose current data was made from given ones, with their states.

        Args:
            partitions: Refs or ranges of refs. No job needs to produce them.
            transitive: True to follow any number of steps, with each partition once, nearest first. False to follow one
                step, with a partition once for each given partition that it was made from, by input.
            page_token: The `next_page_token` of an earlier result, to get those that follow it.
            limit: The maximum number of partitions.
        """
        request = sv.ListDownstreamRequest(partitions=as_list(partitions), transitive=transitive, page_token=page_token)
        truncated = False

        async def page(size: int) -> tuple[Sequence[DownstreamPartition], Any]:
            nonlocal truncated
            request.page_size = size
            answer = downstream_from_message(await self._connection.ask("ListDownstream", request))
            request.page_token = answer.next_page_token
            truncated = answer.truncated
            return answer.partitions, answer.next_page_token

        rows = await _paged(page, limit)
        return DownstreamPage(tuple(rows), request.page_token, truncated=truncated)

    async def declared_downstream(
        self, partitions: Sequence[str], *, transitive: bool = False, limit: int = 1000
    ) -> DeclaredDependents:
        """Returns the outputs of declared jobs that would be made from given partitions, whether they exist or not.

        Args:
            partitions: Refs or ranges of refs. No job needs to produce them.
            transitive: True to follow any number of steps, False to follow one.
            limit: The maximum number of results, at most 1,000.
        """
        request = sv.GetDeclaredDownstreamRequest(
            partitions=as_list(partitions), transitive=transitive, max_dependents=min(limit, _PAGE)
        )
        return dependents_from_message(await self._connection.ask("GetDeclaredDownstream", request))

    async def environments(self) -> list[EnvironmentView]:
        """Returns the environments, in order of their names."""
        answer = await self._connection.ask("ListEnvironments", sv.ListEnvironmentsRequest())
        return [environment_from_message(environment) for environment in answer.environments]

    async def compare_environment(
        self, environment: str, partitions: Sequence[str] = ()
    ) -> AsyncGenerator[PartitionComparison]:
        """Yields a comparison with the base of each partition of which an environment has data of its own, by ref.

        Args:
            environment: The environment.
            partitions: Refs or ranges of refs; none for all.
        """
        request = sv.CompareEnvironmentRequest(environment=environment, partitions=as_list(partitions), page_size=_PAGE)
        while True:
            answer = await self._connection.ask("CompareEnvironment", request)
            for comparison in answer.comparisons:
                yield comparison_from_message(comparison)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def explain(self, ref: str) -> Explanation:
        """Returns the record of a partition, and what a build would do with it and why."""
        request = sv.ExplainPartitionRequest(ref=ref)
        return explanation_from_message(await self._connection.ask("ExplainPartition", request))

    async def trends(self, *, ref: str = "", job_label: str = "", limit: int = 100) -> Trends:
        """Returns the numbers that were reported about a partition, or about the partitions of a job, over time.

        Args:
            ref: The partition, with which those before it are compared. Or:
            job_label: The job.
            limit: The maximum number of partitions.
        """
        request = sv.GetTrendsRequest(ref=ref, job_label=job_label, max_points=limit)
        return trends_from_message(await self._connection.ask("GetTrends", request))

    async def graph(self, *, records: bool = False) -> GraphView:
        """Returns the graph by job.

        Args:
            records: True to count the partitions of each job, and to include inputs that builds have recorded.
        """
        return graph_from_message(await self._connection.ask("GetGraph", sv.GetGraphRequest(include_records=records)))

    async def plan(
        self,
        partitions: Sequence[str] = (),
        *,
        records: bool = True,
        downstream: bool = False,
        verify: str = DEFAULT_VERIFY,
        **options: Unpack[PlanKeywords],
    ) -> Plan:
        """Makes the plan of a build, and starts nothing.

        Args:
            partitions: Refs or ranges of refs; none for the default partitions of the graph.
            records: False to plan as if no partition had ever been built.
            downstream: True to plan, instead of the partitions, what was made from them in any number of steps.
            verify: The data to look for in its store, one of `VERIFY_POLICIES`. Lost data is planned to be rebuilt.
            options: The fields of `PlanOptions`.
        """
        request = sv.PlanBuildRequest(
            partitions=as_list(partitions),
            options=PlanOptions(**options).to_message(),
            without_records=not records,
            downstream=downstream,
            verify=verify_policy_message_name(verify),
        )
        return plan_from_message(await self._connection.ask("PlanBuild", request))

    async def read_log(self, job_run_id: str, *, stream: str = "stderr", offset: int = 0, limit: int = 0) -> LogChunk:
        """Returns a chunk of a log.

        Args:
            job_run_id: The id of the job run.
            stream: `stdout` or `stderr`.
            offset: The offset of the chunk in the log, in bytes.
            limit: The maximum number of bytes; 0 for the limit of the service.
        """
        request = sv.ReadLogRequest(job_run_id=job_run_id, stream=stream, offset=offset, max_bytes=limit)
        return log_chunk_from_message(await self._connection.ask("ReadLog", request))

    async def storage(self, *, count: bool = False) -> StorageUsage:
        """Returns the size of the event log; with `count`, also its numbers of rows, and the size of the job logs."""
        return storage_from_message(
            await self._connection.ask("GetStorage", sv.GetStorageRequest(include_counts=count)), counted=count
        )


async def _paged(page: Callable[[int], Awaitable[tuple[Sequence[_Row], Any]]], limit: int) -> list[_Row]:
    """Reads pages until there are enough rows.

    Args:
        page: Reads the next page, with at most the given number of rows. Returns a true value if there may be more.
        limit: The maximum number of rows.
    """
    rows: list[_Row] = []
    more: Any = True
    while more and len(rows) < limit:
        next_rows, more = await page(min(limit - len(rows), _PAGE))
        rows += next_rows
    return rows


def _status_number(enum: statuses.StatusEnum[Any], name: str) -> Any:
    """Returns the number of a status; 0 if the name is empty.

    Raises:
        InvalidRequestError: No status has this name.
    """
    if not name:
        return 0
    try:
        return enum.number(name)
    except ValueError:
        message = f"{name!r} is not a status; the statuses are {', '.join(enum.names)}"
        raise InvalidRequestError(message) from None
