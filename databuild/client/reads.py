"""What a service can be asked that changes nothing, as coroutines, which both clients run.

It makes messages of what callers say and records of what the service answers. How requests get there, it does not know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, Unpack

from databuild.client.connection import Connection
from databuild.errors import InvalidRequestError
from databuild.model.build_options import PlanKeywords, PlanOptions
from databuild.model.job_graph import Plan
from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.plan_messages import plan_from_message
from databuild.model.record_messages import (
    build_partition_from_message,
    job_run_from_message,
    partition_from_message,
)
from databuild.model.records import BuildPartitionRecord, JobRunRecord, PartitionRecord
from databuild.model.view_messages import (
    build_from_message,
    explanation_from_message,
    log_chunk_from_message,
    partition_view_from_message,
    storage_from_message,
)
from databuild.model.views import BuildView, Explanation, LogChunk, PartitionView, StorageUsage
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import service_pb2 as sv

_PAGE: Final = 1000
"""The most rows that the service puts on one page."""

_Row = TypeVar("_Row")


class Reads:
    """Asks a service. Every method raises what the service raises, and ServiceUnreachableError where nobody answers.

    Where a method takes a build, that is an id, the beginning of one that no other id has, or `latest`. Lists are put
    together from as many pages as it takes.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, build: str = "latest") -> BuildView:
        """Returns how a build stands."""
        return build_from_message(await self._connection.ask("GetBuild", sv.GetBuildRequest(build_request_id=build)))

    async def list_builds(self, *, status: str = "", before: str = "", limit: int = 20) -> list[BuildView]:
        """Returns builds, newest first.

        Args:
            status: Only builds of this status, such as `FAILED`; empty for all.
            before: Only builds older than the one of this id; empty for the newest.
            limit: How many at most.
        """
        request = sv.ListBuildsRequest(status=_value(ev.BuildStatus, "BUILD_STATUS", status), page_token=before)

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
            limit: How many at most.
        """
        request = sv.ListBuildEventsRequest(build_request_id=build, after_sequence=after)

        async def page(size: int) -> tuple[Sequence[ev.BuildEvent], Any]:
            request.page_size = size
            events = (await self._connection.ask("ListBuildEvents", request)).events
            if not events:
                return events, False
            request.build_request_id = events[-1].build_request_id  # `latest` may be another by the next page
            request.after_sequence = events[-1].sequence
            return events, events[-1].build_request.status not in BUILD_ENDS

        return await _paged(page, limit)

    async def job_runs(
        self, build: str = "latest", *, status: str = "", after: int = 0, limit: int = 1000
    ) -> list[JobRunRecord]:
        """Returns the job runs of a build, in the order in which they were first heard of.

        Args:
            build: The build.
            status: Only job runs of this status, such as `RUNNING`; empty for all.
            after: Only job runs after the one of this number.
            limit: How many at most.
        """
        request = sv.ListJobRunsRequest(
            build_request_id=build,
            status=_value(ev.JobStatus, "JOB_STATUS", status),
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
        """Returns how a job run stands."""
        return job_run_from_message(await self._connection.ask("GetJobRun", sv.GetJobRunRequest(job_run_id=job_run_id)))

    async def runs_of_job(self, job_label: str, *, limit: int = 20) -> list[JobRunRecord]:
        """Returns the job runs of a job that were started, newest first."""
        request = sv.GetJobRequest(job_label=job_label, max_job_runs=limit)
        return [job_run_from_message(run) for run in (await self._connection.ask("GetJob", request)).job_runs]

    async def build_partitions(
        self, build: str = "latest", *, status: str = "", after: str = "", limit: int = 1000
    ) -> list[BuildPartitionRecord]:
        """Returns the partitions of a build with where they stand in it, by ref.

        Args:
            build: The build.
            status: Only partitions of this status, such as `AVAILABLE`; empty for all.
            after: Only refs after this one.
            limit: How many at most.
        """
        if build == "latest" and limit > _PAGE:
            build = (await self.get(build)).build.build_request_id
        request = sv.ListBuildPartitionsRequest(
            build_request_id=build, status=_value(pt.PartitionStatus, "PARTITION_STATUS", status), page_token=after
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
        """Returns what is known of partitions, by ref.

        Args:
            prefix: What their refs begin with.
            contains: What their refs contain.
            pattern: The partition pattern that their refs are of.
            status: Only partitions of this newest status, such as `FAILED`, or `TAINTED`; empty for all.
            after: Only refs after this one.
            limit: How many at most.
        """
        tainted = status == "TAINTED"
        request = sv.ListPartitionsRequest(
            prefix=prefix,
            contains=contains,
            pattern=pattern,
            status=_value(pt.PartitionStatus, "PARTITION_STATUS", "" if tainted else status),
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
        """Returns how many partitions there are of each newest status (`TAINTED` apart)."""
        answer = await self._connection.ask("ListPartitions", sv.ListPartitionsRequest(page_size=1))
        return dict(sorted(answer.counts.items()))

    async def partition(self, ref: str) -> PartitionView:
        """Returns what is known of one partition."""
        return partition_view_from_message(await self._connection.ask("GetPartition", sv.GetPartitionRequest(ref=ref)))

    async def explain(self, ref: str) -> Explanation:
        """Returns what is known of a partition, and what a build would do with it and why."""
        request = sv.ExplainPartitionRequest(ref=ref)
        return explanation_from_message(await self._connection.ask("ExplainPartition", request))

    async def plan(self, partitions: Sequence[str] = (), **options: Unpack[PlanKeywords]) -> Plan:
        """Returns what a build would do; starts none.

        Args:
            partitions: Refs or ranges of refs; none stand for the graph's default partitions.
            options: The fields of `PlanOptions`.
        """
        request = sv.PlanBuildRequest(partitions=partitions, options=PlanOptions(**options).to_message())
        return plan_from_message(await self._connection.ask("PlanBuild", request))

    async def read_log(self, job_run_id: str, *, stream: str = "stderr", offset: int = 0, limit: int = 0) -> LogChunk:
        """Returns a piece of what a job run wrote.

        Args:
            job_run_id: The job run.
            stream: `stdout` or `stderr`.
            offset: Where to begin, in bytes.
            limit: How many bytes at most; 0 for as many as one answer may have.
        """
        request = sv.ReadLogRequest(job_run_id=job_run_id, stream=stream, offset=offset, max_bytes=limit)
        return log_chunk_from_message(await self._connection.ask("ReadLog", request))

    async def storage(self, *, count: bool = False) -> StorageUsage:
        """Returns how much room the event log takes; with `count`, also what it holds, and the room of the job logs."""
        return storage_from_message(
            await self._connection.ask("GetStorage", sv.GetStorageRequest(include_counts=count)), counted=count
        )


async def _paged(page: Callable[[int], Awaitable[tuple[Sequence[_Row], Any]]], limit: int) -> list[_Row]:
    """Returns the rows of as many pages as it takes.

    Args:
        page: Returns at most so many rows after those before, and whether there may be more.
        limit: How many rows are wanted.
    """
    rows: list[_Row] = []
    more: Any = True
    while more and len(rows) < limit:
        found, more = await page(min(limit - len(rows), _PAGE))
        rows += found
    return rows


def _value(enum: Any, prefix: str, name: str) -> Any:
    """Returns the value of an enum of a name without prefix; 0 for none.

    Raises:
        InvalidRequestError: There is no such value.
    """
    if not name:
        return 0
    try:
        return enum.Value(f"{prefix}_{name}")
    except ValueError:
        known = ", ".join(key.removeprefix(f"{prefix}_") for key in enum.keys()[1:])
        raise InvalidRequestError(f"{name!r} is none of {known}") from None
