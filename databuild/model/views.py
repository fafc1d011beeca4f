"""Answers of a service: records, together with what only the service knows. Clients return the same types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from databuild.model.job_graph import AbsentInput, PlannedPartition
    from databuild.model.planning import PlanningProgress
    from databuild.model.records import BuildRecord, JobRunRecord, LogSizes, PartitionRecord
    from databuild.model.statuses import PartitionStatus


class BuildView(NamedTuple):
    """The state of a build, as the service sees it.

    Attributes:
        build: The record of the build.
        queue_position: The position in the queue of the service, from 1; 0 if the build is not queued.
        waiting_for: The resources for which it waits, in words.
        dead_reason: The reason why the build is dead although it has not ended, in words; empty if it is not.
        planning: The progress of planning; None unless this service is planning the build.
        warnings: Suspicious parts of the request or of configurations, one sentence each.
    """

    build: BuildRecord
    queue_position: int = 0
    waiting_for: tuple[str, ...] = ()
    dead_reason: str = ""
    planning: PlanningProgress | None = None
    warnings: tuple[str, ...] = ()


class Taint(NamedTuple):
    """Partitions that were tainted or untainted, ranges expanded, and the recorded author."""

    partitions: tuple[str, ...]
    author: str


class Adoption(NamedTuple):
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


class PartitionView(NamedTuple):
    """The state of one partition, as the service sees it.

    Attributes:
        ref: The address.
        job_label: The job that produces it; empty if the graph has a lookup, which only planning calls.
        record: The record of the partition; None if there is none.
        history: The job runs that were started to produce it, newest first.
    """

    ref: str
    job_label: str
    record: PartitionRecord | None
    history: tuple[JobRunRecord, ...]


class Explanation(NamedTuple):
    """The decision that planning would make about a partition.

    Attributes:
        view: The state of the partition.
        planned: The decision.
        tasks: The number of tasks that the build would have.
        absent_inputs: The QUERY inputs that these tasks read although they are not available, by ref.
        warnings: Suspicious parts of the request or of configurations, one sentence each.
    """

    view: PartitionView
    planned: PlannedPartition
    tasks: int
    absent_inputs: tuple[AbsentInput, ...] = ()
    warnings: tuple[str, ...] = ()


class LineageEdge(NamedTuple):
    """One partition that was made from another.

    Attributes:
        input: The ref of the input.
        output: The ref of the partition that was made from it.
        version: The version of the input that was read; empty if it had no record.
        query: True if the input was only read, and so cannot make the output stale.
    """

    input: str
    output: str
    version: str
    query: bool


class Lineage(NamedTuple):
    """Partitions that were made from each other; `complete` is whether there is nothing further within the depth."""

    edges: tuple[LineageEdge, ...]
    complete: bool


class DownstreamPartition(NamedTuple):
    """A partition whose current data was made from another.

    Attributes:
        ref: The partition.
        distance: The number of steps from the partitions that were asked about, from 1.
        input: The partition that it was made from in the last of these steps. There may be others.
        version: The version of that input that was read; empty if it had no record.
        query: True if it was a QUERY input, which cannot make the partition stale.
        status: The newest status of the partition.
        available: True if complete data exists.
        tainted: True if the data is marked not to be trusted.
        input_changed: True if that input has another version now, so that a build may rebuild the partition.
    """

    ref: str
    distance: int
    input: str
    version: str
    query: bool
    status: PartitionStatus
    available: bool
    tainted: bool
    input_changed: bool


class DownstreamPage(NamedTuple):
    """A page of the partitions that were made from others.

    Attributes:
        partitions: The partitions.
        next_page_token: The token of the next page; empty if there is none.
        truncated: True if there are further partitions, and the service lists no more.
    """

    partitions: tuple[DownstreamPartition, ...]
    next_page_token: str = ""
    truncated: bool = False


class DeclaredDependent(NamedTuple):
    """Outputs of a declared job that would be made from others, whether they exist or not.

    Attributes:
        partitions: The ref of one output, or its pattern: with ranges, and with fields that may have any value.
        distance: The smallest number of steps from the partitions that were asked about, from 1.
        job_label: The job.
        kind: The kind of the input in the last of these steps: INPUT, OPTIONAL or QUERY.
        input: The template of that input, as it was written.
    """

    partitions: str
    distance: int
    job_label: str
    kind: str
    input: str


class DeclaredDependents(NamedTuple):
    """The outputs of declared jobs that would be made from others.

    Attributes:
        dependents: The outputs, nearest first.
        complete: False if there are more than the limit allowed.
        undeclared_jobs: The labels of the jobs that have `config`, whose inputs are not known before a build.
    """

    dependents: tuple[DeclaredDependent, ...]
    complete: bool = True
    undeclared_jobs: tuple[str, ...] = ()


class JobStatistics(NamedTuple):
    """A job, and how its newest runs went: at most the newest hundred.

    Attributes:
        job_label: Its label.
        outputs: The partition patterns of the refs that it produces.
        tags: Free words for people and filters.
        runs: How many runs are counted: those that were started and have ended.
        completed: How many of them completed.
        failed: How many of them failed.
        median_seconds: How long half of those that completed ran at most.
        p95_seconds: How long 95 in a hundred of those that completed ran at most.
        last_ended_time: When the newest of them ended, in seconds since the epoch; 0 where there is none.
    """

    job_label: str
    outputs: tuple[str, ...]
    tags: tuple[str, ...]
    runs: int
    completed: int
    failed: int
    median_seconds: float
    p95_seconds: float
    last_ended_time: float


class LogChunk(NamedTuple):
    """A piece of a log.

    Attributes:
        data: The bytes, which may begin or end within a character.
        offset: The position of the first byte in the log.
        ended: True if the log is complete and nothing follows.
        path: The path of the log on the machine of the service; empty if the service does not show it.
        total_bytes: The size of the log when it was read.
    """

    data: bytes
    offset: int
    ended: bool
    path: str = ""
    total_bytes: int = 0

    @property
    def next_offset(self) -> int:
        """The offset of the next piece."""
        return self.offset + len(self.data)


class StorageUsage(NamedTuple):
    """The disk space of the event log and of job logs.

    Attributes:
        event_log_bytes: The bytes of the event log.
        job_log_bytes: The bytes of the logs of job runs; 0 if they were not measured.
        sizes: The content of the event log; None if it was not counted.
        logs_pruned_before: Logs of builds that ended before this time were pruned for age; 0 if none were.
    """

    event_log_bytes: int
    job_log_bytes: int
    sizes: LogSizes | None
    logs_pruned_before: float


class LogFault(NamedTuple):
    """A fault of an event log; `build_request_id` is empty if it belongs to no build."""

    build_request_id: str
    message: str


class Verification(NamedTuple):
    """The result of a verification of an event log.

    Attributes:
        events: The number of events that were checked.
        builds: The number of builds they belong to.
        faults: The number of faults.
        reported: The first of them.
    """

    events: int
    builds: int
    faults: int
    reported: tuple[LogFault, ...]
