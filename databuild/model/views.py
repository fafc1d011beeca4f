"""What a service tells: records, with what the service knows besides. The service makes them, its clients read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from databuild.model.job_graph import AbsentInput, PlannedPartition
    from databuild.model.planning import PlanningProgress
    from databuild.model.records import BuildRecord, JobRunRecord, LogSizes, PartitionRecord


class BuildView(NamedTuple):
    """How a build stands, as the service sees it.

    Attributes:
        build: What is recorded of it.
        queue_position: Its place among the builds that wait for their turn, from 1; 0 where it does not wait.
        waiting_for: What resources it waits for, in words.
        dead: Why nothing more comes of it although it has not ended, in words; empty where more may.
        planning: How far planning is; None unless the service that is asked plans it now.
        warnings: What may not be meant as it is, one sentence each.
    """

    build: BuildRecord
    queue_position: int = 0
    waiting_for: tuple[str, ...] = ()
    dead: str = ""
    planning: PlanningProgress | None = None
    warnings: tuple[str, ...] = ()


class PartitionView(NamedTuple):
    """What is known of one partition.

    Attributes:
        ref: Its address.
        job_label: The job that produces it; empty where the graph has a lookup, which only planning asks.
        record: What is recorded of it; None where nothing is.
        history: The job runs that were to produce it, newest first.
    """

    ref: str
    job_label: str
    record: PartitionRecord | None
    history: tuple[JobRunRecord, ...]


class Explanation(NamedTuple):
    """What a build would do with a partition.

    Attributes:
        view: What is known of it.
        planned: What planning decides about it.
        tasks: How many tasks the build would have.
        absent_inputs: The QUERY inputs that these tasks read although they are not available, by ref.
        warnings: What may not be meant as it is, one sentence each.
    """

    view: PartitionView
    planned: PlannedPartition
    tasks: int
    absent_inputs: tuple[AbsentInput, ...] = ()
    warnings: tuple[str, ...] = ()


class LineageEdge(NamedTuple):
    """One partition that was made from another.

    Attributes:
        input: What was read.
        output: What was made from it.
        version: The version of the input that was read; empty where nothing was known of it.
        query: Whether the input was only read, and so cannot make the output stale.
    """

    input: str
    output: str
    version: str
    query: bool


class Lineage(NamedTuple):
    """Partitions that were made from each other; `complete` is whether there is nothing further within the depth."""

    edges: tuple[LineageEdge, ...]
    complete: bool


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
        offset: Where in the log they stand.
        ended: Whether nothing follows.
        path: Where the log lies, on the machine of the service; empty where that is not told.
        total_bytes: How long the log was when it was read.
    """

    data: bytes
    offset: int
    ended: bool
    path: str = ""
    total_bytes: int = 0

    @property
    def next_offset(self) -> int:
        """Where the next piece begins."""
        return self.offset + len(self.data)


class Room(NamedTuple):
    """How much room things take.

    Attributes:
        event_log_bytes: The bytes of the event log.
        job_log_bytes: The bytes of the logs of job runs; 0 where they were not measured.
        sizes: What the event log holds; None where it was not counted.
        logs_pruned_before: When builds have ended at the latest whose logs were pruned for age; 0 where none were.
    """

    event_log_bytes: int
    job_log_bytes: int
    sizes: LogSizes | None
    logs_pruned_before: float


class Difference(NamedTuple):
    """A fault of an event log; `build_request_id` is empty if it belongs to no build."""

    build_request_id: str
    message: str


class Verification(NamedTuple):
    """The result of a verification of an event log.

    Attributes:
        events: The number of events that were checked.
        builds: The number of builds they belong to.
        faults: The number of faults.
        told: The first of them.
    """

    events: int
    builds: int
    faults: int
    told: tuple[Difference, ...]
